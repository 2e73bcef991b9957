"""Values in a recipe that LLaMA-Factory cannot take, and keys with effects outside the run's folder."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.media.budget import vision_tokens
from mmafflm.train.plan.plan import plan
from mmafflm.train.plan.recipe_keys import known_keys, wrong_value
from tests.budget import BUDGET
from tests.forks import Forks
from tests.mmafflm.families.test_seam import data_with
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, text_records

VALUES: list[Any] = [
    "fast", "", "3", "5e-6", "true", 3, 0, -1, 2.5, 1e-6, True, False, None, [], ["a"], [1], {"a": 1}, "cosine", "sft",
    "full", "steps", "auto", float("nan"), float("inf"),
]  # fmt: skip
# LLaMA-Factory's own dataclasses with resolved types, and the keys that its command line takes as numbers.
THEIRS = """
import contextlib, io, json, sys, types, typing
from dataclasses import fields
from enum import Enum
from pydantic import ConfigDict, TypeAdapter, ValidationError
from llamafactory.hparams.parser import _TRAIN_ARGS, HfArgumentParser

values = json.loads(sys.argv.pop(1))
strict = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)

def parts(kind):
    found = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    enums = [one for one in found if isinstance(one, type) and issubclass(one, Enum)]
    literals = [typing.Literal[tuple(member.value for member in one)] for one in enums]
    return [*literals, *(one for one in found if one not in enums and not (enums and one is str))]

def taken(kind, value):
    try:
        TypeAdapter(kind, config=strict).validate_python(value)
        return True
    except ValidationError:
        return False

def parsed(parser, key, value):
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            parser.parse_known_args([f"--{key}={value}"])
        return True
    except SystemExit:
        return False

parser, found, numbers = HfArgumentParser(_TRAIN_ARGS), {}, {}
for cls in _TRAIN_ARGS:
    kinds = typing.get_type_hints(cls)
    for field in (field for field in fields(cls) if field.init):
        kind = kinds[field.name]
        if field.name in sys.argv[1:]:
            found[field.name] = None
            continue
        found[field.name] = [any(taken(part, value) for part in parts(kind)) for value in values]
        if kind in (int, float):
            numbers[field.name] = [parsed(parser, field.name, value) for value in values]
print("RESULT", json.dumps([found, numbers]), sep="")
"""


def test_the_types_are_those_of_llamafactory(forks: Forks, tmp_path: Path) -> None:
    """Compare every key with the dataclasses, and keys with numbers also with HfArgumentParser's command line."""
    classes = {"parallelism_config", "generation_config"}  # a recipe cannot have values of these types
    said = forks.check(THEIRS, [json.dumps(VALUES), *classes], tmp_path)
    types, numbers = json.loads(said.partition("RESULT")[2])
    assert set(types) == set(known_keys())
    assert len(numbers) > 60
    enums_in_lists = {"fsdp", "debug"}  # pydantic needs the members, YAML has their values
    for key in types.keys() - enums_in_lists - classes:
        ours = [wrong_value(key, value) is None for value in VALUES]
        assert ours == types[key], (key, known_keys()[key])
    for key, theirs in numbers.items():
        for value, taken in zip(VALUES, theirs, strict=True):
            if type(value) in (int, float, bool) and math.isfinite(value):
                assert (wrong_value(key, value) is None) == taken, (key, value)
            elif isinstance(value, str) and not taken:
                assert wrong_value(key, value), (key, value)


