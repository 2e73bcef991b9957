"""Resuming: the remaining rows come in the order of the uninterrupted run; half-written checkpoints are ignored."""

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from mmafflm.checkpoints import last_checkpoint
from mmafflm.dataset import MIX, Dataset
from mmafflm.errors import UsageFault
from mmafflm.train.plan.plan import Plan, plan
from mmafflm.train.run import train
from mmafflm.train.stream.order import batches
from mmafflm.train.stream.resume import RESUMED, write_resumed
from mmafflm.train.stream.similar import training_order
from mmafflm.train.watch.progress import read_progress
from tests.forks import Forks
from tests.mmafflm.reading import read_ids
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import losses, make_data, make_record, text_records

KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
import llamafactory.train.tuner as tuner
import mmafflm.train.run
import yaml
from mmafflm.dataset import Dataset
from transformers import Trainer, TrainerCallback

recipe, data, base, out, kills = *map(Path, sys.argv[1:5]), json.loads(sys.argv[5])

def die():
    os.killpg(0, signal.SIGKILL)  # the trainer and its data workers: a session of their own

class Killer(TrainerCallback):
    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step and not self.saving:
            die()

def train(out, step=None, saving=False, resume=False):
    killer = Killer()
    killer.step, killer.saving = step, saving
    save_rng = Trainer._save_rng_state
    def save_rng_state(self, folder):
        if saving and self.state.global_step >= step:
            die()
        save_rng(self, folder)
    Trainer._save_rng_state = save_rng_state
    def run(config, *_):
        tuner.run_exp(yaml.safe_load(config.read_text()), callbacks=[killer])
        return 0
    mmafflm.train.run.run = run  # in this process: a start of its own costs ten seconds
    mmafflm.train.run.train(recipe, Dataset.open(data), out, base=str(base), resume=resume)

def ends_with(code, *words, **more):
    child = os.fork()
    if child == 0:
        os.setsid()
        train(*words, **more)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code

ends_with(0, out / "whole")
run = out / "killed"
for number, (step, saving) in enumerate(kills):
    ends_with(-signal.SIGKILL, run, step=step, saving=saving, resume=number > 0)
    if (run / "rest").exists():  # what this start had before it
        (run / "rest").rename(out / f"rest-{number}")
        shutil.copy(run / "llamafactory.resume.yaml", out / f"{number}.yaml")
