"""RUN/README.md, on plans alone; test_train.py looks at one that a training wrote."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from mmafflm.dataset import Dataset
from mmafflm.train.plan.plan import plan
from mmafflm.train.readme import write_readme


def written(out: Path, recipe: str, data: Dataset, base: str) -> str:
    """The README of a run with the recipe of this name."""
    planned = plan(Path(recipe), data, gpus=2, base=base, out=out)
    out.mkdir()
    run = {"data": str(data.path), "data_hash": data.hash, "seed": 42, "versions": {"mmafflm": "9.9", "torch": "2.0"}}
    (out / "run.json").write_text(json.dumps(run))
    write_readme(out, planned)
    return (out / "README.md").read_text(encoding="utf-8")


def test_it_says_what_was_trained_on_what(reviews: Dataset, bare: str, tmp_path: Path) -> None:
    out = tmp_path / "a run"
    text = written(out, "mmafflm-3b", reviews, bare)
    _, head, body = text.split("---\n", 2)
    assert yaml.safe_load(head) == {"library_name": "transformers", "tags": ["llama-factory", "mmafflm"]}
    assert "# a run\n" in body and "full fine-tuning" in body and "mmafflm-3b.yaml" in body and reviews.hash in body
    assert "1,300 records" in body and "5 steps of 256 examples, 1,280 in all" in body and "mmafflm 9.9" in body
    (command,) = (line for line in body.splitlines() if line.startswith("mmaffben predict"))
    assert shlex.split(command)[3] == str(out)


@pytest.mark.parametrize(("base", "named"), [("Qwen/Qwen2.5-VL-7B-Instruct", True), ("bare", False)])
def test_an_adapter_and_a_base_of_the_hub_are_named(
    base: str, named: bool, reviews: Dataset, bare: str, tmp_path: Path
) -> None:
    text = written(tmp_path / "run", "mmafflm-7b-lora", reviews, bare if base == "bare" else base)
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["library_name"] == "peft" and head.get("base_model") == (base if named else None)
    assert "a LoRA adapter" in text and "it needs its base" in text