def refusal(recipe: Path, data: Dataset, base: str) -> str:
    with pytest.raises(Fault) as caught:
        plan(recipe, data, gpus=1, base=base)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("learning_rate", "fast", "a valid number"),
        ("learning_rate", "0.1", "a valid number"),  # in quotes; without them it is a number
        ("lora_rank", 2.5, "a valid integer"),
        ("bf16", "maybe", "a valid boolean"),
        ("save_steps", [100], "a valid number"),
        ("lr_scheduler_type", "cosin", "'cosine'"),
        ("finetuning_type", "partial", "'full'"),
        ("save_strategy", False, "'no', 'steps'"),  # an unquoted `no` of YAML
        ("run_name", 2505, "a valid string"),
    ],
)
def test_a_value_of_another_type_is_refused_by_plan(
    key: str, value: object, expected: str, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    pytest.importorskip("llamafactory")
    said = refusal(recipe_with(tmp_path, **{key: value}), reviews, bare)
    assert f"recipe.yaml: {key}: {value!r} is wrong: LLaMA-Factory expects" in said and expected in said


@pytest.mark.parametrize("key", ["video_fps", "video_maxlen"])
def test_the_frames_are_computed_from_data(key: str, tmp_path: Path, bare: str) -> None:
    data = make_data(tmp_path / "data", text_records(32))
    assert f"{key} is computed (the budget of --data" in refusal(recipe_with(tmp_path, **{key: 1}), data, bare)


@pytest.mark.parametrize("key", list(BUDGET.to_json()))
def test_the_budget_is_that_of_the_data(key: str, tmp_path: Path, bare: str) -> None:
    data = make_data(tmp_path / "data", text_records(32))
    other = replace(BUDGET, **{key: 2 * getattr(BUDGET, key)})
    written = json.loads((data.path / "manifest.json").read_text())
    (data.path / "manifest.json").write_text(json.dumps(written | {"config": {"budget": other.to_json()}}))
    config = plan(recipe_with(tmp_path), Dataset.open(data.path), gpus=1, base=bare).config
    assert {name: config[name] for name in other.to_json()} == other.to_json()


def test_a_recipe_may_lower_the_pixels(tmp_path: Path, bare: str) -> None:
    data, _ = data_with(tmp_path / "data", images=3)
    whole = plan(recipe_with(tmp_path), data, gpus=1, base=bare)
    few = {"image_max_pixels": 3136, "video_max_pixels": 1024}
    lower = plan(recipe_with(tmp_path, **few), data, gpus=1, base=bare)
    assert "image_max_pixels is 3136: media are scaled down from the 262144 of the build." in lower.notes
    assert lower.budget.to_json() == BUDGET.to_json() | few and whole.budget == data.budget == BUDGET
    assert lower.mix.vision_tokens == 3 * vision_tokens(*lower.budget.size(300, 400)) < whole.mix.vision_tokens
    for key, value, said in [
        ("image_max_pixels", 262145, "image_max_pixels 262145, and the data were built with 262144"),
        ("video_max_pixels", 16385, "video_max_pixels 16385, and the data were built with 16384"),
        ("image_max_pixels", 1023, "image_max_pixels: Input should be greater than or equal to 1024"),
    ]:
        assert said in refusal(recipe_with(tmp_path, **{key: value}), data, bare)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "no budget under config"),
        ({"budget": {**BUDGET.to_json(), "video_fps": 0}}, "budget.video_fps: Input should be greater than 0"),
        ({"budget": [1]}, "budget: Input should be a dictionary"),
        ("none", "no budget under config"),
    ],
)
def test_data_without_a_budget_are_to_be_built_again(config: object, said: str, tmp_path: Path, bare: str) -> None:
    data = make_data(tmp_path / "data", text_records(32))
    written = json.loads((data.path / "manifest.json").read_text())
    (data.path / "manifest.json").write_text(json.dumps(written | {"config": config}))
    refused = refusal(recipe_with(tmp_path), Dataset.open(data.path), bare)
    assert said in refused and "Build the data again" in refused


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"trust_remote_code": True}, "trust_remote_code: it would run the Python"),
        ({"tokenized_path": "cache"}, "tokenized_path: training would read that folder"),
        ({"max_samples": 10}, "max_samples: the mix would be cut"),
        ({"val_size": 0.1}, "val_size: it takes rows out"),
        ({"adapter_name_or_path": "a,b"}, "a,b would be merged into the base in memory only"),
        ({"adapter_name_or_path": "a", "create_new_adapter": True}, "a would be merged into the base in memory only"),
    ],
)
def test_foreign_code_data_and_weights_are_refused(
    keys: dict[str, Any], said: str, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    assert said in refusal(recipe_with(tmp_path, **keys), reviews, bare)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"adapter_name_or_path": "runs/lora", "finetuning_type": "lora"}, "starts from the adapter runs/lora"),
        (
            {"push_to_hub": True, "hub_model_id": "me/model"},
            "uploaded to the Hugging Face Hub while training, to me/model",
        ),
        ({"logging_dir": "/elsewhere/logs"}, "logging_dir: /elsewhere/logs is outside of the run's folder"),
        ({"cache_dir": "../cache"}, "cache_dir: ../cache is outside"),
        ({"report_to": ["tensorboard", "wandb"]}, "leave this machine, for wandb"),
        ({"report_to": ["trackio"], "trackio_space_id": "me/curves"}, "leave this machine, for trackio"),
    ],
)
def test_what_goes_beyond_the_run_is_a_note(
    keys: dict[str, Any], said: str, tmp_path: Path, reviews: Dataset, bare: str
) -> None:
    notes = plan(recipe_with(tmp_path, **keys), reviews, gpus=1, base=bare, out=tmp_path / "run").notes
    assert any(said in note for note in notes), notes


@pytest.mark.parametrize("key", ["deepspeed", "logging_dir", "extends", "run_name"])
def test_a_nul_in_a_text_is_a_sentence(key: str, tmp_path: Path, reviews: Dataset, bare: str) -> None:
    (tmp_path / "nul.yaml").write_text(f'{key}: "a\\0b"\n')
    assert f"nul.yaml: {key}: its text holds a NUL character" in refusal(tmp_path / "nul.yaml", reviews, bare)


def test_what_stays_in_the_run_is_no_note(
    tmp_path: Path, reviews: Dataset, bare: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRACKIO_SPACE_ID", raising=False)
    keys = {"logging_dir": str(tmp_path / "run/logs"), "report_to": ["tensorboard", "trackio"], "project": "p",
            "use_swanlab": True, "swanlab_mode": "local", "trust_remote_code": False, "push_to_hub": False}  # fmt: skip
    out = tmp_path / "run"
    plain = plan(recipe_with(tmp_path), reviews, gpus=1, base=bare, out=out).notes
    assert plan(recipe_with(tmp_path, **keys), reviews, gpus=1, base=bare, out=out).notes == plain
