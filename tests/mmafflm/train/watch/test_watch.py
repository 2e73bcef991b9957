"""Watching a run: planted logs, loaders that wait, and one run of nano under ZeRO-3 with everything turned on."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import read_jsonl
from mmafflm.train.launch.data_wait import DataWaits, time_loading
from mmafflm.train.launch.launch import STARTUP
from mmafflm.train.launch.tensorboard import TrainerEvents
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.run import train
from mmafflm.train.watch.divergence import Judge
from mmafflm.train.watch.exposure import Exposure
from mmafflm.train.watch.progress import Progress, read_progress, sentence
from tests.forks import Forks
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import losses, make_data, text_records

STEPS = 6


def judged(losses: list[float], judge: Judge | None = None) -> tuple[int, str | None, Judge]:
    """The step at which the judge stops a run with these losses (0: never), the reason, and the judge."""
    judge = judge or Judge()
    for step, loss in enumerate(losses, 1):
        if why := judge.judge(step, loss):
            return step, why, judge
    return 0, None, judge


def falling(steps: int, start: float = 3.0, end: float = 0.4, noise: float = 0.15) -> list[float]:
    draw = random.Random(3)
    return [(end + (start - end) * math.exp(-step / 10)) * (1 + draw.gauss(0, noise)) for step in range(steps)]


def test_noise_spikes_and_small_losses_are_no_divergence() -> None:
    assert judged(falling(400))[0] == 0
    spiky = falling(400)
    spiky[100] = spiky[101] = spiky[250] = 40.0
    assert judged(spiky)[0] == 0
    assert judged(falling(400, start=8.3, end=0.01, noise=0.9))[0] == 0
    assert judged(falling(400, start=0.5, end=0.45))[0] == 0  # a run with little to learn


def test_a_loss_that_leaves_is_stopped_and_the_step_before_is_known() -> None:
    losses = falling(60) + [0.5 * 1.3**step for step in range(20)]
    step, why, judge = judged(losses)
    assert 64 <= step <= 70 and why and "diverges" in why
    assert 55 <= judge.sound_step <= 63
    step, why, judge = judged([8.3, 8.2, *[40.0 * step for step in range(1, 9)]])
    assert 0 < step <= 6 and judge.sound_step == 2  # it had learned nothing, then diverged
    step, why, judge = judged([*falling(30), math.nan])
    assert step == 31 and why == "the loss is nan at step 31" and judge.sound_step >= 28


def test_a_gradient_that_is_no_number_is_fp16s_own_business() -> None:
    assert "gradient is not a number" in str(Judge().judge(1, 3.0, math.nan))
    assert Judge(fp16=True).judge(1, 3.0, math.nan) is None


class Clock:
    """A clock that advances by the time spent waiting and computing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("mmafflm.train.launch.data_wait.time.monotonic", lambda: self.now)


