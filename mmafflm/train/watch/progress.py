"""OUT/progress.jsonl: one row for each logged step of a run, complete even when the run was killed and resumed.

A row has the step, the Trainer's loss, gradient norm and learning rate, and the tokens and examples a second. It has
the share of real tokens among all that were computed (the others are padding), the share of time spent waiting for
data, and GPU memory. It also has the shares of each subset, language and modality among the examples seen so far.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmafflm.records import append_jsonl, drop_torn_line, write_jsonl
from mmafflm.train.launch.tensorboard import TrainerEvents
from mmafflm.train.watch.exposure import Exposure

TRAINER_LOG, PROGRESS = "trainer_log.jsonl", "progress.jsonl"
Row = dict[str, Any]


class Progress:
    """Follows OUT/trainer_log.jsonl. start: the step of the checkpoint from which the run continues (0: none).

    Rows of steps after `start` are removed first: an earlier launch trained these steps, but they are lost. Steps up to
    `start` that were trained but not written down (the launcher was killed before its trainer) get rows without
    speeds and waiting share.
    """

    def __init__(self, out: Path, seen: Exposure, events: TrainerEvents, examples_a_step: int, start: int) -> None:
        self.path, self.log = out / PROGRESS, out / TRAINER_LOG
        self.seen, self.events, self.examples_a_step = seen, events, examples_a_step
        before = read_progress(out)
        self.rows = [row for row in before if row["step"] <= start]
        drop_torn_line(self.path)
        # A full disk or a power cut may have torn the log's last line, and the trainer would append to it.
        drop_torn_line(self.log)
        if len(self.rows) < len(before):
            write_jsonl(self.path, self.rows)
        self.last, self.last_time = (int(self.rows[-1]["step"]) if self.rows else 0), 0.0
        self.read_to = 0
        self.make_up(start)

    def make_up(self, start: int) -> None:
        """Add rows for steps of an earlier launch that only the trainer's log has."""
        logged = {int(row["current_steps"]): row for row in self._logged()}  # for a step trained twice, the later row
        self.events.read()
        for step in sorted(step for step in logged if self.last < step <= start):
            self._add(logged[step], None, timed=False)

    def has_grown(self) -> bool:
        """Whether the trainer has logged anything since the last call of follow()."""
        return self.log.exists() and self.log.stat().st_size > self.read_to

    def follow(self, waited: float | None) -> list[Row]:
        """The rows for what was logged since the last call, also appended to progress.jsonl.

        waited: the share of time since then that ranks waited for data; all of these rows get this value.
        """
        logged = list(self._logged())
        if logged:
            self.events.read()
        return [self._add(row, waited, timed=True) for row in logged if int(row["current_steps"]) > self.last]

    def _logged(self) -> Iterator[dict[str, Any]]:
        """The complete lines with a loss that the trainer wrote since the last call (its last line has no loss)."""
        if not self.log.exists():
            return
        with self.log.open("rb") as log:
            log.seek(self.read_to)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self.read_to += len(line)
                row = json.loads(line)  # json, not orjson: a loss may be NaN
                if "loss" in row:
                    yield row

    def _add(self, logged: dict[str, Any], waited: float | None, timed: bool) -> Row:
        step = int(logged["current_steps"])
        event = self.events.steps.get(step, {})
        tokens = self.seen.tokens(self.last + 1, step)
        time = event.get("wall_time", self.log.stat().st_mtime if timed else 0.0)
        # the first row of a launch has no timed row before it
        took_s = time - self.last_time if timed and self.last_time else None
        examples = (step - self.last) * self.examples_a_step
        row = {
            "step": step,
            "time": round(time, 2) if time else None,
            "loss": logged["loss"],
            "grad_norm": event.get("grad_norm"),
            "learning_rate": logged.get("lr"),
            "examples_per_s": round(examples / took_s, 3) if took_s else None,
            "tokens_per_s": round(tokens.real / took_s, 1) if took_s and tokens else None,
            "tokens": tokens.real if tokens else None,
            "real_share": round(tokens.real / tokens.padded, 4) if tokens else None,
            "data_wait_share": waited,
            "gpu_reserved_gib": logged.get("vram_reserved"),
            "seen": self.seen.shares(step),
        }
        append_jsonl(self.path, [row])  # orjson writes a NaN as null
        self.rows.append(row)
        self.last, self.last_time = step, time if timed else 0.0
        return row


def read_progress(out: Path) -> list[Row]:
    """The rows of OUT/progress.jsonl; a line torn by a kill is ignored."""
    path = out / PROGRESS
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def sentence(row: Row, steps: int) -> str:
    """A row as a sentence for the terminal."""
    said = [f"step {row['step']} of {steps}", f"loss {row['loss']:.4f}"]
    shown = {
        "gradient norm {:.3g}": row["grad_norm"],
        "learning rate {:.3g}": row["learning_rate"],
        "{:,.0f} tokens/s": row["tokens_per_s"],
        "{:.3g} examples/s": row["examples_per_s"],
        "{:.0%} of tokens not padding": row["real_share"],
        "{:.0%} of time waiting for data": row["data_wait_share"],
    }
    return ", ".join(said + [text.format(value) for text, value in shown.items() if value is not None])


def points(row: Row) -> dict[str, float | None]:
    """A row's points for TensorBoard, except those that the Trainer writes itself."""
    found = {
        "speed/tokens_per_s": row["tokens_per_s"],
        "speed/examples_per_s": row["examples_per_s"],
        "speed/data_wait_share": row["data_wait_share"],
        "data/real_share": row["real_share"],
        "speed/gpu_reserved_gib": row["gpu_reserved_gib"],
    }
    for kind, shares in row["seen"].items():
        found |= {f"seen_{kind}/{name}": share for name, share in shares.items()}
    return found
