"""Tiny models of today's families train through LLaMA-Factory: streaming, ZeRO-3, two ranks; then they are tested.

Qwen3-VL trains in full and is resumed; InternVL3 and Gemma 3 train adapters, which are merged.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from data_build.config import load_mix
from data_build.remix import remix
from eval.ask.predict import predict
from eval.score.score import score_run
from mmafflm.dataset import Dataset
from mmafflm.families.find import family_of
from mmafflm.train.export import export
from mmafflm.train.run import train
from tests.eval.tiny_families import Tiny, gemma3, internvl, qwen3_vl, write_tiny
from tests.forks import Forks
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import losses
from tests.mmafflm.train.test_export import launch_forked

ADAPTERS = {"finetuning_type": "lora", "lora_rank": 4, "lora_target": "all", "learning_rate": 0.02}
SUBSETS = {"text": "onlineshopping", "image": "EMOTIC_EC", "video": "MELD_EC"}


def undo_after(run: Path, step: int) -> None:
    """Make a finished run look as if it had been killed after the checkpoint of this step."""
    for path in run.glob("checkpoint-*"):
        if int(path.name.partition("-")[2]) > step:
            shutil.rmtree(path)
    (run / "model.safetensors").unlink()
    told = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(told | {"finished": False}))


@pytest.mark.slow
@pytest.mark.parametrize(("make", "lora"), [(qwen3_vl, False), (internvl, True), (gemma3, True)])
def test_a_family_trains_under_zero3_and_is_tested(
    make: Callable[[Path], Tiny],
    lora: bool,
    tmp_path: Path,
    nano: Path,
    mixed: Dataset,
    forks: Forks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    family = family_of(make.__name__)
    mix = "full" if "video" in family.media.accepts else "without-video"
    remix(mixed, load_mix(RECIPES / f"experiments/mixes/{mix}.yaml"), tmp_path / "data", share=0.5)
    data = Dataset.open(tmp_path / "data")
    base, run, model = write_tiny(make, nano, tmp_path / "base"), tmp_path / "run", tmp_path / "run"
    recipe = recipe_with(
        tmp_path, deepspeed="deepspeed/zero3.json", per_device_train_batch_size=1, global_batch=8, logging_steps=1,
        save_steps=1, cutoff_len=16384, **ADAPTERS if lora else {},
    )  # fmt: skip
    monkeypatch.setattr("mmafflm.train.run.run", forks.train)
    train(recipe, data, run, gpus=2, base=str(base))
    found = losses(run)
    assert len(found) == (3 if mix == "full" else 2) and found[len(found)] < found[1]
    if lora:
        monkeypatch.setattr("mmafflm.train.export._launch", partial(launch_forked, forks))
        model = tmp_path / "merged"
        export(run, model)
    else:
        undo_after(run, 1)
        train(recipe, data, run, gpus=2, base=str(base), resume=True)
        assert losses(run) == pytest.approx(found, rel=1e-4)
    asked = [SUBSETS["text"], *(SUBSETS[kind] for kind in family.media.accepts)]
    predict(model, data, tmp_path / "eval", asked, 2, dtype="float32")
    told = json.loads((tmp_path / "eval/run.json").read_text())
    assert told["template"] == (family.template if family.chat_template else "the checkpoint's own")
    assert score_run(tmp_path / "eval", data, "strict")["subsets"].keys() == set(asked)
