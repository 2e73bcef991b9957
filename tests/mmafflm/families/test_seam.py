"""The boundary of the families: nothing outside mmafflm/families knows a family, and a new one is only a new file."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mmafflm import families as room
from mmafflm.dataset import MEDIA_INDEX, Dataset, data_hash
from mmafflm.errors import Fault, UsageFault
from mmafflm.families.base import Family
from mmafflm.families.find import architecture_of, built_for, families, family_of, family_of_base
from mmafflm.media.budget import Budget
from mmafflm.records import Record, sha256_of, write_jsonl, write_text
from mmafflm.train.plan.forecast import forecast, notes
from mmafflm.train.plan.plan import plan
from mmafflm.train.plan.token_counts import counted_for
from mmafflm.train.stream.similar import training_order
from mmafflm.train.watch.exposure import Exposure
from tests.look_alike import look_alike
from tests.mmafflm.recipes import RECIPES, recipe_with
from tests.mmafflm.tiny_data import make_data, make_record, text_records
from tests.paths import ROOT

PRODUCT = ("mmafflm", "eval", "data_build")
TOKEN = re.compile(r"<\|\w+\|>")
# The patch of 14 pixels, its token of 28, their areas, and the processor's limits; data_build's numbers are counts.
ARITHMETIC = {14, 28, 14**2, 28**2, 3136, 12845056}
WORDS = ("patch_size", "merge_size")


def sources() -> list[Path]:
    found = [path for wing in PRODUCT for path in (ROOT / wing).rglob("*.py")]
    return [path for path in found if "families" not in path.relative_to(ROOT).parts]


def test_no_other_file_knows_a_family() -> None:
    types = {one for family in families() for one in family.model_types} | {one.template for one in families()}
    told = []
    for path in sources():
        text = path.read_text()
        named = {*TOKEN.findall(text), *(one for one in types if re.search(rf"\b{one}\b", text))}
        if path.relative_to(ROOT).parts[0] != "data_build":
            parts = ast.walk(ast.parse(text))
            named |= {str(one.value) for one in parts if isinstance(one, ast.Constant) and one.value in ARITHMETIC}
            named |= {word for word in WORDS if word in text}
        told += [f"{path.relative_to(ROOT)}: {', '.join(sorted(named))}"] if named else []
    assert not told
    recipes = [path for path in RECIPES.rglob("*.yaml") if path.parent.name != "llamafactory"]
    assert not [path for path in recipes if re.search(r"^template:", path.read_text(), re.M)]


def test_a_family_is_found_without_torch() -> None:
    code = "import sys; from mmafflm.families.find import families; families(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"


def test_an_unknown_family_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "made_up"}')
    for asked in (family_of_base, architecture_of):
        with pytest.raises(Fault, match=rf"{tmp_path}: its model_type is made_up, .*; supported are .*qwen2_5_vl"):
            asked(str(tmp_path))
    assert family_of_base("somebody/else") is None and architecture_of("somebody/else") is None
    (tmp_path / "config.json").write_text('{"model_type": ["made", "up"]}')
    with pytest.raises(Fault, match="which is not supported"):
        family_of_base(str(tmp_path))


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_what_a_family_says_is_llamafactorys(family: Family) -> None:
    visual = pytest.importorskip("llamafactory.model.model_utils.visual")
    from llamafactory.data.template import TEMPLATES

    assert family.template in TEMPLATES
    for model_type in family.model_types:
        assert model_type in visual.COMPOSITE_MODELS


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_its_tokens_are_tokens(family: Family, nano: Path) -> None:
    """Nano has Qwen's tokens. tests/eval/engines/hf/test_as_trained.py has the tokens of the others."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(nano / "tokenizer.json"))
    if tokenizer.token_to_id(family.media.image.pad) is None:
        pytest.skip("nano lacks its tokens")
    exchange = family.conversation.exchange
    encoded = tokenizer.encode(exchange.format(prompt="", answer=""), add_special_tokens=False)
    assert encoded.tokens.count(family.conversation.end_of_turn) == exchange.count(family.conversation.end_of_turn) > 1
    for mark in (family.media.image, family.media.video):
        assert tokenizer.encode(mark.around(3), add_special_tokens=False).tokens == [
            mark.start,
            *[mark.pad] * 3,
            mark.end,
        ]


