"""Start a Ray on this machine, or join a Ray cluster, without telemetry and dashboard.

Whoever reaches a Ray cluster may run code on it. A local Ray gets a random token, which only its own processes know; a
cluster must be started with a token of its own, or in a network that nobody else reaches.
"""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple

from mmafflm.errors import Fault, UsageFault, in_a_line

LOCAL = "local"
OPTION = (
    f"HOST:PORT of a Ray cluster that this machine belongs to, or {LOCAL}: a Ray of this machine's own; none by default"
)
STARTS = 3
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


@contextmanager
def connected(address: str, workers: int | None = None) -> Iterator[None]:
    """Be connected to a Ray cluster; with the address `local`, to one that starts and ends with this.

    workers: how many workers a local Ray needs room for, if it is more than this machine has cores. Raises UsageFault
    when ray is not installed, Fault when the cluster cannot be reached.
    """
    require_ray(address)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL:
        with_token()
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 lets every other process of the machine go first
    import ray

    with ExitStack() as held:
        folder = held.enter_context(_folder()) if address == LOCAL else None
        held.callback(ray.shutdown)
        with _our_signals():
            if folder:
                _start(folder, workers)
            else:
                _join(address)
        yield


def with_token() -> None:
    """Let a Ray that this process starts ask for a random token, which its own processes have in their environment."""
    if "ray" not in sys.modules:  # it reads the mode once; later it would make a token and keep it in ~/.ray
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def require_ray(address: str) -> str:
    """The address. Raises UsageFault when ray is not installed, or for an address of another form."""
    if address not in (LOCAL, "auto") and not address.rpartition(":")[2].isdecimal():
        raise UsageFault(f"--cluster {address}: write {LOCAL}, or HOST:PORT as `ray start --head` prints it")
    if find_spec("ray") is None:
        raise UsageFault("--cluster and --jobs need ray, which is not installed. Run: make setup")
    return address


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for a local Ray, and a process that clears away both when this one ends, see reaper.py."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short: it holds sockets, whose paths have at most 107 bytes
    words = [sys.executable, "-m", "mmafflm.cluster.reaper", folder]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True):  # waits for it
        yield folder


def _start(folder: str, workers: int | None) -> None:
    import ray

    cores = max(len(os.sched_getaffinity(0)), workers or 1)
    for left in reversed(range(STARTS)):
        try:
            ray.init(LOCAL, num_cpus=cores, include_dashboard=False, _temp_dir=folder, **QUIET)
            return
        except Exception as error:  # Ray has no type for this: it gives itself 30 s
            if "timed out during startup" not in str(error):
                raise
            if not left:
                raise Fault(f"Ray did not start in {STARTS} times 30 s. Is this machine too busy?") from None
            ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Fault(
            f"--cluster {address}: not reached ({in_a_line(error)}). This machine must belong to the cluster: "
            f"ray start --address {address}"
        ) from None


@contextmanager
def _our_signals() -> Iterator[None]:
    """ray.init replaces the handler of SIGTERM, with which a command stops as with Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Share(NamedTuple):
    """How many workers there are to be, and what Ray reserves for each."""

    workers: int
    cpus: int
    gpus: float

    def room(self) -> int:
        """How many such workers the nodes that are alive can hold."""
        return sum(
            int(min(cpus // self.cpus, gpus // self.gpus if self.gpus else cpus // self.cpus))
            for cpus, gpus in _nodes()
        )


def share_of_each(workers: int | None, least_gpus: int = 1) -> Share:
    """Share the cluster among workers that compute: all of its GPUs; without GPUs, all of its cores.

    workers: by default one for each `least_gpus` GPUs, or one a node. Raises Fault for a cluster without cores.
    """
    nodes = _nodes()
    gpus = sum(of_node for _, of_node in nodes)
    if gpus:
        workers = workers or max(1, int(gpus // least_gpus))
        each = gpus // workers if gpus >= workers else gpus / workers
        cpus = min(cpus // max(1, of_node // each) for cpus, of_node in nodes if of_node)
        return Share(workers, max(1, int(cpus)), each)
    workers = workers or len(nodes)
    on_a_node = -(-workers // len(nodes))
    return Share(workers, max(1, int(min(cpus for cpus, _ in nodes) // on_a_node)), 0)


def one_a_core(workers: int | None) -> Share:
    """A worker for each core of the cluster. Raises Fault for a cluster without cores."""
    return Share(workers or int(sum(cpus for cpus, _ in _nodes())), 1, 0)


def _nodes() -> list[tuple[float, float]]:
    """Cores and GPUs of every node that is alive and has cores."""
    from ray import nodes as ray_nodes

    listed: list[dict[str, Any]] = ray_nodes()  # type: ignore[no-untyped-call]
    found = [node["Resources"] for node in listed if node["Alive"]]
    nodes = [(of.get("CPU", 0.0), of.get("GPU", 0.0)) for of in found if of.get("CPU", 0.0) >= 1]
    if not nodes:
        raise Fault("no node of the Ray cluster that is alive has a core to work on. Run the same command again later.")
    return nodes