def timed(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches as they come from a rank's timed DataLoader."""

    class DataLoader:
        def __iter__(self) -> Iterator[Any]:
            return batches

    time_loading(SimpleNamespace(DataLoader=DataLoader))
    return iter(DataLoader())


def trained_on(clock: Clock, wait_s: float, batches: int) -> None:
    """A rank that waits so long for each of its batches, and computes for a second on each."""

    def read() -> Iterator[int]:
        for batch in range(batches):
            clock.now += wait_s
            yield batch

    found = []
    for batch in timed(read()):
        found.append(batch)
        clock.now += 1
    assert found == [*range(batches)]


def test_waiting_for_data_is_timed_in_each_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0 waits 3 of every 4 s, rank 1 never waits, and rank 7 is still waiting."""
    clock = Clock(monkeypatch)
    waits = DataWaits(tmp_path / "cache")
    assert waits.take() is None and waits.under_way() == {}
    clock.now += 500  # a model is being loaded
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    trained_on(clock, wait_s=3, batches=4)
    assert waits.take() == 0.75 and waits.take() is None  # no time has passed since
    monkeypatch.setenv("RANK", "1")
    trained_on(clock, wait_s=0, batches=8)
    assert waits.take() == 0  # over both ranks
    monkeypatch.setenv("RANK", "7")
    assert next(timed(hangs(waits, clock))) == {"7": 90.0}


def hangs(waits: DataWaits, clock: Clock) -> Iterator[dict[str, float]]:
    """Batches that do not come: yields what the launcher sees of the waiting rank."""
    clock.now += 90
    assert waits.take() == pytest.approx(90 / (90 * 3), abs=1e-4)  # one of three ranks waits
    yield waits.under_way()


def test_every_dataloader_of_a_run_is_timed(tmp_path: Path) -> None:
    code = (
        "from torch.utils.data import DataLoader\n"
        "print([int(batch) for batch in DataLoader(range(3), num_workers=1)], len(DataLoader(range(3))))"
    )
    env = os.environ | {"PYTHONPATH": str(STARTUP), "HF_DATASETS_CACHE": str(tmp_path), "RANK": "3"}
    waits = DataWaits(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "[0, 1, 2] 3\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["data_wait.3"]
    assert 0 < (waits.take() or 0) < 1 and waits.under_way() == {}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, base: str) -> tuple[Dataset, Plan]:
    """Four steps of 16 over 70 reviews."""
    folder = tmp_path_factory.mktemp("tiny")
    data = make_data(folder / "data", text_records(70))
    return data, plan(recipe_with(folder), data, gpus=1, base=base, out=folder / "run")


def log(out: Path, *steps: int, loss: float = 2.0) -> None:
    with (out / "trainer_log.jsonl").open("a") as rows:
        for step in steps:
            rows.write(json.dumps({"current_steps": step, "total_steps": 4, "loss": loss, "lr": 1e-3}) + "\n")


def test_progress_goes_on_without_a_gap_or_a_double_step(tmp_path: Path, tiny: tuple[Dataset, Plan]) -> None:
    data, planned = tiny

    def follower(start: int) -> Progress:
        return Progress(tmp_path, Exposure(data, planned), TrainerEvents(tmp_path / "none"), 16, start)

    first = follower(0)
    log(tmp_path, 1)
    with (tmp_path / "trainer_log.jsonl").open("a") as rows:
        rows.write('{"current_steps": 2, "lo')  # being written
    assert [row["step"] for row in first.follow(0.25)] == [1]
    with (tmp_path / "trainer_log.jsonl").open("a") as rows:
        rows.write('ss": NaN}\n')
    (row,) = first.follow(0.75)
    assert math.isnan(row["loss"]) and row["data_wait_share"] == 0.75 and "loss nan" in sentence(row, 4)
    log(tmp_path, 3)  # logged after the launcher was killed; checkpoint-3 is complete
    with (tmp_path / "progress.jsonl").open("a") as rows:
        rows.write('{"step": 3, "torn')
    second = follower(3)
    log(tmp_path, 4, loss=1.5)
    second.follow(None)
    rows = read_progress(tmp_path)
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and rows[1]["loss"] is None
    assert rows[2]["examples_per_s"] is None and rows[3]["data_wait_share"] is None
    third = follower(2)  # from an older checkpoint: steps 3 and 4 are trained again
    assert [row["step"] for row in read_progress(tmp_path)] == [1, 2]
    log(tmp_path, 3, 4, loss=1.0)
    third.follow(None)
    assert [(row["step"], row["loss"]) for row in read_progress(tmp_path)][2:] == [(3, 1.0), (4, 1.0)]
    with (tmp_path / "trainer_log.jsonl").open("a") as rows:
        rows.write('{"current_steps": 4, "to\0\0')  # a power cut
    fourth = follower(3)
    log(tmp_path, 4, loss=0.5)
    fourth.follow(None)
    assert [(row["step"], row["loss"]) for row in read_progress(tmp_path)][2:] == [(3, 1.0), (4, 0.5)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, mixed: Dataset, base: str) -> tuple[Path, Plan]:
    """Six steps of 8 on two ranks under ZeRO-3; the checkpoint of step 4 is validated during the run."""
    folder = tmp_path_factory.mktemp("trained")
    recipe = recipe_with(
        folder, deepspeed="deepspeed/zero3.json", global_batch=8, per_device_train_batch_size=1, logging_steps=1,
        save_steps=4, validate_every=4, validate_rows=3, include_num_input_tokens_seen="all",
    )  # fmt: skip
    train(recipe, mixed, folder / "run", gpus=2, base=base)
    return folder / "run", plan(recipe, mixed, gpus=2, base=base, out=folder / "run")


@pytest.mark.slow
def test_every_logged_step_is_a_row(trained: tuple[Path, Plan]) -> None:
    run, _ = trained
    rows = read_progress(run)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    logged = [json.loads(line) for line in (run / "trainer_log.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [one["loss"] for one in logged if "loss" in one]
    assert all(row["grad_norm"] > 0 and row["learning_rate"] >= 0 for row in rows)
    assert all(row["tokens_per_s"] > 0 and row["examples_per_s"] > 0 for row in rows[1:])
    assert all(0 < row["real_share"] <= 1 for row in rows)
    assert all(0 <= row["data_wait_share"] < 1 for row in rows[:-1])  # the last may be read after the ranks have ended
    assert any(row["data_wait_share"] > 0 for row in rows[:-1])
    for kind in ("subset", "language", "modality"):
        assert sum(rows[-1]["seen"][kind].values()) == pytest.approx(1, abs=1e-3)
    assert rows[-1]["seen"]["modality"] == {"image": 0.33333, "text": 0.33333, "video": 0.33333}


@pytest.mark.slow
def test_tokens_are_those_that_the_trainer_counts(trained: tuple[Path, Plan], mixed: Dataset) -> None:
    run, planned = trained
    seen = Exposure(mixed, planned)
    logged = [json.loads(line) for line in (run / "trainer_log.jsonl").read_text().splitlines()]
    counted = {one["current_steps"]: one["total_tokens"] for one in logged if "loss" in one}
    padded = {}
    for step in counted:
        tokens = seen.tokens(1, step)
        assert tokens
        padded[step] = tokens.padded
    assert padded == counted


@pytest.mark.slow
def test_tensorboard_has_the_trainers_curves_and_ours(trained: tuple[Path, Plan]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, _ = trained
    rows = read_progress(run)
    theirs = EventAccumulator(str(run / "tensorboard/trainer")).Reload()
    assert [point.value for point in theirs.Scalars("train/loss")] == pytest.approx([row["loss"] for row in rows])
    assert [point.value for point in theirs.Scalars("train/grad_norm")] == pytest.approx(
        [row["grad_norm"] for row in rows]
    )
    ours = EventAccumulator(str(run / "tensorboard/mmafflm")).Reload()
    assert [point.step for point in ours.Scalars("data/real_share")] == list(range(1, STEPS + 1))
    assert ours.Scalars("seen_subset/MELD_EC")[-1].value == pytest.approx(1 / 3, abs=1e-3)
    assert [point.step for point in ours.Scalars("validation/MELD_EC")] == [4]
    with Image.open(run / "curves.png") as picture:
        assert picture.width > 1000 and len(picture.convert("L").getcolors() or range(300)) > 10


@pytest.mark.slow
def test_a_checkpoint_under_zero3_is_validated_beside_the_run(trained: tuple[Path, Plan]) -> None:
    run, _ = trained
    (row,) = read_jsonl(run / "validation.jsonl")
    assert row["step"] == 4 and row["device"] == "CPU"
    assert set(row["tasks"]) == {"onlineshopping", "EMOTIC_EC", "MELD_EC"}
    for one in row["tasks"].values():
        assert one["n"] == 3 and one["metric"] == "macro_f1" and 0 <= one["unparsed_share"] <= 1
        assert 0.33 < one["top_share"] <= 1 and 0.33 < one["gold_top_share"] <= 1
    ids = [one["id"] for one in read_jsonl(run / "validation/step-4/predictions/MELD_EC.jsonl")]
    assert len(ids) == 3 and all("/val/" in one for one in ids)
    described = json.loads((run / "validation/step-4/run.json").read_text())
    assert described["split"] == "val" and described["budget"] == json.loads((run / "run.json").read_text())["budget"]
    assert not list((run / "validation").glob("checkpoint-*"))  # the links are gone; the checkpoint itself remains
    assert (run / "checkpoint-4/model.safetensors").stat().st_size > 1_000_000


@pytest.mark.slow
def test_a_run_that_diverges_is_stopped_and_names_the_last_good_checkpoint(
    tmp_path: Path, base: str, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The learning rate rises from 0 to 1 in five steps; nano tolerates 0.2."""
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)
    data = make_data(tmp_path / "data", text_records(330))
    recipe = recipe_with(
        tmp_path, learning_rate=1.0, lr_scheduler_type="constant_with_warmup", logging_steps=1, save_steps=1,
        save_total_limit=100, max_grad_norm=1000.0, include_num_input_tokens_seen="non_padding",
    )  # fmt: skip
    with pytest.raises(Fault, match=r"stopped, the loss") as caught:
        train(recipe, data, tmp_path / "run", base=base)
    said = str(caught.value)
    good = int(said.partition("The last good checkpoint is ")[2].partition(" (")[0].rpartition("-")[2])
    found = losses(tmp_path / "run")
    assert found[good + 1] < 1.5 * found[1] < found[good + 2], said  # the step after it was good, the next was not
    assert f"--base {tmp_path / 'run'}/checkpoint-{good}" in said and f"; checkpoint-{good + 1}, " in said
    steps = [row["step"] for row in read_progress(tmp_path / "run")]
    assert steps == list(range(1, len(steps) + 1)) and 3 <= len(steps) < 20
    logged = [json.loads(line) for line in (tmp_path / "run/trainer_log.jsonl").read_text().splitlines()]
    tokens = [row["tokens"] for row in read_progress(tmp_path / "run")]
    assert [sum(tokens[: at + 1]) for at in range(len(tokens))] == [one["total_tokens"] for one in logged][
        : len(tokens)
    ]
    assert not json.loads((tmp_path / "run/run.json").read_text())["finished"]
    assert (tmp_path / "run/curves.png").exists()
