"""Watch a run while it trains: progress, curves, waiting for data, validation, divergence."""

import shlex
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from mmafflm.checkpoints import is_whole, numbered
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.terminal.command import say
from mmafflm.train.launch.data_wait import DataWaits
from mmafflm.train.launch.launch import cache_of
from mmafflm.train.launch.reporters import BOARD
from mmafflm.train.launch.tensorboard import OURS, TRAINER, Curves, TrainerEvents
from mmafflm.train.plan.plan import Plan
from mmafflm.train.stream.order import Rows
from mmafflm.train.watch.curves import draw
from mmafflm.train.watch.divergence import Judge
from mmafflm.train.watch.exposure import Exposure
from mmafflm.train.watch.progress import Progress, Row, points, sentence
from mmafflm.train.watch.validation import Validation

LONG_S = 60.0  # when a run hangs, the message lists the ranks that have waited longer than this for a batch


class Watch:
    """Use `with Watch(...) as watch` and call watch.beat() while the run trains.

    start: the step from which the run continues.
    """

    def __init__(self, out: Path, data: Dataset, plan: Plan, order: Rows, start: int) -> None:
        self.out, self.plan, self.start = out, plan, start
        self.steps = int(plan.config["max_steps"])
        self.judge = Judge(fp16=bool(plan.config.get("fp16")))
        self.console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Bar(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("loading", total=self.steps, completed=start)
        self.said = start * 10 // self.steps if start else -1
        self.waits = DataWaits(cache_of(out, 0))
        self.curves = Curves(out / BOARD / OURS)
        events = TrainerEvents(out / BOARD / TRAINER)
        self.progress = Progress(out, Exposure(data, plan, order), events, plan.global_batch, start)
        for row in self.progress.rows:  # the judge sees the losses of earlier launches first
            if row["loss"] is not None:
                self.judge.judge(row["step"], row["loss"])
        self.validation: Validation | None = None
        if plan.validate:
            self.validation = Validation(out, data.path, plan, *plan.validate, start, self.curves)

    def __enter__(self) -> "Watch":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if kind is not None:
            self.close()

    def beat(self) -> None:
        """Process what happened since the last call.

        Raises Fault with the last good checkpoint when the loss has diverged.
        """
        if self.progress.has_grown():
            self._follow(self.waits.take())
        if self.validation is not None:
            self.validation.beat()

    def finish(self) -> None:
        """Call it when the run has ended: it adds the last rows, the last validation and the picture of the curves."""
        try:
            self._follow(self.waits.take())
            if self.validation is not None:
                self.validation.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Stop the validation, and draw the curves so far."""
        if self.validation is not None:
            self.validation.close()
        self.curves.close()
        if path := draw(self.out):
            board = shlex.join(["tensorboard", "--logdir", str(self.out / BOARD)])
            say(f"{path}: the curves of this run. To see all of them: {board}")

    def _follow(self, waited: float | None) -> None:
        for row in self.progress.follow(waited):
            self._show(row)
            if why := self.judge.judge(row["step"], row["loss"], row["grad_norm"]):
                raise Fault(self._diverged(why))

    def _show(self, row: Row) -> None:
        self.curves.add(row["step"], points(row))
        text = sentence(row, self.steps)
        self.bar.update(self.task, completed=row["step"], description=text.partition(", ")[2])
        tenth = row["step"] * 10 // self.steps
        if not self.console.is_terminal and tenth > self.said:
            self.said = tenth
            say(text)

    def hangs(self, why: str) -> str:
        """The message for a run that hangs: what is known about it, and where --resume continues."""
        whole = [number for number, path in numbered(self.out).items() if is_whole(path)]
        said = f"{self.out}: stopped after step {self.progress.last}, {why}. "
        for rank, seconds in self.waits.under_way().items():
            if seconds > LONG_S:
                said += f"Rank {rank} has waited for data for {seconds / 60:.0f} min. "
        kept = f"from checkpoint-{max(whole)}" if whole else "from the beginning, because no checkpoint is complete"
        return f"{said}Check the disk, the network and nvidia-smi of each node; --resume continues {kept}."

    def _diverged(self, why: str) -> str:
        """The message for a diverged run. A checkpoint is good when a step after it still had a sound loss."""
        found = numbered(self.out)
        good = [number for number in found if number < self.judge.sound_step and is_whole(found[number])]
        bad = sorted(number for number in found if number not in good)
        said = f"{self.out}: stopped, {why}. "
        sound = self.judge.sound_step
        if good:
            said += f"The last good checkpoint is {found[max(good)]} (the loss was sound until step {sound})"
        else:
            said += f"No checkpoint from before step {sound}, the last with a sound loss, is left"
        said += f"; {', '.join(f'checkpoint-{number}' for number in bad)} came after it" if bad else ""
        rate = self.plan.config.get("learning_rate")
        whole = good and self.plan.config.get("finetuning_type") != "lora"  # an adapter cannot be a base
        begin = f"train with --base {shlex.quote(str(found[max(good)]))}" if whole else "train"
        return f"{said}. Lower learning_rate ({rate}) or warm up longer, and {begin} into another --out."
