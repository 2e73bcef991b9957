"""The loss is that of the answers, however the batch is divided; and the parts that should train get gradients."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from mmafflm.dataset import Dataset
from mmafflm.records import write_text
from mmafflm.train.plan.plan import plan
from tests.forks import Forks
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, make_record

ROWS = 32  # all in one step


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Text, pictures and clips in turn, with prompts of many lengths and answers of one length."""
    folder, draw, records = tmp_path_factory.mktemp("data") / "data", random.Random(5), []
    (folder / "media").mkdir(parents=True)
    for number in range(ROWS):
        text = "word " * draw.randint(1, 60)
        records.append(make_record(number, text, "joy, anger", images=number % 3 == 1, videos=number % 3 == 2))
        Image.new("RGB", (84, 56), (number, 90, 200)).save(folder / f"media/{number}.png")
    return make_data(folder, records)


def in_one_process(forks: Forks, verbs: dict[Path, str]) -> list[Any]:
    """The output of tests/mmafflm/train/loss_step.py for each config and its verb."""
    words = [word for config, verb in verbs.items() for word in (verb, str(config))]
    said = forks.check("from tests.mmafflm.train.loss_step import main\nmain()", words, next(iter(verbs)).parent)
    found: list[Any] = json.loads(said.splitlines()[-1])
    return found


BATCHES = (32, 4, 1)
SHIPPED = ("mmafflm-3b.yaml", "pocket.yaml", "mmafflm-7b-lora.yaml", "mmafflm-7b-lora-vision.yaml")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, data: Dataset, base: str, forks: Forks) -> dict[str, Any]:
    """The first step by micro-batch ("32": {"loss", "grad_norm", ...}) and gradients by recipe, from one process."""
    root = tmp_path_factory.mktemp("runs")
    changes = {str(micro): {"global_batch": ROWS, "logging_steps": 1, "per_device_train_batch_size": micro}
               for micro in BATCHES}  # fmt: skip
    # the shipped recipes with their checkpointing; only DeepSpeed and bf16 are taken out for one CPU process
    alike = {"hardware": "cpu", "bf16": False, "global_batch": 16, "per_device_train_batch_size": 1}
    verbs = {}
    for name, changed in (changes | dict.fromkeys(SHIPPED, alike)).items():
        (folder := root / name).mkdir()
        recipe = recipe_with(folder, name if name in SHIPPED else "nano.yaml", **changed)
        config = plan(recipe, data, 1, base=base, out=folder).config
        config.pop("deepspeed", None)
        if name in SHIPPED:
            config["per_device_train_batch_size"] = 8  # text, pictures and clips together; only ZeRO-3 forbids that
        write_text(folder / "config.yaml", yaml.safe_dump(config))
        verbs[folder / "config.yaml"] = "gradients" if name in SHIPPED else "train"
    results = dict(zip([*changes, *SHIPPED], in_one_process(forks, verbs), strict=True))
    for name in changes:
        results[name] = json.loads((root / name / "trainer_state.json").read_text())["log_history"][0]
    return results


@pytest.mark.slow
def test_the_first_loss_is_the_same_for_every_accumulation(found: dict[str, Any]) -> None:
    """1, 8 and 32 micro-batches of the same 32 rows; for ranks see test_media_training.py.

    LLaMA-Factory takes the mean of the micro-batches' means (sft/trainer.py, model_accepts_loss_kwargs False): nothing
    scales with the accumulation, and with micro-batches of one row every example weighs the same. In a larger
    micro-batch longer answers weigh more, so the answers here have one length; the prompts do not.
    """
    whole, *others = (found[str(micro)] for micro in BATCHES)
    assert whole["loss"] > 1 and whole["grad_norm"] > 0.1
    for other in others:
        assert other["loss"] == pytest.approx(whole["loss"], rel=1e-5)  # fp32; sums in another order
        assert other["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-3)


def reached(gradients: dict[str, float | None], part: str) -> set[bool]:
    """Whether parameters of that part get a gradient: {True} when all do."""
    return {value is not None and value > 0 for name, value in gradients.items() if part in name}


@pytest.mark.slow
def test_gradients_reach_what_trains_and_nothing_else(found: dict[str, Any]) -> None:
    full, frozen, lora, vision = (found[name] for name in SHIPPED)
    for part in ("visual.blocks", "visual.patch_embed", "visual.merger", "language_model"):
        assert reached(full, part) == {True}, part
        assert reached(frozen, part) == {part == "language_model"}, part
    for adapted in (lora, vision):
        plain = {name: value for name, value in adapted.items() if "lora_" not in name}
        assert set(plain.values()) == {None}  # the base's own weights
        assert reached(adapted, "language_model.layers.0.mlp.up_proj.lora_B") == {True}
    assert not reached(lora, "visual.blocks.0.attn.qkv.lora")
    blocks = {name: value for name, value in vision.items() if "visual.blocks" in name and "lora_B" in name}
    assert blocks and all(blocks.values())  # lora_A has no gradient at first: lora_B, its factor, begins at zero
