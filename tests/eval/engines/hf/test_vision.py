"""Answers to pictures and clips equal those of transformers' generate, for any batch and neighbours."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from eval.ask.ablation import questions
from eval.engines import Question
from eval.engines.hf.engine import HfEngine
from eval.engines.hf.vision import Vision
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import UsageFault
from mmafflm.families.find import built_for
from mmafflm.families.qwen2_5_vl.rope import rope_index
from mmafflm.media.budget import open_frames, open_images
from mmafflm.records import Record
from tests.budget import BUDGET
from tests.media_files import picture_of

MOST = 12


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "media").mkdir()
    for number in range(8):
        picture_of(100 + 30 * number, 80 + 20 * (number % 3), number).save(root / f"media/p{number}.png")
    for clip in range(4):
        for frame in range(clip + 1):
            picture_of(140, 112, 10 * clip + frame).save(root / f"media/c{clip}-{frame}.png")
    return root


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    pictures = [Question(f"<image>Which emotion is it, of {n}?", (f"media/p{n}.png",)) for n in range(8)]
    clips = [
        Question(f"<video>Felt? {'Really? ' * n}", (), (tuple(f"media/c{n}-{frame}.png" for frame in range(n + 1)),))
        for n in range(4)
    ]
    return [*pictures, *clips, Question("Only text."), Question("<image><image>Two.", ("media/p1.png", "media/p2.png"))]


def ask(looking: Path, media: Path, asked: list[Question], batch_size: int) -> dict[int, str]:
    engine = HfEngine(str(looking), BUDGET, "float32", media)
    engine.load()
    return dict(one for batch in engine.answer(asked, range(len(asked)), MOST, batch_size) for one in batch)


@pytest.fixture(scope="module")
def answers(looking: Path, media: Path, asked: list[Question]) -> dict[int, str]:
    return ask(looking, media, asked, 4)


def test_answers_depend_on_what_is_seen(answers: dict[int, str]) -> None:
    assert len(set(answers.values())) > 8


@pytest.mark.parametrize("batch_size", [1, 32])
def test_the_batch_does_not_change_an_answer(
    looking: Path, media: Path, asked: list[Question], answers: dict[int, str], batch_size: int
) -> None:
    assert ask(looking, media, asked, batch_size) == answers


def inputs_of(processor: Any, media: Path, question: Question, answer: str = "") -> Any:
    """The output of transformers' own processor for a question with an answer after it."""
    text = question.prompt
    for mark, token in (("<image>", "<|image_pad|>"), ("<video>", "<|video_pad|>")):
        text = text.replace(mark, f"<|vision_start|>{token}<|vision_end|>")
    text = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    inputs = processor(
        text=[text + answer],
        images=open_images(media, question.images, BUDGET) or None,
        videos=[open_frames(media, names, BUDGET) for names in question.videos] or None,
        return_tensors="pt",
    )
    if question.videos:
        # transformers assumes 24 frames per second for a list and puts them all at one time; training has 2 per second
        inputs["second_per_grid_ts"] = torch.ones(len(question.videos))
    return inputs


def plain_likelihood(model: Any, processor: Any, media: Path, question: Question, text: str) -> float:
    """ln P(text, end of turn | question), computed with transformers only."""
    inputs = inputs_of(processor, media, question, text + "<|im_end|>")
    answer = processor.tokenizer(text + "<|im_end|>", add_special_tokens=False)["input_ids"]
    assert inputs["input_ids"][0, -len(answer) :].tolist() == answer
    with torch.inference_mode():
        logits = model(**inputs).logits[0, -len(answer) - 1 : -1].double()
    return float(logits.log_softmax(-1)[range(len(answer)), answer].sum())