ends_with(0, run, resume=True)
"""


@pytest.mark.slow
def test_what_is_left_comes_in_the_order_of_the_whole(tmp_path: Path, base: str, forks: Forks) -> None:
    """Two ranks, through LLaMA-Factory and accelerate: three workers per rank in turn, and one that reads for both."""
    configs: list[dict[str, Any]] = []
    for rows, batch, buffer_size, workers, steps_done in ((1101, 72, 16, 6, (1, 5, 14)), (155, 8, 300, 1, (5,))):
        folder = tmp_path / str(rows)
        folder.mkdir()
        data = make_data(folder / "data", text_records(rows))
        recipe = recipe_with(folder, global_batch=batch, per_device_train_batch_size=4, buffer_size=buffer_size)
        planned = plan(recipe, data, gpus=2, base=base, out=folder / "run")
        assert planned.config["dataloader_num_workers"] == workers
        configs.append(planned.config)
        for done in steps_done:
            out = folder / f"run-{done}"
            write_resumed(planned, data, training_order(planned, data), out, out / f"checkpoint-{done}")
            configs.append(yaml.safe_load((out / RESUMED).read_text()))
    similar, planned = similar_lengths(tmp_path / "similar", base)
    turns, *left_of_turns, one, left_of_one, begun, left = read_ids(forks, tmp_path, [*configs, *similar], ranks=2)
    assert [[rank[done * 9 :] for rank in turns] for done in (1, 5, 14)] == left_of_turns
    assert [rank[5:] for rank in one] == left_of_one
    assert begun == training_order(*planned).transpose(1, 0, 2).tolist() and [rank[6:] for rank in begun] == left


def similar_lengths(folder: Path, base: str) -> tuple[list[dict[str, Any]], tuple[Plan, Dataset]]:
    """The configs that begin and resume a run with micro-batches of similar lengths."""
    folder.mkdir()
    draw = random.Random(3)
    records = [make_record(number, "word " * draw.randint(1, 60), "joy") for number in range(99)]
    data = make_data(folder / "data", records)
    planned = plan(recipe_with(folder, similar_lengths=True, per_device_train_batch_size=4, buffer_size=16,
                               global_batch=16), data, gpus=2, base=base, out=folder / "run")  # fmt: skip
    configs = []
    for done in (None, 3):
        out = folder / f"run-{done}"
        write_resumed(planned, data, training_order(planned, data), out, out / f"checkpoint-{done}" if done else None)
        configs.append(yaml.safe_load((out / RESUMED).read_text()))
    return configs, (planned, data)


@pytest.mark.slow
def test_ten_kills_at_random_steps_end_with_the_same_bytes(tmp_path: Path, base: str, forks: Forks) -> None:
    """One process, 21 steps, a checkpoint every second step; some of the kills come while one is being written."""
    data = make_data(tmp_path / "data", text_records(171))
    recipe = recipe_with(tmp_path, global_batch=8, logging_steps=1, save_steps=2, buffer_size=16)
    planned = plan(recipe, data, base=base, out=tmp_path / "whole")
    assert planned.config["dataloader_num_workers"] == 3  # every turn of the workers occurs
    draw = random.Random(4)
    kills = [(step, step % 2 == 0 and draw.random() < 0.7) for step in sorted(draw.sample(range(2, 22), 10))]
    said = forks.check(KILLED, [str(recipe), str(data.path), base, str(tmp_path), json.dumps(kills)], tmp_path)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert losses(killed) == losses(whole) and len(losses(whole)) == 21
    progress = [{row["step"]: (row["loss"], row["seen"]) for row in read_progress(run)} for run in (whole, killed)]
    assert progress[0] == progress[1] and [row["step"] for row in read_progress(killed)] == list(range(1, 22))
    assert "half-written" in said
    order = batches(171, planned.config, ranks=1)
    ids = pl.read_parquet(data.path / "mmaffin/parquet" / f"{MIX}.parquet")["id"].to_numpy()
    resumed_at = []
    for config in sorted(tmp_path.glob("[0-9]*.yaml"), key=lambda path: int(path.stem)):
        step = int(yaml.safe_load(config.read_text())["resume_from_checkpoint"].rpartition("-")[2])
        resumed_at.append(step)
        left = pl.read_parquet(tmp_path / f"rest-{config.stem}" / f"{MIX}.parquet")["id"].to_list()
        assert set(left) == set(ids[order[step:].ravel()]) and not set(left) & set(ids[order[:step].ravel()])
        assert len(left) - len(set(left)) < 3 * 8  # the last batch again, to give all workers as many; not trained on
    assert resumed_at == [last for step, _ in kills[:-1] if (last := (step - 1) // 2 * 2)]
    assert not (killed / "rest").exists()
    assert sorted(path.name for path in killed.glob("checkpoint-*")) == ["checkpoint-20", "checkpoint-21"]  # the last 2


def whole_checkpoint(folder: Path, ranks: int = 1, deepspeed: bool = False) -> Path:
    """A folder with the files of a checkpoint from the trainer, or from DeepSpeed with several ranks."""
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    random_states = ["rng_state.pth"] if ranks == 1 else [f"rng_state_{rank}.pth" for rank in range(ranks)]
    names = [*random_states, *([] if deepspeed else ["optimizer.pt", "scheduler.pt"])]
    if deepspeed:
        (folder / "latest").write_text("global_step4")
        (folder / "global_step4").mkdir()
        names += [f"global_step4/zero_pp_rank_{rank}_mp_rank_00_optim_states.pt" for rank in range(ranks)]
        names += [f"global_step4/zero_pp_rank_{rank}_mp_rank_00_model_states.pt" for rank in range(ranks)]
    for name in names:
        with zipfile.ZipFile(folder / name, "w") as file:
            file.writestr("data.pkl", b"0" * 100)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


SHARDS = "global_step4/zero_pp_rank_1_mp_rank_00"


@pytest.mark.parametrize(
    ("ranks", "deepspeed", "harm", "said"),
    [
        (1, False, lambda path: (path / "trainer_state.json").write_text("{"), "no trainer_state.json"),
        (1, False, lambda path: cut(path / "model.safetensors"), "model.safetensors missing or cut short"),
        (
            1,
            False,
            lambda path: (path / "model.safetensors").write_bytes(b""),
            "model.safetensors missing or cut short",
        ),
        (1, False, lambda path: (path / "model.safetensors").unlink(), "no weights"),
        (
            1,
            False,
            lambda path: (path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "mod'),
            "model.safetensors.index.json cut short",
        ),
        (1, False, lambda path: (path / "optimizer.pt").unlink(), "optimizer.pt missing or cut short"),
        (1, False, lambda path: cut(path / "optimizer.pt"), "optimizer.pt missing or cut short"),
        (2, False, lambda path: (path / "rng_state_1.pth").unlink(), "rng_state_1.pth missing or cut short"),
        (2, True, lambda path: (path / "latest").unlink(), "`latest` names no folder"),
        (2, True, lambda path: (path / "latest").write_text("global_step5"), "`latest` names no folder"),
        (2, True, lambda path: (path / f"{SHARDS}_optim_states.pt").unlink(), "1 optimizer states of 2"),
        (2, True, lambda path: cut(path / f"{SHARDS}_optim_states.pt"), "optim_states.pt missing or cut short"),
        (2, True, lambda path: cut(path / f"{SHARDS}_model_states.pt"), "model_states.pt missing or cut short"),
    ],
)
def test_a_checkpoint_that_was_being_written_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ranks: int, deepspeed: bool, harm: Any, said: str
) -> None:
    older = whole_checkpoint(tmp_path / "checkpoint-9", ranks, deepspeed)
    newer = whole_checkpoint(tmp_path / "checkpoint-10", ranks, deepspeed)
    assert last_checkpoint(tmp_path, ranks) == newer
    harm(newer)
    assert last_checkpoint(tmp_path, ranks, aside=False) == older and newer.exists()  # another node's view
    assert last_checkpoint(tmp_path, ranks) == older
    assert said in capsys.readouterr().err and (tmp_path / "incomplete-checkpoint-10").exists() and not newer.exists()


def test_another_build_of_the_data_is_refused(tmp_path: Path, base: str) -> None:
    out = tmp_path / "run"
    out.mkdir()
    planned = plan(recipe_with(tmp_path), make_data(tmp_path / "data", text_records(32)), base=base, out=out)
    (out / "llamafactory.yaml").write_text(planned.to_yaml())
    (out / "run.json").write_text(json.dumps({"finished": False, "data_hash": "another"}))
    with pytest.raises(UsageFault, match="was started on other data"):
        train(tmp_path / "recipe.yaml", Dataset.open(tmp_path / "data"), out, base=base, resume=True)


def test_a_stream_that_is_not_the_mix_is_replayed(
    tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_data(tmp_path / "data", text_records(64))
    planned = plan(recipe_with(tmp_path, streaming=False), data, base=base, out=tmp_path / "run")
    write_resumed(planned, data, training_order(planned, data), tmp_path / "run", tmp_path / "run/checkpoint-2")
    config = yaml.safe_load((tmp_path / "run" / RESUMED).read_text())
    assert config == planned.config | {"resume_from_checkpoint": str(tmp_path / "run/checkpoint-2")}
    assert "rows already seen are read again" in capsys.readouterr().err


@pytest.mark.parametrize("said", [{}, {"clip_positions": "original"}], ids=["older", "ours"])
def test_a_run_stopped_after_its_last_step_takes_the_checkpoints_weights(
    said: dict[str, str], tmp_path: Path, base: str
) -> None:
    data = make_data(tmp_path / "data", text_records(32))
    out = tmp_path / "run"
    planned = plan(recipe_with(tmp_path), data, base=base, out=out)
    last = whole_checkpoint(out / "checkpoint-2")
    (out / "llamafactory.yaml").write_text(planned.to_yaml())
    (out / "run.json").write_text(json.dumps({"finished": False, "data_hash": data.hash} | said))
    train(tmp_path / "recipe.yaml", data, out, base=base, resume=True)
    assert (out / "model.safetensors").read_bytes() == (last / "model.safetensors").read_bytes()
    told = json.loads((out / "run.json").read_text())
    assert told["finished"] and not (out / "optimizer.pt").exists()
    # for runs that others began, the positions of text are not known
    assert {name: told[name] for name in told if name == "clip_positions"} == said and told["mix_videos"] == 0