def test_the_parts_of_a_model_are_those_that_llamafactory_freezes(nano: Path) -> None:
    """The size arithmetic of each part agrees with the tensors that LLaMA-Factory's module names select."""
    visual = pytest.importorskip("llamafactory.model.model_utils.visual")
    from safetensors import safe_open

    size, theirs = architecture_of(str(nano)), visual.COMPOSITE_MODELS[built_for().model_types[0]]
    assert size
    modules = {
        "tower": theirs.vision_model_keys,
        "projector": theirs.projector_keys,
        "language": theirs.language_model_keys,
    }
    counts = dict.fromkeys(modules, 0)
    with safe_open(nano / "model.safetensors", "np") as file:
        for name in file.keys():  # noqa: SIM118  # not a dict
            full = name if "visual." in name else name.replace("model.layers", "language_model.layers")
            part = next((one for one, keys in modules.items() if any(key in full for key in keys)), "language")
            counts[part] += file.get_tensor(name).size
    assert counts == {"tower": size.vision, "projector": size.projector, "language": size.text}


MADE_UP = """
from mmafflm.families.base import Architecture, Conversation, Family, KeptNumbers, Marks, Media

PICTURE = Marks("<picture>", ".", "</picture>")


def architecture(config):
    width = config["width"]
    return Architecture(
        text=100 * width, vision=10 * width, projector=width, vocabulary=50, hidden=width, intermediate=width, layers=2,
        tied=True, vision_hidden=8, vision_intermediate=8, depth=1, patch_values=12, patches_a_token=1,
        text_layer=KeptNumbers(width, width), vision_block=KeptNumbers(8, 8), merging=KeptNumbers(8, 8),
        lora_text=4, lora_vision=4, dtype="float32",
    )


FAMILY = Family(
    name="Made-up", model_types=("made_up",), template="made_up_chat",
    conversation=Conversation("Q{prompt}A{answer}.", 3, "."),
    media=Media(
        accepts=("image",), image=PICTURE, video=PICTURE, smallest=100, largest=10**6, frames_a_step=1,
        fit=lambda width, height, least, most: (10, 20), tokens=lambda size: size.width * size.height + 2,
        text=lambda size: PICTURE.around(size.width * size.height),
    ),
    architecture=architecture, published={"made/Up-1B": {"model_type": "made_up", "width": 1000}},
    mixed_media_hangs=False,
)
"""


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Family]:
    """Another family: only one new file in mmafflm/families."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room/made_up.py").write_text(MADE_UP)
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path / "room")])
    families.cache_clear()
    yield family_of("made_up")
    families.cache_clear()
    sys.modules.pop("mmafflm.families.made_up", None)


@pytest.fixture
def base(tmp_path: Path) -> str:
    """A base of the made-up family, for plans."""
    pytest.importorskip("tokenizers")
    folder = look_alike(tmp_path / "base")
    (Path(folder) / "config.json").write_text(json.dumps({"model_type": "made_up", "width": 7}))
    return folder


def data_with(
    folder: Path, images: int = 0, videos: int = 0, size: tuple[int, int] = (300, 400)
) -> tuple[Dataset, list[Record]]:
    """64 reviews; the first have pictures, the next have clips. All media are of this size."""
    records = text_records(64)
    for number in range(images + videos):
        kinds = {"images": 1} if number < images else {"videos": 1}
        records[number] = make_record(number, "x", "positive", **kinds)
    data = make_data(folder, records)
    names = sorted({f"media/{number}.png" for number in range(images + videos)})
    write_jsonl(
        folder / MEDIA_INDEX, ({"file": name, "width": size[0], "height": size[1], "frames": None} for name in names)
    )
    files = data.files | {MEDIA_INDEX: {"sha256": sha256_of(folder / MEDIA_INDEX)}}
    write_text(folder / "manifest.json", json.dumps(data.manifest | {"files": files, "data_hash": data_hash(files)}))
    return Dataset.open(folder), records


def test_a_plan_is_made_by_the_rules_of_a_new_family(made_up: Family, base: str, tmp_path: Path) -> None:
    data, records = data_with(tmp_path / "data", images=3)
    planned = plan(recipe_with(tmp_path), data, gpus=1, base=base)
    assert planned.family is made_up and planned.config["template"] == "made_up_chat"
    assert (planned.mix.vision_tokens, planned.mix.most_vision) == (3 * 202, 202)
    lengths = [
        len(f"Q{record.prompt.replace('<image>', '')}A{record.answer}.".encode()) + 202 * len(record.images)
        for record in records
    ]
    assert planned.mix.counted and (planned.mix.longest, planned.mix.tokens) == (max(lengths), sum(lengths))
    seen = Exposure(data, planned, training_order(planned, data)).tokens(1, 4)
    assert seen and planned.config["max_steps"] == 4 and seen.real == sum(lengths)
    known = forecast(planned)
    assert known and known.size.parameters == 111 * 7 and known.trained.text == 700
    assert any("777 parameters" in line for line in notes(planned, tmp_path))
    at_the_hub = plan(recipe_with(tmp_path), data, gpus=1, base="made/Up-1B")
    assert at_the_hub.family is made_up and forecast(at_the_hub).size.hidden == 1000  # type: ignore[union-attr]
    built = plan(recipe_with(tmp_path), data, gpus=1, base="Qwen/Qwen2.5-VL-3B-Instruct")
    assert built.family is built_for() and built.mix.vision_tokens == 3 * 400  # counted by the build


def test_a_plan_refuses_what_does_not_belong_together(made_up: Family, base: str, tmp_path: Path) -> None:
    data, _ = data_with(tmp_path / "data", images=1)
    with pytest.raises(
        UsageFault, match=r"template: qwen2_vl, but .*base is Made-up, which is trained with made_up_chat"
    ):
        plan(recipe_with(tmp_path, template="qwen2_vl"), data, gpus=1, base=base)
    assert plan(recipe_with(tmp_path, template="made_up_chat"), data, gpus=1, base=base).family is made_up
    clips, _ = data_with(tmp_path / "clips", videos=2)
    with pytest.raises(UsageFault, match=r"Made-up takes no clips, and 2 records .*modalities: \[text, image\]"):
        plan(recipe_with(tmp_path), clips, gpus=1, base=base)
    (data.path / MEDIA_INDEX).write_text("")
    with pytest.raises(Fault, match=r"index\.jsonl: changed after the build"):
        plan(recipe_with(tmp_path), data, gpus=1, base=base)
    names = pl.List(pl.String)
    strange = pl.DataFrame({"images": [["media/7.png"]], "videos": [[]]}, {"images": names, "videos": pl.List(names)})
    with pytest.raises(Fault, match=r"index\.jsonl: has no .*7\.png.*Build again"):
        counted_for(made_up, clips, clips.budget, strange)


def test_a_base_that_is_not_here_is_planned_by_its_template(made_up: Family, tmp_path: Path) -> None:
    data, _ = data_with(tmp_path / "data")
    planned = plan(recipe_with(tmp_path), data, gpus=1, base="somebody/else")
    assert planned.family is built_for() and any("assume that it is Qwen2.5-VL" in note for note in planned.notes)
    assert plan(recipe_with(tmp_path, template="made_up_chat"), data, gpus=1, base="somebody/else").family is made_up
    with pytest.raises(UsageFault, match="template: no_such_template belongs to no supported family"):
        plan(recipe_with(tmp_path, template="no_such_template"), data, gpus=1, base="somebody/else")


def test_a_base_in_the_hubs_cache_is_read(made_up: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert family_of_base("somebody/else") is None
    folder = tmp_path / "models--somebody--else"
    (folder / "snapshots/abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs/main").write_text("abc")
    (folder / "snapshots/abc/config.json").write_text('{"model_type": "made_up", "width": 9}')
    size = architecture_of("somebody/else")
    assert family_of_base("somebody/else") is made_up and size and size.hidden == 9


def test_mixed_media_hang_only_where_a_family_says_so(
    made_up: Family, base: str, bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = data_with(tmp_path / "data", images=1, videos=1)
    zero3 = {"deepspeed": "deepspeed/zero3.json", "hardware": "gpu"}
    both = {"per_device_train_batch_size": 8, **zero3}
    with pytest.raises(UsageFault, match="hangs under ZeRO-3"):
        plan(recipe_with(tmp_path, **both), data, gpus=1, base=bare)
    with pytest.raises(UsageFault, match="takes no clips"):
        plan(recipe_with(tmp_path, **both), data, gpus=1, base=base)


def test_a_budget_is_applied_by_the_rules_of_a_family(made_up: Family) -> None:
    budget = Budget(262144, 16384, 2.0, 128)
    assert budget.size(300, 400) == (300, 400) and budget.under(made_up.media).size(300, 400) == (10, 20)
    assert budget.under(made_up.media).to_json() == budget.to_json()
    assert budget.media.padded(3) == 4 and made_up.media.padded(3) == 3
