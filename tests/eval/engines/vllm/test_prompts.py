"""Prompts for vLLM, made without vLLM: by a family's marks, and by a model's own chat template."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoProcessor, AutoTokenizer

from eval.engines import Question
from eval.engines.media import MediaReader
from eval.engines.vllm.prompts import ChatPrompts, FamilyPrompts
from mmafflm.errors import Fault
from mmafflm.families.find import built_for
from tests.budget import BUDGET
from tests.media_files import picture_of

PLAIN = "{{ bos_token }}{% for m in messages %}[{{ m['content'] }}]{% endfor %}"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> MediaReader:
    root = tmp_path_factory.mktemp("media")
    (root / "media").mkdir()
    for number in range(3):
        picture_of(140, 112, number).save(root / f"media/{number}.png")
    return MediaReader(root, BUDGET)


@pytest.fixture
def tokenizer(nano: Path) -> Any:
    made = AutoTokenizer.from_pretrained(nano)
    made.bos_token, made.chat_template = "<|endoftext|>", PLAIN
    return made


def test_both_ways_write_the_same_prompt_of_qwen2_5_vl(nano: Path, shown: MediaReader) -> None:
    processor = AutoProcessor.from_pretrained(nano)
    by_family = FamilyPrompts(processor.tokenizer, built_for(), shown)
    by_chat = ChatPrompts("nano", processor, {by_family.end}, None, shown)
    frames = ("media/0.png", "media/1.png", "media/2.png")
    for question in (
        Question("Joy or anger, of <image>?"),
        Question("First <image>then <video> and <image>?", frames[:2], (frames,)),
    ):
        one, other = by_family(question), by_chat(question)
        assert one["prompt_token_ids"] == other["prompt_token_ids"]
        pairs = zip(*(made["multi_modal_data"].get("image", []) for made in (one, other)), strict=True)
        assert all(np.array_equal(np.asarray(ours), np.asarray(theirs)) for ours, theirs in pairs)
    (film, taken), (whole, _) = other["multi_modal_data"]["video"][0], one["multi_modal_data"]["video"][0]
    # the family repeats the last of three frames to fill a step; another model's processor does what it needs itself
    assert len(whole) == 4 and np.array_equal(film, whole[:3])
    assert (taken["fps"], taken["frames_indices"], taken["do_sample_frames"]) == (2.0, [0, 1, 2], False)
    assert by_chat.end == by_family.end == processor.tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_a_text_model_reads_text_and_one_first_token(tokenizer: Any, shown: MediaReader) -> None:
    made = ChatPrompts("m", tokenizer, {0}, None, shown)(Question("Joy?"))
    assert made["multi_modal_data"] == {}
    assert tokenizer.decode(made["prompt_token_ids"]) == "<|endoftext|>[Joy?]"
    with_file = ChatPrompts("m", tokenizer, {0}, "Q: {{ messages[0]['content'] }} A:", shown)
    assert tokenizer.decode(with_file(Question("Joy?"))["prompt_token_ids"]) == "Q: Joy? A:"


def test_an_answer_ends_with_the_end_token_that_the_template_writes(tokenizer: Any, shown: MediaReader) -> None:
    first, second = (tokenizer.convert_tokens_to_ids(name) for name in ("<|im_start|>", "<|endoftext|>"))
    template = "{% for m in messages %}{{ m['content'] }} <|im_start|><|endoftext|>{% endfor %}"
    own = tokenizer.eos_token_id
    for ends, end in (({second}, second), ({first, second}, first), (set(), own)):
        prompts = ChatPrompts("m", tokenizer, ends, template, shown)
        assert prompts.end == end and prompts.ends == ends | {own}


@pytest.mark.parametrize("template", ["{{ raise_exception('only text') }}", "{% if %}"])
def test_a_template_that_fails_is_a_sentence(template: str, tokenizer: Any, shown: MediaReader) -> None:
    with pytest.raises(Fault, match=r"^m: its chat template cannot write the question \(.*--option chat_template=FILE"):
        ChatPrompts("m", tokenizer, set(), template, shown)


def test_a_model_without_a_template_is_a_sentence(tokenizer: Any, shown: MediaReader) -> None:
    tokenizer.chat_template = None
    with pytest.raises(Fault, match=r"^m: has no chat template. Name a file with one: --option chat_template=FILE"):
        ChatPrompts("m", tokenizer, set(), None, shown)
