"""Watching a run: planted logs, loaders that wait, and one run of nano under ZeRO-3 with everything turned on."""

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import read_jsonl
from mmafflm.train.launch.tensorboard import TrainerEvents
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.run import train
from mmafflm.train.stream.similar import training_order
from mmafflm.train.watch.exposure import Exposure
from mmafflm.train.watch.progress import Progress, read_progress, sentence
from tests.forks import Forks
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import losses, make_data, text_records

STEPS = 6


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
        return Progress(
            tmp_path,
            Exposure(data, planned, training_order(planned, data)),
            TrainerEvents(tmp_path / "none"),
            16,
            start,
        )

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
    seen = Exposure(mixed, planned, training_order(planned, mixed))
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
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert not described["finished"] and described["ended"] == said
    assert (tmp_path / "run/curves.png").exists()
