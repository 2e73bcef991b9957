"""A worker that hangs, crashes or uses too much memory loses its own task and nothing else."""

import multiprocessing
import os
import time

import pytest

from data_build.workers.pool import Failed, Workers, run_guarded

MEMORY = 4 << 30


def work(task: str) -> str:
    if task.startswith("hang"):
        os.open(task.removeprefix("hang "), os.O_RDONLY)  # a pipe without a writer: hangs for ever in the kernel
    if task == "crash":
        os.abort()
    if task == "eat":
        bytearray(MEMORY)
    if task == "bug":
        raise ZeroDivisionError("a bug")
    if task == "full":
        raise OSError(28, "No space left on device")
    return task.upper()


def run(*tasks: str, limit_s: float = 30.0) -> dict[str, object]:
    return dict(run_guarded(work, iter(tasks), 2, limit_s, MEMORY))


def test_every_task_has_its_result() -> None:
    names = [f"task {number}" for number in range(40)]
    assert run(*names) == {name: name.upper() for name in names}


def test_a_worker_that_hangs_is_stopped_and_replaced(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    began = time.monotonic()
    done = run(f"hang {pipe}", "a", f"hang {pipe} ".strip(), "b", limit_s=8.0)
    assert done[f"hang {pipe}"] == Failed("not decoded in 8 s")
    assert done["a"] == "A" and done["b"] == "B"
    assert time.monotonic() - began < 60


def test_a_worker_that_crashes_costs_one_task() -> None:
    done = run("a", "crash", "b", "c")
    assert isinstance(done["crash"], Failed) and "crashed" in done["crash"].reason
    assert [done[name] for name in "abc"] == ["A", "B", "C"]


@pytest.mark.parametrize(("task", "error"), [("bug", ZeroDivisionError), ("full", OSError), ("eat", MemoryError)])
def test_a_bug_or_a_full_disk_ends_the_run(task: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        run("a", task)
    assert not multiprocessing.active_children()  # the exit would wait for ever for a remaining child


def named(task: str) -> tuple[str, int]:
    return task, os.getpid()


def test_workers_stay_for_the_next_tasks() -> None:
    with Workers(named, 2, 30.0, MEMORY) as workers:
        first, second = (list(workers.run(iter(names))) for names in ("abcdef", "ghijkl"))
        assert sorted(task for task, _ in second) == list("ghijkl") and all(task == one[0] for task, one in second)
        assert {one[1] for _, one in second} <= {one[1] for _, one in first}
        stopped = workers.run(iter("mnop"))
        next(stopped)
        stopped.close()  # with a task under way, whose result must not come next
        third = list(workers.run(iter("qrst")))
        assert sorted(task for task, _ in third) == list("qrst") and all(task == one[0] for task, one in third)
    assert not multiprocessing.active_children()
