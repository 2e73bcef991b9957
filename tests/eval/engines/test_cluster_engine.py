"""What the engines of a cluster do apart from Ray: portions, cores, wrong usage. tests/test_cluster.py kills nodes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.engines.cluster import on_cluster, shrinking
from mmafflm.cluster.connect import require_ray
from mmafflm.errors import UsageFault
from tests.budget import BUDGET


def test_portions_shrink_and_hold_every_row_once() -> None:
    portions = list(shrinking(range(1000), 16, 3))
    assert [at for one in portions for at in one] == list(range(1000))
    sizes = [len(one) for one in portions]
    assert sizes[0] == 166 and sizes == sorted(sizes, reverse=True) and sizes[-2] == 16
    assert [len(one) for one in shrinking(range(5), 16, 3)] == [5] and not list(shrinking([], 16, 3))


def test_two_engines_on_one_machine_get_different_cores(tmp_path: Path) -> None:
    """Two workers take a core each and keep it until their processes end. A third finds no free core."""
    take = "from eval.engines.cluster import own_cores; print(own_cores(1), flush=True); input()"
    cores = sorted(os.sched_getaffinity(0))[:2]
    command = ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", take]
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # other engines on this machine have their locks elsewhere
    workers: list[subprocess.Popen[str]] = []
    try:
        for _ in range(3):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            workers.append(subprocess.Popen(command, **pipes, text=True, env=env))
        said = [worker.stdout.readline().strip() for worker in workers if worker.stdout]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert sorted(said) == sorted([*(f"[{core}]" for core in cores), *["[]"] * (3 - len(cores))])


@pytest.mark.parametrize("address", ["", "node7", "ray://node7:x"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(UsageFault, match=r"write local, or HOST:PORT"):
        require_ray(address)


def test_a_server_needs_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(UsageFault, match="calls a server from one process: leave out --jobs and --cluster"):
        on_cluster("openai", "m", Path(), BUDGET, {}, None, 2)
    with pytest.raises(UsageFault, match="--jobs must be 1 or more"):
        on_cluster("openai", "m", Path(), BUDGET, {}, None, 0)
