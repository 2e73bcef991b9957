"""train_configs/llamafactory/paper-as-run.yaml differs from our recipe only where its header says, and it runs."""

import json
from pathlib import Path

import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import plan
from tests.forks import TRAIN, Forks
from tests.mmafflm.recipes import PAPER, RECIPES
from tests.mmafflm.tiny_data import make_data, text_records


def test_the_papers_run_differs_where_its_header_says(tmp_path: Path) -> None:
    data: Dataset = make_data(tmp_path, text_records(1300))
    theirs = yaml.safe_load(PAPER.read_text())
    ours = plan(RECIPES / "mmafflm-3b.yaml", data, gpus=2).config
    assert (theirs["max_steps"], theirs["warmup_steps"], theirs["mix_strategy"]) == (450, 100, "interleave_over")
    assert (theirs["gradient_accumulation_steps"], theirs["learning_rate"]) == (128, 5e-6)
    assert len(theirs["dataset"].split(",")) == 18
    computed = {"dataset", "dataset_dir", "media_dir", "output_dir", "max_steps", "warmup_steps", "deepspeed"}
    differ = {key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)}
    defaults = {"video_fps", "video_maxlen", "seed", "save_strategy"}  # ours states LLaMA-Factory's defaults
    watching = {"report_to", "logging_nan_inf_filter"}  # what is logged, not what is trained
    said = {"trust_remote_code"}  # also false by default
    assert differ - computed - defaults - watching - said == {"mix_strategy"}


@pytest.mark.slow
def test_the_papers_own_run_runs(nano: Path, forks: Forks, tmp_path: Path) -> None:
    """Run two steps of train_configs/llamafactory/paper-as-run.yaml as in its header, with overrides for a CPU."""
    data = make_data(tmp_path / "data", text_records(40)).path
    registry = json.loads((data / "mmaffin/dataset_info.json").read_text())
    entry = registry["mmaffin_train"]
    (data / "mmaffin/dataset_info.json").write_text(json.dumps({"A_train": entry, "B_train": entry}))
    words = [
        *(f"dataset_dir={data / 'mmaffin'}", f"media_dir={data}", f"output_dir={tmp_path / 'run'}"),
        *(f"model_name_or_path={nano}", "dataset=A_train,B_train", "bf16=false", "max_steps=2"),
        *("gradient_accumulation_steps=2", "warmup_steps=1"),
    ]
    forks.check(TRAIN, [str(PAPER), *words], tmp_path, ranks=1)
    state = json.loads((tmp_path / "run/trainer_state.json").read_text())
    assert state["global_step"] == 2