def test_likelihoods_are_those_of_a_plain_forward(looking: Path, media: Path, asked: list[Question]) -> None:
    model: Any = AutoModelForImageTextToText.from_pretrained(looking)
    processor: Any = AutoProcessor.from_pretrained(looking)
    engine = HfEngine(str(looking), BUDGET, "float32", media)
    engine.load()
    candidates = ["-0.8", "1. joy", "1. joy, 2. sadness"]
    found = [
        dict(row for batch in engine.likelihoods(asked, range(len(asked)), candidates, size) for row in batch)
        for size in (1, 5)
    ]
    for number, question in enumerate(asked):
        for at, text in enumerate(candidates):
            expected = plain_likelihood(model, processor, media, question, text)
            assert [one[number][at] for one in found] == pytest.approx([expected] * 2, abs=1e-3), question


def test_a_long_clip_is_read_with_the_positions_of_training(
    looking: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positions of transformers with the fix of `mmafflm train`, not of unchanged transformers."""
    model: Any = AutoModelForImageTextToText.from_pretrained(looking)
    processor: Any = AutoProcessor.from_pretrained(looking)
    engine = HfEngine(str(looking), BUDGET, "float32", media)
    engine.load()
    question = Question("<video>What is felt?", (), (tuple(f"media/c3-{frame % 4}.png" for frame in range(60)),))
    found = dict(row for batch in engine.likelihoods([question], [0], ["1. joy"], 1) for row in batch)[0]
    assert abs(found[0] - plain_likelihood(model, processor, media, question, "1. joy")) > 1e-3
    monkeypatch.setattr(type(model.model), "get_rope_index", rope_index)
    assert found == pytest.approx([plain_likelihood(model, processor, media, question, "1. joy")], abs=1e-4)
    inputs = inputs_of(processor, media, question)
    made = model.generate(**inputs, max_new_tokens=MOST, do_sample=False)
    said = processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert said == ask(looking, media, [question], 1)[0]


def test_answers_are_those_of_generate(
    looking: Path, media: Path, asked: list[Question], answers: dict[int, str]
) -> None:
    model: Any = AutoModelForImageTextToText.from_pretrained(looking)
    processor: Any = AutoProcessor.from_pretrained(looking)
    for number, question in enumerate(asked):
        inputs = inputs_of(processor, media, question)
        made = model.generate(**inputs, max_new_tokens=MOST, do_sample=False)
        said = processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        assert said == answers[number], question


def test_ablations_change_what_is_asked_and_nothing_else(looking: Path, media: Path) -> None:
    records = [
        make_record(number, benchmark()["CHSIMS_SP"].tasks[0].ask(f"Text {number}."), [f"media/c{number}-0.png"])
        for number in range(4)
    ]
    whole = questions(records)
    assert [(one.prompt, one.videos) for one in whole] == [(r.prompt, (tuple(r.videos[0]),)) for r in records]
    blank, shuffled, silent = (questions(records, how) for how in ("blank", "shuffled", "silent"))
    assert [one._replace(blank=False) for one in blank] == whole and all(one.blank for one in blank)
    assert sorted(one.videos for one in shuffled) == sorted(one.videos for one in whole)
    assert not any(a.videos == b.videos for a, b in zip(shuffled, whole, strict=True))
    assert {one.prompt for one in silent} == {benchmark()["CHSIMS_SP"].tasks[0].ask("")}
    vision = Vision(AutoProcessor.from_pretrained(looking), media, BUDGET, built_for())
    seen, grey = vision.pixels(whole[0]), vision.pixels(blank[0])
    assert torch.equal(seen.video_grid, grey.video_grid) and grey.videos.std(0).max() < 0.02 < seen.videos.std(0).max()
    with pytest.raises(UsageFault, match="--ablation deaf: not one of none, blank, shuffled, silent"):
        questions(records, "deaf")


def make_record(number: int, prompt: str, frames: list[str]) -> Record:
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": "0. neutral"}]
    return Record(
        f"CHSIMS_SP/test/{number:06}", "CHSIMS_SP", "sentiment_polarity", "test", "zh", "video", f"label.csv:{number}",
        turns, [], [frames], ["neutral"],
    )  # fmt: skip
