import os
import signal
import time

import pytest

from visemix.run.processes import ordered_map


def slow_square(number):
    time.sleep(0.02 * (number % 3))
    return number * number


def crash_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail_at_three(number):
    if number == 3:
        raise ValueError("three")
    return number


def die_at_start():
    os._exit(3)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(ordered_map(slow_square, range(20), workers)) == [n * n for n in range(20)]
    assert list(ordered_map(slow_square, [], workers)) == []


def test_tasks_are_taken_only_as_they_are_needed():
    taken = []
    tasks = (taken.append(n) or n for n in range(1000))
    results = ordered_map(slow_square, tasks, 2)
    assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(taken) <= 3 + 8
    results.close()


def test_a_crash_costs_its_own_task_only():
    results = list(ordered_map(crash_at_three, range(12), 2, on_crash=lambda n: f"lost {n}"))
    assert results == [0, 1, 2, "lost 3", *range(4, 12)]
    with pytest.raises(RuntimeError, match="worked on 3 died twice"):
        list(ordered_map(crash_at_three, range(12), 2))


def test_workers_that_cannot_start_are_an_error_not_a_loss():
    with pytest.raises(RuntimeError, match="die as they start"):
        list(ordered_map(slow_square, range(3), 2, die_at_start, on_crash=lambda n: "lost"))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_function_are_raised(workers):
    results = ordered_map(fail_at_three, range(6), workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="workers is 0"):
        list(ordered_map(slow_square, [1], 0))
