"""Several nodes of one run: wait for the first node, and find out which node failed first when this one fails too.

A rank that loses another reports "connection closed by peer", without its number. But every node's log is in the run's
folder. The log of the node that failed first holds its own error, or no error if it was killed.
"""

import time
from pathlib import Path

from mmafflm.errors import Fault, UsageFault
from mmafflm.run_file import RUN
from mmafflm.train.launch.launch import ECHO, cause, log_of
from mmafflm.train.plan.plan import Plan

FIRST_S = 120.0  # seconds that node 0 has to begin the run
WAIT_S = 20.0  # seconds to wait for the other nodes' logs to explain a failure seen here
LOOK_S = 0.5
AGAIN = "run the same command with --resume on every node."


def await_first(out: Path) -> None:
    """Wait until node 0 has begun the run in OUT. Raises UsageFault when no run appears within FIRST_S seconds."""
    until = time.monotonic() + FIRST_S
    while not (out / RUN).exists():
        if time.monotonic() > until:
            raise UsageFault(
                f"{out}: node 0 has not started a run here. Start it, and use as --out one folder that every node sees "
                "(on a shared disk), because each rank writes a part of a checkpoint."
            )
        time.sleep(LOOK_S)


class Others:
    """The other nodes of a run, judged by what their logs contain since this launch began."""

    def __init__(self, planned: Plan, out: Path, node_rank: int) -> None:
        self.gpus = planned.gpus
        nodes = () if planned.ray else range(planned.nodes)
        logs = {node: log_of(out, node) for node in nodes if node != node_rank}
        self.logs = {node: (log, log.stat().st_size if log.exists() else 0) for node, log in logs.items()}

    def first(self, fault: Fault) -> Fault:
        """The fault to report: `fault` itself, or that of another node if `fault` is only a consequence of it.

        The latter has the node's number and its error, or says that the node ended without an error message.
        """
        until = time.monotonic() + WAIT_S
        while self.logs and ECHO.search(str(fault)):
            causes = {node: cause(_after(log, size)) for node, (log, size) in self.logs.items()}
            if own := [node for node, said in causes.items() if said and not ECHO.search(said)]:
                return Fault(f"{self._name(own[0])} failed first: {causes[own[0]]}. Its log: {self.logs[own[0]][0]}")
            silent = [node for node, said in causes.items() if not said]
            if not silent:
                break
            if time.monotonic() > until:
                return Fault(
                    f"{self._name(silent[0])} ended without an error message: killed, or its machine or network is "
                    f"down. When it is back, {AGAIN}"
                )
            time.sleep(LOOK_S)
        return fault

    def _name(self, node: int) -> str:
        first, last = node * self.gpus, (node + 1) * self.gpus - 1
        return f"node {node} ({f'rank {first}' if first == last else f'ranks {first} to {last}'})"


def _after(log: Path, size: int) -> str:
    """What was written to a log after its first `size` bytes."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(size)
        return file.read().decode("utf-8", errors="replace")
