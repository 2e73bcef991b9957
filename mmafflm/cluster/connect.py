"""Start Ray on this machine, or join a Ray cluster, without telemetry and dashboard.

Anyone who can reach a Ray cluster can run code on it. A local Ray gets a random token, which only its own processes
know; a cluster must be started with a token of its own, or in a network that nobody else can reach.
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
    f"HOST:PORT of a Ray cluster that this machine belongs to, or {LOCAL} to start Ray on this machine; none by default"
)
STARTS = 3
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


@contextmanager
def connected(address: str, workers: int | None = None) -> Iterator[None]:
    """Connect to a Ray cluster while the block runs; with the address `local`, start Ray for the block only.

    workers: how many workers a local Ray must have room for, if these are more than this machine's cores. Raises
    UsageFault as require_ray() does, and Fault when Ray does not start or the cluster cannot be reached.
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
    """Make a Ray that this process starts require a random token, which its processes get in their environment."""
    if "ray" not in sys.modules:  # ray reads the mode at import; later it would make its own token, in ~/.ray
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def require_ray(address: str) -> str:
    """Return the address. Raises UsageFault without ray, and for an address other than local, auto or HOST:PORT."""
    if address not in (LOCAL, "auto") and not address.rpartition(":")[2].isdecimal():
        raise UsageFault(f"--cluster {address}: write {LOCAL}, or HOST:PORT as `ray start --head` prints it")
    if find_spec("ray") is None:
        raise UsageFault("--cluster and --jobs need ray, which is not installed. Run: make setup")
    return address


@contextmanager
def _folder() -> Iterator[str]:
    """A folder for a local Ray. When this process ends, another one ends Ray and removes the folder (reaper.py)."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short: it holds sockets, whose paths have at most 107 bytes
    words = [sys.executable, "-m", "mmafflm.cluster.reaper", folder]
    with subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True):  # waits for its end
        yield folder


def _start(folder: str, workers: int | None) -> None:
    import ray

    cores = max(len(os.sched_getaffinity(0)), workers or 1)
    for left in reversed(range(STARTS)):
        try:
            ray.init(LOCAL, num_cpus=cores, include_dashboard=False, _temp_dir=folder, **QUIET)
            return
        except Exception as error:  # Ray has no exception type of its own for a start that takes over 30 s
            if "timed out during startup" not in str(error):
                raise
            if not left:
                raise Fault(
                    f"Ray did not start in {STARTS} attempts of 30 s. Run again when the machine is less busy."
                ) from None
            ray.shutdown()


def _join(address: str) -> None:
    import ray

    try:
        ray.init(address, **QUIET)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise Fault(
            f"--cluster {address}: cannot be reached ({in_a_line(error)}). This machine must belong to the cluster. "
            f"Run: ray start --address {address}"
        ) from None


@contextmanager
def _our_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM, which ray.init replaces: SIGTERM must stop a command as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Share(NamedTuple):
    """The number of workers, and the cores and GPUs that Ray reserves for each."""

    workers: int
    cpus: int
    gpus: float

    def room(self) -> int:
        """How many such workers the live nodes have room for."""
        return sum(
            int(min(cpus // self.cpus, gpus // self.gpus if self.gpus else cpus // self.cpus))
            for cpus, gpus in _nodes()
        )


def share_of_each(workers: int | None, least_gpus: int = 1) -> Share:
    """Divide the cluster among workers that compute: all of its GPUs; without GPUs, all of its cores.

    workers: by default one for each `least_gpus` GPUs; without GPUs, one for each node. Raises Fault for a cluster
    without cores.
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
    """Cores and GPUs of every live node that has cores. Raises Fault when there is none."""
    from ray import nodes as ray_nodes

    listed: list[dict[str, Any]] = ray_nodes()  # type: ignore[no-untyped-call]
    found = [node["Resources"] for node in listed if node["Alive"]]
    nodes = [(of.get("CPU", 0.0), of.get("GPU", 0.0)) for of in found if of.get("CPU", 0.0) >= 1]
    if not nodes:
        raise Fault("no live node of the Ray cluster has a core. Run the same command again later.")
    return nodes
