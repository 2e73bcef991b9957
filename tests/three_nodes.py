"""A Ray cluster of three nodes on this machine, whose nodes a test may kill."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mmafflm.cluster.connect import STARTS, with_token

# A node that is killed counts as dead after some seconds of silence.
SYSTEM = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 1000, "health_check_timeout_ms": 2000,
          "health_check_failure_threshold": 3}  # fmt: skip


class ThreeNodes:
    """`address`: where commands join. The first node has the cluster's head, and lives as long as the cluster."""

    def __init__(self, cluster: Any, node: dict[str, Any]) -> None:
        self.cluster, self.node = cluster, node
        self.others = [cluster.add_node(**node) for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def kill(self, name: str) -> None:
        """Kill the node with this id and all its processes, as a power cut would."""
        (node,) = [node for node in self.others if node.node_id == name]
        self.others.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def mend(self) -> None:
        """Start a node in place of each that was killed."""
        while len(self.others) < 2:
            self.others.append(self.cluster.add_node(**self.node))


@contextmanager
def three_nodes() -> Iterator[ThreeNodes]:
    """Three nodes with one core each. All their processes end with this, also after a failure."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_worker_niceness", "0")  # as connect.py
    with_token()
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 << 20, "wait": False}
    with ExitStack() as held:
        for left in reversed(range(STARTS)):
            folder = tempfile.mkdtemp(prefix="ray-")
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            (Path(folder) / "ray").mkdir()
            held.enter_context(patch.dict(os.environ, RAY_TMPDIR=folder))  # where Cluster writes down its address
            made = Cluster()
            held.callback(made.shutdown)
            try:
                made.add_node(temp_dir=folder, _system_config=SYSTEM, **node)
                nodes = ThreeNodes(made, node)
                break
            except Exception as error:  # Ray has no type for this: it gives each node 30 s
                if "timed out during startup" not in str(error) or not left:
                    raise
                made.shutdown()
        yield nodes
