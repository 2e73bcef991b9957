"""Several nodes of one run: each shows in the run's folder that it lives, so that the others can say who is gone.

A rank that loses another one says "connection closed by peer", or nothing for as long as ddp_timeout (two hours) when
a machine lost its power. Both name nobody. So the launcher of every node writes OUT/.nodes/N.json every two seconds and
reads those of the others; what counts is whether a file's content still changes, not what a clock elsewhere says.
"""

import contextlib
import json
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmafflm.errors import Fault, UsageFault
from mmafflm.launch import ECHO
from mmafflm.run_file import RUN

BEATS = ".nodes"
BEAT_S = 2.0
GONE_S = 8.0  # silence of a node that explains a failure seen here
SILENT_S = 180.0  # silence after which a run that shows no failure is ended; a slow shared disk takes less
WAIT_S = 20.0  # for what the others say about a failure seen here
FIRST_S = 120.0  # for node 0 to begin the run
FIRST = " failed first: "


def await_first(out: Path) -> None:
    """Wait until node 0 has begun the run in OUT. Raises UsageFault when this node does not see that it has."""
    until = time.monotonic() + FIRST_S
    while not (out / RUN).exists():
        if time.monotonic() > until:
            raise UsageFault(
                f"{out}: node 0 has not begun a run here. Start it, and name one folder that every node sees (a shared "
                "disk): checkpoints hold a part of each rank."
            )
        time.sleep(BEAT_S / 4)


@dataclass
class Nodes:
    """The nodes of a run as one of them sees them; `gpus` are the processes of a node, each a rank."""

    out: Path
    node: int
    nodes: int
    gpus: int
    started: int = field(default_factory=time.time_ns)
    beats: int = 0
    written: float = -BEAT_S
    seen: dict[int, dict[str, Any]] = field(default_factory=dict)  # what the others' files hold
    changed: dict[int, float] = field(default_factory=dict)  # when a file was last seen to change, by our clock
    earlier: dict[int, int] = field(default_factory=dict)  # the launches that had written before this one
    ours: set[int] = field(default_factory=set)  # the nodes whose faults are of this launch

    def __post_init__(self) -> None:
        self._look()
        # what an earlier launch left, or still writes when it ends, says nothing about this one
        self.changed.clear()
        self.ours.clear()
        self.earlier = {node: _launch_of(row) for node, row in self.seen.items()}

    def beat(self) -> None:
        """Show that this node lives. Raises Fault when another has failed, or has shown nothing for three minutes.

        Ranks need not notice either: over NCCL they wait in a collective until ddp_timeout.
        """
        if self.nodes == 1 or time.monotonic() - self.written < BEAT_S:
            return
        self._write()
        self._look()
        if fell := self._fell():
            raise fell
        if silent := self._silent(SILENT_S):
            raise Fault(self._gone(silent[0]))

    def failed(self, fault: Fault) -> Fault:
        """The fault to end with: that of the node that fell first, where this one's is only its echo."""
        if self.nodes == 1:
            return fault
        echo = bool(ECHO.search(str(fault)))
        self.ended(None if echo else str(fault))
        until = time.monotonic() + WAIT_S
        while echo and time.monotonic() < until:
            self._look()
            if fell := self._fell():
                return fell
            if silent := self._silent(GONE_S):
                return Fault(self._gone(silent[0]))
            time.sleep(BEAT_S / 4)
        return fault

    def ended(self, fault: str | None = None) -> None:
        """Tell the others that this node has come to its end, or why it stops before."""
        if self.nodes > 1:
            self._write(fault, ended=True)

    def _write(self, fault: str | None = None, ended: bool = False) -> None:
        self.beats += 1
        self.written = time.monotonic()
        path = self.out / BEATS / f"{self.node}.json"
        row = {"host": socket.gethostname(), "beat": [self.started, self.beats], "fault": fault, "ended": ended}
        with contextlib.suppress(OSError):  # a full disk ends a run where weights are written, not here
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(row), encoding="utf-8")

    def _fell(self) -> Fault | None:
        """What another node of this launch ended with; a node that ended for the sake of a third says that one's."""
        for node in sorted(self.ours):
            if said := self.seen[node].get("fault"):
                return Fault(said if FIRST in said else f"{self._name(node)}{FIRST}{said}")
        return None

    def _silent(self, seconds: float) -> list[int]:
        """The nodes seen alive in this run, not ended, and without a sign for so long; the longest silent first."""
        before = time.monotonic() - seconds
        silent = [node for node, when in self.changed.items() if when < before and not self.seen[node]["ended"]]
        return sorted(silent, key=lambda node: self.changed[node])

    def _look(self) -> None:
        for node in range(self.nodes):
            if node == self.node:
                continue
            with contextlib.suppress(OSError, ValueError):  # not there yet, or just being written
                row = json.loads((self.out / BEATS / f"{node}.json").read_text(encoding="utf-8"))
                if row != self.seen.get(node):
                    if not row["ended"] or _launch_of(row) != self.earlier.get(node):
                        self.ours.add(node)
                    self.seen[node], self.changed[node] = row, time.monotonic()

    def _gone(self, node: int) -> str:
        return (
            f"{self._name(node)} is gone without a word: killed, or its machine or network is down. "
            "When it is back, run the same command with --resume on every node."
        )

    def _name(self, node: int) -> str:
        first, last = node * self.gpus, (node + 1) * self.gpus - 1
        ranks = f"rank {first}" if first == last else f"ranks {first} to {last}"
        return f"node {node} ({ranks}, {self.seen[node].get('host')})"


def _launch_of(row: dict[str, Any]) -> int:
    """When the launch began that wrote this, by the clock of its node."""
    return int(row["beat"][0])
