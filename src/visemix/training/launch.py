"""Several processes for one training, started and watched by torchrun's agent.

The agent runs in the process that calls `launch`: it finds a free port on 127.0.0.1, ends all
processes when one of them dies, and hands SIGTERM on to them.
"""

import os
import signal
from collections.abc import Callable
from datetime import timedelta

import torch

from visemix.training.checkpoints import EXIT_STOPPED

# Time for a validation and a checkpoint after SIGTERM; the system's or Slurm's own may be shorter.
SECONDS_TO_STOP = 600


def launch(function: Callable, processes: int, **arguments):
    """The result of function(**arguments), which that many processes run together.

    With one process that is a plain call. Otherwise `function` and `arguments` must be importable
    and picklable, and where there are GPUs, process i gets the i-th of those that are visible.

    Raises:
        SystemExit: with status 75 if the processes stopped on request; start again to go on.
        ValueError: fewer GPUs than processes, though not none.
        RuntimeError: a process failed or was killed; the message says which, and why.
    """
    if processes == 1:
        return function(**arguments)
    if 0 < torch.cuda.device_count() < processes:
        raise ValueError(
            f"training.processes is {processes}, but {torch.cuda.device_count()} GPUs are visible; "
            "lower it, or ask for more GPUs"
        )
    # Late: only this process needs the agent, and its import takes a while.
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"visemix-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        signals_to_handle="SIGTERM,SIGUSR1",
        shutdown_timeout=SECONDS_TO_STOP,
        logs_specs=DefaultLogsSpecs(tee=Std.ERR),  # into this process's sys.stderr, and so its log
        log_line_prefix_template="process ${rank}: ",
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        return elastic_launch(config, _join)(function, arguments)[0]
    except SignalException as stopped:
        raise SystemExit(EXIT_STOPPED) from stopped
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode == EXIT_STOPPED:
            raise SystemExit(EXIT_STOPPED) from None
        # An exception's message comes with its traceback, which the agent has printed already.
        said = failure.message["message"] if isinstance(failure.message, dict) else failure.message
        raise RuntimeError(
            f"process {rank} of {processes} failed and the others were ended: {said}; "
            "start again to go on from the last checkpoint"
        ) from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _join(function: Callable, arguments: dict):
    """Run in each process: meet the others, then do the work with them."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are on this machine
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    # The others wait while the first validates. When one dies, the agent ends the rest, whatever
    # this limit is.
    torch.distributed.init_process_group(backend, timeout=timedelta(days=1))
    result = function(**arguments)
    torch.distributed.destroy_process_group()
    return result
