"""Real training of nano on a CPU: ranks agree, an epoch has each row once, killed runs resume, failures are shown."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.train.launch.processes import group_alive, processes_of, roots_of, run_name
from mmafflm.train.plan.plan import plan
from mmafflm.train.run import train
from mmafflm.train.stream import order
from mmafflm.train.watch.progress import read_progress
from tests.forks import Forks
from tests.mmafflm.reading import read_ids
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import losses, make_data, text_records
from tests.paths import ROOT

NANO = RECIPES / "nano.yaml"
ZERO3 = {"deepspeed": "deepspeed/zero3.json", "per_device_train_batch_size": 2, "logging_steps": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data"), text_records(135))


@pytest.mark.slow
def test_zero3_on_two_ranks_gives_the_losses_of_one(
    tmp_path: Path, base: str, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both runs read the same four shards, four rows from each per step; only the reading ranks differ.
    import mmafflm.train.plan.plan as recipe_module

    data = make_data(tmp_path / "data", text_records(71))
    monkeypatch.setattr(recipe_module, "_workers_per_rank", lambda batches: 4)
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)  # test_watch.py starts ranks of ZeRO-3 as users do
    train(recipe_with(tmp_path, **ZERO3), data, tmp_path / "one", gpus=1, base=base)
    monkeypatch.setattr(recipe_module, "_workers_per_rank", lambda batches: 2)
    train(recipe_with(tmp_path, **ZERO3), data, tmp_path / "two", gpus=2, base=base)
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 4 and one.keys() == two.keys()
    # fp32; only the order of summation differs, and every step amplifies it
    assert two == pytest.approx(one, rel=1e-3), (one, two)
    states = {path.name for path in (tmp_path / "two/checkpoint-4/global_step4").iterdir()}
    assert states == {  # only ZeRO-3 divides the model's own states over the ranks
        f"zero_pp_rank_{rank}_mp_rank_00_{part}_states.pt" for rank in (0, 1) for part in ("model", "optim")
    }
    for run in ("one", "two"):
        told = json.loads((tmp_path / run / "run.json").read_text())
        assert told["finished"] and told["examples"] == 64 and told["data_hash"] == data.hash
        readme = (tmp_path / run / "README.md").read_text()
        assert "64 in all, each once" in readme and "generated automatically" not in readme  # not the Trainer's
        assert (tmp_path / run / "model.safetensors").stat().st_size > 1_000_000  # gathered from the shards


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "ranks", "micro", "workers"),
    [
        (1043, 2, 4, 4),  # 19 rows are left over; shards have 261 and 260
        (783, 2, 16, 6),  # 3 steps of 256: 24 batches per rank, which k = 2 and k = 3 divide
        (1043, 1, 1, 2),
        (271, 3, 1, 0),  # global batch 255 in 85 batches per rank: k = 5
    ],
)
def test_an_epoch_sees_every_example_once(
    rows: int, ranks: int, micro: int, workers: int, tmp_path: Path, base: str, forks: Forks
) -> None:
    data = make_data(tmp_path / "data", text_records(rows))
    batch = 255 if ranks == 3 else 256
    recipe = recipe_with(tmp_path, global_batch=batch, per_device_train_batch_size=micro)
    planned = plan(recipe, data, gpus=ranks, base=base, out=tmp_path / "run")
    config = dict(planned.config)
    if ranks == 3:
        assert config["dataloader_num_workers"] == 15
    elif workers == 6:
        config["dataloader_num_workers"] = 6
    else:
        assert config["dataloader_num_workers"] == workers
    read = read_ids(forks, tmp_path, [config], ranks)[0]
    batches = [batch for rank in read for batch in rank]
    assert {len(one) for one in batches} == {micro}  # no short batch anywhere
    seen = Counter(number for one in batches for number in one)
    assert sum(seen.values()) == config["max_steps"] * batch == planned.examples
    assert max(seen.values()) == 1 and len(seen) == planned.examples
    assert seen.keys() <= set(range(rows))
    foretold = order.batches(rows, config, ranks)  # [batches, ranks, micro]
    assert np.array_equal(foretold, np.array(read).transpose(1, 0, 2))


def start(recipe: Path, data: Dataset, out: Path, base: str, *flags: str) -> "subprocess.Popen[str]":
    words = ["train", str(recipe), "--data", str(data.path), "--out", str(out), "--base", base, *flags]
    command = [sys.executable, "-m", "mmafflm", *words]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: "subprocess.Popen[str]", pattern: str) -> Path:
    for _ in range(12_000):  # ten minutes, for a busy machine
        if found := sorted(path.glob(pattern)):
            return found[0]
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
    raise AssertionError(f"{pattern} never came")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_end(
    tmp_path: Path, data: Dataset, base: str, forks: Forks, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recipe = recipe_with(tmp_path, logging_steps=1, save_steps=3)
    run = tmp_path / "killed"
    process = start(recipe, data, run, base)
    wait_for(run, process, "checkpoint-3/trainer_state.json")
    (group,) = roots_of(run_name(run, 0))
    os.killpg(group, signal.SIGKILL)
    process.kill()
    process.wait()
    while group_alive(group):  # the kernel takes a moment to remove them
        time.sleep(0.1)
    assert not json.loads((run / "run.json").read_text())["finished"]

    with pytest.raises(UsageFault, match="already holds a run"):
        train(recipe, data, run, base=base)
    (run / "checkpoint-99").mkdir()  # half-written: no trainer_state.json
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)  # the resumed run is launched like the first
    train(recipe, data, run, base=base, resume=True)
    said = capsys.readouterr().err
    assert "checkpoint-99: half-written (no trainer_state.json); skipped" in said
    assert re.search(r"with the remaining (80|32) of 128 examples", said)  # from step 3, or 6 if that was quick
    assert losses(run).keys() == set(range(1, 9)) and (run / "model.safetensors").exists()
    assert [row["step"] for row in read_progress(run)] == list(range(1, 9))
    train(recipe, data, run, base=base, resume=True)
    assert "nothing to do" in capsys.readouterr().err
    run.joinpath("run.json").write_text(run.joinpath("run.json").read_text().replace("true", "false"))
    with pytest.raises(UsageFault, match="another learning_rate"):
        train(
            recipe_with(tmp_path, logging_steps=1, save_steps=3, learning_rate=1.0), data, run, base=base, resume=True
        )


@pytest.mark.slow
def test_ctrl_c_stops_every_process_and_says_how_to_go_on(tmp_path: Path, base: str) -> None:
    """Two ranks: torchrun gives each its own session, so ending the launched process group would end neither."""
    data = make_data(tmp_path / "data", text_records(4000))  # enough that the run does not end first
    process = start(NANO, data, tmp_path / "run", base, "--gpus", "2")
    wait_for(tmp_path / "run", process, "trainer_log.jsonl")
    living = processes_of(run_name(tmp_path / "run", 0))
    assert len({os.getsid(one.pid) for one in living}) >= 3  # the launcher's and two ranks'
    (root,) = roots_of(run_name(tmp_path / "run", 0))
    with pytest.raises(UsageFault, match=f"still being trained. Wait, or stop it: kill {root}$"):
        train(NANO, data, tmp_path / "run", base=base, gpus=2, resume=True)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=900)[1]
    assert process.returncode == 130 and "--resume" in said
    assert not processes_of(run_name(tmp_path / "run", 0))


@pytest.mark.slow
def test_a_failing_run_says_the_error_and_the_log(
    tmp_path: Path, data: Dataset, base: str, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)
    with pytest.raises(Fault, match="ValueError: No `target_modules` passed") as caught:
        train(
            recipe_with(tmp_path, finetuning_type="lora", lora_target="does_not_exist"),
            data,
            tmp_path / "run",
            base=base,
        )
    assert str(tmp_path / "run" / "train.log") in str(caught.value)
    described = json.loads((tmp_path / "run" / "run.json").read_text())
    assert described["ended"] == str(caught.value) and not described["finished"]


def test_changed_data_is_refused(tmp_path: Path, base: str) -> None:
    data = make_data(tmp_path / "data", text_records(32))
    with (data.path / "mmaffin/dataset_info.json").open("a") as registry:
        registry.write("\n")
    with pytest.raises(Fault, match=r"dataset_info\.json: changed after the build"):
        train(NANO, data, tmp_path / "run", base=base)
    assert not (tmp_path / "run").exists()


def test_gpus_that_are_not_here(tmp_path: Path, data: Dataset, base: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UsageFault, match=r"needs 2 GPUs on this machine, which has 0"):
        train(recipe_with(tmp_path, "mmafflm-3b.yaml", global_batch=16), data, tmp_path / "run", gpus=2, base=base)


def test_several_nodes_need_a_master(tmp_path: Path, data: Dataset, base: str) -> None:
    with pytest.raises(UsageFault, match="--master HOST:PORT"):
        train(NANO, data, tmp_path / "run", nodes=2, base=base)
