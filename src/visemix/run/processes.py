"""A parallel map over processes that keeps order, keeps memory flat and survives a crash."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any

_IN_FLIGHT = 4  # tasks handed out per worker: enough to keep all busy, few enough for memory


def ordered_map(
    function: Callable,
    tasks: Iterable,
    workers: int = 1,
    prepare: Callable[[], object] | None = None,
    on_crash: Callable | None = None,
) -> Iterator:
    """Yield function(task) in the order of `tasks`, computed by `workers` processes.

    At most four tasks a worker are in flight, so neither `tasks` nor the results pile up.
    `prepare` runs once in every process. With one worker all happens in this process.
    Exceptions of `function` are raised here. If a process dies (a crash inside a native library,
    or the system's memory guard), the tasks in its pool run again, the oldest one alone; one that
    dies alone as well yields on_crash(task), or raises RuntimeError where that is None.
    Functions and tasks must be importable and picklable; a script that calls this must keep its
    work under `if __name__ == "__main__"`, because workers are started by spawning.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; give 1 or more")
    if workers == 1:
        if prepare is not None:
            prepare()
        yield from map(function, tasks)
        return
    tasks = iter(tasks)
    pending: deque[tuple[Any, Future]] = deque()
    pool = _pool(workers, prepare)
    try:
        while True:
            while len(pending) < _IN_FLIGHT * workers:
                try:
                    task = next(tasks)
                except StopIteration:
                    break
                pending.append((task, _submit(pool, function, task)))
            if not pending:
                return
            task, future = pending.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                pool.shutdown()
                result = _alone(function, task, prepare, on_crash)
                pool = _pool(workers, prepare)
                pending = deque((t, _again(pool, function, t, f)) for t, f in pending)
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers, prepare) -> ProcessPoolExecutor:
    # Spawned, not forked: forking a process that runs threads (pyarrow's, say) can deadlock.
    return ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (prepare,))


def _start_worker(prepare) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()


def _die_with_parent() -> None:
    """Without this a worker waits for work for ever after its parent was killed."""
    if parent := parent_process():
        parent.join()
    os._exit(1)


def _submit(pool, function, task) -> Future:
    try:
        return pool.submit(function, task)
    except BrokenProcessPool as error:  # the pool died meanwhile; met when the result is asked for
        future: Future = Future()
        future.set_exception(error)
        return future


def _again(pool, function, task, future) -> Future:
    """The finished future, or the task submitted anew where the dead pool took it along."""
    if future.done() and not isinstance(future.exception(), BrokenProcessPool):
        return future
    return _submit(pool, function, task)


def _alone(function, task, prepare, on_crash):
    """The task in a process of its own; the process is known to have started before it."""
    with _pool(1, prepare) as pool:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise RuntimeError(
                "worker processes die as they start; look at their messages above, and start them "
                'from a file whose work is under `if __name__ == "__main__"`, or take one worker'
            ) from None
        try:
            return pool.submit(function, task).result()
        except BrokenProcessPool:
            if on_crash is not None:
                return on_crash(task)
            raise RuntimeError(
                f"the process that worked on {task!r} died twice; look at that input, and at the "
                "memory left on the machine"
            ) from None
