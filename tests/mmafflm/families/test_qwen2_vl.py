"""Qwen2-VL, the second family: the answers of the engine hf equal those of transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmafflm.families.find import architecture_of, built_for, family_of
from mmafflm.families.qwen2_vl.family import FAMILY
from tests.budget import BUDGET
from tests.media_files import picture_of

MOST = 12
CLIPS = {"a": 1, "b": 4, "long": 40}  # frames


def test_it_shares_prompts_and_media_with_qwen2_5_vl() -> None:
    assert family_of("qwen2_vl") is FAMILY and FAMILY.media is built_for().media
    assert (FAMILY.template, FAMILY.conversation) == (built_for().template, built_for().conversation)


@pytest.fixture(scope="module")
def tiny(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen2-VL with its own processor and enlarged weights, so that the answer depends on the input."""
    import torch
    from transformers import (
        AutoProcessor,
        GenerationConfig,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLProcessor,
    )  # fmt: skip

    parts: Any = AutoProcessor.from_pretrained(nano)
    ids = json.loads((nano / "config.json").read_text())
    names = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    text = {
        "vocab_size": len(parts.tokenizer), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16384,
        "rope_parameters": {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [2, 3, 3]},
    }  # fmt: skip
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2, "mlp_ratio": 2}
    config: Any = Qwen2VLConfig
    torch.manual_seed(0)
    model: Any = Qwen2VLForConditionalGeneration(
        config(text_config=text, vision_config=vision, **{name: ids[name] for name in names})
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("proj.weight", "mlp.0.weight", "mlp.2.weight", "fc1.weight", "fc2.weight")):
                weight.mul_(4)
    end, padding = parts.tokenizer.eos_token_id, parts.tokenizer.pad_token_id
    greedy: Any = GenerationConfig
    model.generation_config = greedy(do_sample=False, eos_token_id=[end, padding], pad_token_id=padding)
    folder = tmp_path_factory.mktemp("models") / "qwen2_vl"
    processor: Any = Qwen2VLProcessor
    model.save_pretrained(folder)
    processor(
        parts.image_processor, parts.tokenizer, parts.video_processor, chat_template=parts.chat_template
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "media").mkdir()
    for number in range(3):
        picture_of(100 + 60 * number, 80 + 30 * number, number).save(root / f"media/p{number}.png")
    for name, frames in CLIPS.items():
        for frame in range(frames):
            picture_of(140, 112, len(name) + frame).save(root / f"media/{name}-{frame}.png")
    return root


def test_a_tiny_one_is_counted(tiny: Path) -> None:
    from transformers import AutoModelForImageTextToText

    size = architecture_of(str(tiny))
    assert size and size.parameters == AutoModelForImageTextToText.from_pretrained(tiny).num_parameters()


def test_answers_are_those_of_generate(tiny: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in transformers for text, pictures and short clips; as in transformers with our fix for the long clip."""
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.models.qwen2_vl import modeling_qwen2_vl as module

    from eval.engines import Question
    from eval.engines.hf.engine import HfEngine
    from mmafflm.media.budget import open_frames, open_images

    clips = [tuple(f"media/{name}-{frame}.png" for frame in range(frames)) for name, frames in CLIPS.items()]
    asked = [
        Question("Only text, and no picture."),
        *(Question(f"<image>Which emotion is it, of {number}?", (f"media/p{number}.png",)) for number in range(3)),
        *(Question("<video>What is felt?", (), (clip,)) for clip in clips),
    ]
    engine = HfEngine(str(tiny), BUDGET, "float32", media)
    engine.load()
    assert engine.describe()["template"] == "qwen2_vl"
    answers = dict(one for batch in engine.answer(asked, range(len(asked)), MOST, 3) for one in batch)
    model: Any = AutoModelForImageTextToText.from_pretrained(tiny)
    processor: Any = AutoProcessor.from_pretrained(tiny)

    def generated(question: Question) -> str:
        parts = [{"type": "image"}] * len(question.images) + [{"type": "video"}] * len(question.videos)
        words = question.prompt.removeprefix("<image>").removeprefix("<video>")
        turn = [{"role": "user", "content": [*parts, {"type": "text", "text": words}]}]
        inputs = processor(
            text=[processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)],
            images=open_images(media, question.images, BUDGET) or None,
            videos=[open_frames(media, names, BUDGET) for names in question.videos] or None,
            return_tensors="pt",
        )
        made = model.generate(**inputs, max_new_tokens=MOST, do_sample=False)
        text: str = processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return text

    assert [generated(one) for one in asked[:-1]] == [answers[at] for at in range(len(asked) - 1)]
    assert len(set(answers.values())) > 4
    mend = FAMILY.mend
    assert mend and mend.module == module.__name__
    unmended = generated(asked[-1])
    monkeypatch.setattr(module.Qwen2VLModel, "get_rope_index", module.Qwen2VLModel.get_rope_index)  # undone at the end
    mend.apply(module)
    assert generated(asked[-1]) == answers[len(asked) - 1] != unmended
    assert [generated(one) for one in asked[:-1]] == [answers[at] for at in range(len(asked) - 1)]
