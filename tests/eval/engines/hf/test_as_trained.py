"""What was trained is what is tested: LLaMA-Factory's collator and the engine hf make the same input of a question.

For families that the engine asks by its generic path. tests/mmafflm/media/test_budget.py does it for Qwen2.5-VL.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from data_build.reading.corpus import RawMedia
from eval.engines import Question
from eval.engines.hf.generic import GenericPath
from eval.engines.media import MediaReader
from eval.run.checkpoint import find_checkpoint
from mmafflm.families.base import Family
from mmafflm.families.find import family_of
from tests.budget import BUDGET
from tests.eval.tiny_families import Tiny, gemma3, internvl, qwen3_vl, write_tiny
from tests.media_files import clip_bytes, picture_of, write
from tests.mmafflm.media.test_budget import stored

FAMILIES: dict[str, Callable[[Path], Tiny]] = {"qwen3_vl": qwen3_vl, "internvl": internvl, "gemma3": gemma3}
PICTURES = [(640, 480), (48, 48), (512, 512), (300, 400), (1024, 300), (64, 600), (200, 199)]
CLIPS = {1: (140, 112), 2: (140, 112), 3: (140, 112), 4: (96, 170), 7: (128, 128), 40: (150, 100)}  # frames: their size


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "media").mkdir()
    for number, size in enumerate(PICTURES):
        picture_of(*BUDGET.size(*size), number).save(root / f"media/p{number}.png")
    for frames, size in CLIPS.items():
        for frame in range(frames):
            picture_of(*BUDGET.size(*size, video=True), frames + frame).save(root / f"media/c{frames}-{frame}.png")
    return root


def questions(family: Family) -> Iterator[Question]:
    """Texts, pictures and clips; some with line breaks and spaces beside the marks."""
    yield Question("Only text: Really?  ")
    for number in range(len(PICTURES)):
        yield Question(f"<image>Which emotion is it, of {number}?", (f"media/p{number}.png",))
    yield Question("Two: <image>\n <image>\nWhich is sadder? ", ("media/p0.png", "media/p1.png"))
    if "video" in family.media.accepts:
        for frames in CLIPS:
            yield Question("<video>Felt?\n", (), (tuple(f"media/c{frames}-{at}.png" for at in range(frames)),))


class Both(NamedTuple):
    """The two ways from a question to a model's input."""

    family: Family
    path: GenericPath
    template: Any
    processor: Any
    collate: Any

    def trained(self, question: Question, root: Path) -> tuple[list[int], dict[str, Any]]:
        """The prompt's token ids, and the collator's batch of one."""
        images = [str(root / name) for name in question.images]
        videos = [[str(root / name) for name in clip] for clip in question.videos]
        turns = [{"role": "user", "content": question.prompt}, {"role": "assistant", "content": "1. joy"}]
        turns = self.template.mm_plugin.process_messages(turns, images, videos, [], self.processor)
        prompt, answer = self.template.encode_oneturn(self.processor.tokenizer, turns)
        ids = prompt + answer
        row = {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": ids, "images": images, "videos": videos}
        return prompt, self.collate([row])


@pytest.fixture(scope="module", params=FAMILIES)
def both(request: pytest.FixtureRequest, nano: Path, media: Path, tmp_path_factory: pytest.TempPathFactory) -> Both:
    parser = pytest.importorskip("llamafactory.hparams")
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_template_and_fix_tokenizer
    from llamafactory.model import load_tokenizer

    family = family_of(request.param)
    base = write_tiny(FAMILIES[request.param], nano, tmp_path_factory.mktemp("tiny") / request.param)
    if family.media.frames_as_pictures:  # as in a base whose two processors have different settings
        settings = json.loads((base / "processor_config.json").read_text())
        settings["video_processor"] |= {"image_mean": [0.1, 0.2, 0.3], "size": {"height": 28, "width": 28}}
        (base / "processor_config.json").write_text(json.dumps(settings))
    arguments = {
        "model_name_or_path": str(base), **BUDGET.to_json(), **family.keys, "stage": "sft", "do_train": True,
        "template": family.template, "finetuning_type": "full", "dataset": "x", "output_dir": str(base / "run"),
    }  # fmt: skip
    given = parser.get_train_args(arguments)
    modules = load_tokenizer(given[0])
    template = get_template_and_fix_tokenizer(modules["tokenizer"], given[1])
    path = GenericPath(find_checkpoint(str(base)), "float32", media, BUDGET)
    collate = SFTDataCollatorWith4DAttentionMask(template=template, model=path.model, **modules)
    return Both(family, path, template, modules["processor"], collate)


def test_prompts_and_pixels_are_those_of_training(both: Both, media: Path) -> None:
    seen = 0
    for question in questions(both.family):
        prompt, fed = both.trained(question, media)
        asked = both.path.inputs([question])
        assert asked["input_ids"][0].tolist() == prompt, question
        for name in fed.keys() & {"pixel_values", "pixel_values_videos", "image_grid_thw", "video_grid_thw"}:
            if question.images or question.videos:  # LLaMA-Factory adds a white picture to a text
                assert torch.equal(asked[name], fed[name]), (name, question)
                seen += 1
        if "token_type_ids" in fed:
            assert torch.equal(asked["token_type_ids"], fed["token_type_ids"][:, : len(prompt)])
    assert seen >= len(PICTURES)


def test_fewer_pixels_are_those_of_training(both: Both, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe may ask for fewer pixels than the build stored: both scale the stored pictures down in the same way."""
    few = BUDGET.lowered({"image_max_pixels": 12544, "video_max_pixels": 3136})
    whole = [both.path.inputs([question]) for question in questions(both.family)]
    for name, pixels in few.to_json().items():
        monkeypatch.setattr(both.processor, name, pixels, raising=False)  # as LLaMA-Factory sets them
    monkeypatch.setattr(both.path, "shown", MediaReader(media, few.under(both.family.media)))
    smaller = 0
    for question, stored_inputs in zip(questions(both.family), whole, strict=True):
        prompt, fed = both.trained(question, media)
        asked = both.path.inputs([question])
        assert asked["input_ids"][0].tolist() == prompt, question
        for name in fed.keys() & {"pixel_values", "pixel_values_videos"}:
            if question.images or question.videos:
                assert torch.equal(asked[name], fed[name]), (name, question)
                smaller += not torch.equal(asked[name], stored_inputs[name])
    assert smaller >= len(PICTURES)


def test_positions_are_those_of_training(both: Both, media: Path) -> None:
    """Qwen3-VL has three positions a token; in the other families they are the tokens' numbers."""
    model = both.path.model.model
    for question in questions(both.family):
        prompt, fed = both.trained(question, media)
        if not hasattr(model, "get_rope_index"):
            assert "position_ids" not in fed
            continue
        asked = both.path.inputs([question])
        names = ("mm_token_type_ids", "image_grid_thw", "video_grid_thw", "attention_mask")
        found = model.get_rope_index(asked["input_ids"], **{name: asked[name] for name in names if name in asked})[0]
        assert torch.equal(fed["position_ids"][-3:, :, : len(prompt)], found), question


def published(processor: Any) -> Any:
    """The tiny processor with the sizes of the published one."""
    match processor.__class__.__name__:
        case "Qwen3VLProcessor":
            processor.video_processor.size = {"shortest_edge": 4096, "longest_edge": 25165824}
            return processor
        case "InternVLProcessor":
            tile = {"height": 448, "width": 448}
            images, videos = (type(part)(size=tile) for part in (processor.image_processor, processor.video_processor))
            return type(processor)(images, processor.tokenizer, videos, image_seq_length=256)
    return type(processor)(processor.image_processor, processor.tokenizer, image_seq_length=256)


def test_the_arithmetic_of_the_family_is_the_processors(both: Both, media: Path) -> None:
    path, rules, exchange = both.path, both.family.media, both.family.conversation.exchange
    path.processor = published(path.processor)
    for question in questions(both.family):
        sizes = [path.shown.size_of_image(image) for image in question.images]
        sizes += [path.shown.size_of_clip(clip) for clip in question.videos]
        text = question.prompt
        for size in sizes:
            text = text.replace("<video>" if size.frames else "<image>", rules.text(size), 1)
        whole = exchange.format(prompt=text, answer="@").partition("@")[0]
        asked = path.inputs([question])["input_ids"][0].tolist()
        assert asked == path.tokenizer(whole, add_special_tokens=False)["input_ids"], question
        pad = path.tokenizer.convert_tokens_to_ids((rules.video if question.videos else rules.image).pad)
        marks = sum(rules.text(size).count(rules.image.end) for size in sizes) * (4 if "\n" in rules.image.end else 2)
        if not question.videos:  # the words between frames are counted as Qwen's tokenizer cuts them, and not nano's
            assert sum(map(rules.tokens, sizes)) == asked.count(pad) + marks


def test_llamafactory_gives_internvl_pictures_before_clips(both: Both, media: Path) -> None:
    """Whatever the order of the rows: the reason why `plan` refuses such micro-batches (mixed_media_swapped)."""
    if not both.family.mixed_media_swapped:
        pytest.skip("its pictures and clips are separate inputs")
    clip, picture = Question("<video>?", (), (("media/c1-0.png",),)), Question("<image>?", ("media/p1.png",))
    alone = [both.trained(question, media)[1]["pixel_values"] for question in (clip, picture)]
    plugin = both.template.mm_plugin
    paths = [str(media / "media/p1.png")], [[str(media / "media/c1-0.png")]]
    fed = plugin.get_mm_inputs(*paths, [], [0, 1], [1, 0], [0, 0], [[], []], both.processor)  # row 0 has the clip
    assert torch.equal(fed["pixel_values"], torch.cat(alone[::-1]))


@pytest.mark.parametrize("size", [(640, 480), (1024, 768), (48, 48), (513, 511), (3000, 200), (111, 640), (20, 300)])
def test_a_stored_picture_shows_what_the_raw_one_shows(both: Both, tmp_path: Path, size: tuple[int, int]) -> None:
    """The build scales by Qwen2.5-VL's rule, which differs in one case: a side below 28 pixels is stretched to 28."""
    (tmp_path / "raw").mkdir()
    picture_of(*size).save(tmp_path / "raw/a.png")
    (name,) = stored(tmp_path / "raw", tmp_path / "data", RawMedia("image", "a.png"))
    (of_raw, raw), (of_stored, kept) = (
        both.trained(Question("<image>?", (file,)), tmp_path) for file in ("raw/a.png", f"data/{name}")
    )
    same = of_raw == of_stored and torch.equal(raw["pixel_values"], kept["pixel_values"])
    assert same == (min(size) >= 28 or both.family.name == "Qwen3-VL")


@pytest.mark.parametrize("frames", [13, 38])
def test_a_clip_of_stored_frames_shows_what_the_file_shows(both: Both, tmp_path: Path, frames: int) -> None:
    """Its pixels; Qwen3-VL's prompt has other times, so `plan` refuses files for it."""
    if "video" not in both.family.media.accepts:
        pytest.skip("takes no clips")
    write(tmp_path / "raw/a.mp4", clip_bytes(frames=frames, size=(640, 360), colourful=True))
    names = stored(tmp_path / "raw", tmp_path / "data", RawMedia("video", "a.mp4"))
    plugin, processor = both.template.mm_plugin, both.processor
    shown = [[str(tmp_path / "raw/a.mp4")], [[str(tmp_path / "data" / name) for name in names]]]
    of_file, of_frames = (plugin.get_mm_inputs([], one, [], [0], [1], [0], [[]], processor) for one in shown)
    pixels = "pixel_values" if both.family.media.frames_as_pictures else "pixel_values_videos"
    assert torch.equal(of_file[pixels], of_frames[pixels])
