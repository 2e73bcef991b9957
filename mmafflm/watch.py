"""What is watched while a run trains: progress, curves, the time spent waiting for data, validation, divergence."""

import importlib.util
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from mmafflm.checkpoints import is_whole, numbered
from mmafflm.command import say
from mmafflm.curves import draw
from mmafflm.dataset import Dataset
from mmafflm.divergence import Judge
from mmafflm.errors import Fault, UsageFault
from mmafflm.events import OURS, TRAINER, Curves, TrainerEvents
from mmafflm.progress import Progress, Row, points, sentence
from mmafflm.recipe import Plan
from mmafflm.seen import Seen
from mmafflm.validation import Validation
from mmafflm.waiting import DataWaits, Waited

BOARD = "tensorboard"  # below OUT
# What a reporter of the recipe needs on this machine: its package, and what would otherwise be written elsewhere.
REPORTERS = {"tensorboard": "tensorboard", "wandb": "wandb", "swanlab": "swanlab", "trackio": "trackio"}


def environment(plan: Plan, out: Path) -> dict[str, str]:
    """What the trainer must be told outside its config. Raises UsageFault for a reporter that is not installed."""
    named = plan.config.get("report_to") or []
    reporters = [named] if isinstance(named, str) else list(named)
    reporters += ["swanlab"] if plan.config.get("use_swanlab") else []
    for reporter in reporters:
        package = REPORTERS.get(reporter)
        if package and importlib.util.find_spec(package) is None:
            raise UsageFault(f"{plan.recipe}: report_to {reporter}: not installed. Run: pip install {package}")
    env = {"TENSORBOARD_LOGGING_DIR": str(out.resolve() / BOARD / TRAINER)}
    env |= {"WANDB_DIR": str(out.resolve())} if "wandb" in reporters else {}
    return env if plan.cpu else env | {"RECORD_VRAM": "1"}  # LLaMA-Factory then logs GPU memory


class Watch:
    """`with Watch(...) as watch: ... watch.beat() ...` while the run trains; `start` is the step it goes on from."""

    def __init__(self, out: Path, data: Dataset, plan: Plan, start: int) -> None:
        self.out, self.plan, self.start = out, plan, start
        self.steps = int(plan.config["max_steps"])
        self.judge = Judge(fp16=bool(plan.config.get("fp16")))
        self.console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        self.bar = Bar(*columns, console=self.console, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("loading", total=self.steps, completed=start)
        self.said = start * 10 // self.steps if start else -1
        self.waits: DataWaits | None = None
        self.curves = Curves(out / BOARD / OURS)
        events = TrainerEvents(out / BOARD / TRAINER)
        self.progress = Progress(out, Seen(data, plan), events, plan.global_batch, start)
        for row in self.progress.rows:  # what the earlier launches gained
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
        if self.waits is not None:
            self.waits.close()
        if kind is not None:
            self.close()

    def beat(self, group: int) -> None:
        """Take up what happened since the last call. `group` is the launched process.

        Raises Fault, naming the last good checkpoint, when the loss has diverged.
        """
        if self.waits is None:
            self.waits = DataWaits(group, pinned=not self.plan.cpu)
        self._follow(self.waits.take() if self.progress.grown() else Waited(0, 0))
        if self.validation is not None:
            self.validation.beat()

    def finish(self) -> None:
        """The run has ended: the last rows, the last validation, and the picture."""
        try:
            self._follow(Waited(0, 0))
            if self.validation is not None:
                self.validation.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Stop what runs beside the run, and draw what there is."""
        if self.validation is not None:
            self.validation.close()
        self.curves.close()
        if path := draw(self.out):
            say(f"{path}: the curves of this run; all of them: tensorboard --logdir {self.out / BOARD}")

    def _follow(self, waited: Waited) -> None:
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

    def _diverged(self, why: str) -> str:
        """Weights of a checkpoint are good when the step after it still had a sound loss."""
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
        whole = good and self.plan.config.get("finetuning_type") != "lora"  # an adapter is no base
        begin = f"train with --base {found[max(good)]}" if whole else "train"
        return f"{said}. Lower learning_rate ({rate}) or warm up longer, and {begin} into another --out."
