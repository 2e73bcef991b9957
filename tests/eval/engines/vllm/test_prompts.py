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
    for number in range(3):
        picture_of(140, 112, number).save(root / f"{number}.png")
    return MediaReader(root, BUDGET)


@pytest.fixture
def tokenizer(nano: Path) -> Any:
    made = AutoTokenizer.from_pretrained(nano)
    made.bos_token, made.chat_template = "<|endoftext|>", PLAIN
    return made


def test_both_ways_write_the_same_prompt_of_qwen2_5_vl(nano: Path, shown: MediaReader) -> None:
    processor = AutoProcessor.from_pretrained(nano)
    by_family = FamilyPrompts(processor.tokenizer, built_for(), shown)
    by_chat = ChatPrompts("nano", processor, shown, [by_family.end], None)
    frames = ("0.png", "1.png", "2.png")
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
    prompts = ChatPrompts("m", tokenizer, shown, 0, None)
    made = prompts(Question("Joy?"))
    assert made["multi_modal_data"] == {}
    assert tokenizer.decode(made["prompt_token_ids"]) == "<|endoftext|>[Joy?]"
    with_file = ChatPrompts("m", tokenizer, shown, 0, "Q: {{ messages[0]['content'] }} A:")
    assert tokenizer.decode(with_file(Question("Joy?"))["prompt_token_ids"]) == "Q: Joy? A:"


@pytest.mark.parametrize(("ends", "end"), [([5, 7], 5), (7, 7), (None, "own"), ([3, "own"], "own")])
def test_an_answer_ends_with_the_tokenizers_own_token_if_the_config_lists_it(
    ends: Any, end: Any, tokenizer: Any, shown: MediaReader
) -> None:
    own = tokenizer.eos_token_id
    listed = [own if one == "own" else one for one in ends] if isinstance(ends, list) else ends
    assert ChatPrompts("m", tokenizer, shown, listed, None).end == (own if end == "own" else end)


@pytest.mark.parametrize("template", [None, "{{ raise_exception('only text') }}", "{% if %}"])
def test_a_template_that_is_missing_or_fails_is_a_sentence(
    template: str | None, tokenizer: Any, shown: MediaReader
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(Fault, match=r"^m: its chat template cannot write the question \(.*--option chat_template=FILE"):
        ChatPrompts("m", tokenizer, shown, None, None)(Question("Joy?"))


def test_a_trial_has_media_of_its_kind(nano: Path, shown: MediaReader) -> None:
    prompts = ChatPrompts("nano", AutoProcessor.from_pretrained(nano), shown, None, None)
    assert [list(prompts.trial(kind)["multi_modal_data"]) for kind in ("text", "image", "video")] == [
        [],
        ["image"],
        ["video"],
    ]
