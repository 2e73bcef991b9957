"""--fastest: the setup with the least estimated time that fits, and the recipe that it makes."""

from dataclasses import replace
from functools import partial

import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from mmafflm.train.plan import fastest as fastest_module
from mmafflm.train.plan import plan as plan_module
from mmafflm.train.plan.fastest import plan_for
from mmafflm.train.plan.forecast import GPUS, Gpu, forecast
from mmafflm.train.plan.memory import GIB
from mmafflm.train.plan.plan import plan
from mmafflm.train.plan.token_counts import scan
from tests.mmafflm.recipes import RECIPES
from tests.mmafflm.tiny_data import make_data, make_record, text_records

BASE = "Qwen/Qwen2.5-VL-7B-Instruct"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    records = text_records(1024)
    records[7] = make_record(7, "x", "positive", images=1)
    return make_data(tmp_path_factory.mktemp("data"), records)


def test_the_fastest_setup_fits_and_nothing_that_fits_is_faster(data: Dataset) -> None:
    known = forecast(plan(RECIPES / "mmafflm-7b.yaml", data, gpus=8))
    assert known
    card = GPUS["A100-80"]
    found = known.fastest(card)
    assert found and found.micro > 1 and not found.offload and known.memory(found).fits(card.gib)
    assert not known.memory(found).fits(known.memory(found).total / GIB)
    assert known.hours(card, found)[1] < known.hours(card)[1]
    for other in (replace(found, checkpointing=not found.checkpointing), replace(found, micro=2 * found.micro)):
        fits, slower = known.memory(other).fits(card.gib), known.hours(card, other)[1] >= known.hours(card, found)[1]
        assert slower or not fits, other
    small = known.fastest(GPUS["RTX4090-24"], 2)
    assert small and small.offload  # nothing else fits


def test_a_recipe_for_the_fastest_training(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = RECIPES / "mmafflm-7b.yaml"
    plain, made = plan(recipe, data, gpus=8), plan_for("A100-80", None, partial(plan, recipe, data, 8, 1, None, None))
    known, again = forecast(plain), forecast(made)
    assert known and again and again.setup == known.fastest(GPUS["A100-80"])
    assert made.similar_lengths and made.global_batch == plain.global_batch
    changed = {key for key in made.config | plain.config if made.config.get(key) != plain.config.get(key)}
    computed = {"gradient_accumulation_steps", "dataloader_num_workers"}
    assert changed - computed <= {
        "deepspeed", "per_device_train_batch_size", "disable_gradient_checkpointing", "use_reentrant_gc"
    }  # fmt: skip
    assert "instead of ZeRO-3, micro-batch 1 (" in made.notes[-1] and "not installed here: flash_attn" in made.notes[-1]
    monkeypatch.setattr(fastest_module, "find_spec", lambda name: name)
    scans: list[Dataset] = []
    monkeypatch.setattr(plan_module, "scan", lambda data, *rest: scans.append(data) or scan(data, *rest))
    config = plan_for("A100-80", None, partial(plan, recipe, data, 8, 1, None, None)).config
    assert config["flash_attn"] == "fa2" and config["enable_liger_kernel"]
    assert len(scans) == 1  # the mix is the same for both settings
    assert plan_for(None, None, partial(plan, recipe, data, 8, 1, None, None)) == plain
    monkeypatch.setitem(GPUS, "TOY-1", Gpu(1.0, 1, 1))
    for card, name, gpus in (("A100", "mmafflm-7b", 8), ("A100-80", "nano", 1), ("TOY-1", "mmafflm-7b", 8)):
        with pytest.raises(UsageFault, match=r"known are|is for a CPU|nothing fits on 8 of these cards"):
            plan_for(card, None, partial(plan, RECIPES / f"{name}.yaml", data, gpus, 1, BASE, None))
