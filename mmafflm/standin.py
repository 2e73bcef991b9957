"""Base models without a hub: nano (random, seconds) and pocket (SmolLM2-135M's text weights), both Qwen2.5-VL.

Both have a small fresh vision tower, Qwen2.5-VL's chat template and special tokens, and the processor values of the
real base models, so that what runs on them runs on Qwen2.5-VL-3B and 7B unchanged.
"""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # type: ignore[import-untyped]
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

from mmafflm.benchmark import benchmark
from mmafflm.command import say
from mmafflm.documents import read_json
from mmafflm.errors import Fault
from mmafflm.grammar import Labels, Ordinal
from mmafflm.media import MAX_PIXELS, MERGE, MIN_PIXELS, PATCH, TEMPORAL
from mmafflm.smollm2 import SOURCE, smollm2
from mmafflm.writing import writing

Kind = Literal["nano", "pocket"]
MARKER = "standin.json"

# Ids 0 to 2 of SmolLM2 are these very three; the vision tokens are new to it and come after its vocabulary.
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VISION_TOKENS = (
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
NANO_VOCABULARY = 4096
# Blocks of Unicode the benchmark's languages are written in: Latin to Cyrillic, Hebrew, Arabic, Devanagari, Thai, kana.
LETTERS = (
    *((0xC0, 0x17F), (0x370, 0x4FF), (0x5D0, 0x5EA), (0x600, 0x6FF)),
    *((0x900, 0x97F), (0xE01, 0xE5B), (0x3000, 0x30FF)),
)
SEED = 20_250_128

# Qwen2.5-VL's own, from its tokenizer_config.json.
CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}"
    "{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}"
    "{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

NANO_TEXT = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 32_768,
    "rope_parameters": {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [4, 6, 6]},
}
NANO_VISION = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "fullatt_block_indexes": [1]}
POCKET_TEXT = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 8192,
    "rope_parameters": {"rope_theta": 1e5, "rope_type": "default", "mrope_section": [8, 12, 12]},
}
POCKET_VISION = {"depth": 4, "hidden_size": 256, "intermediate_size": 512, "num_heads": 4, "fullatt_block_indexes": [3]}

README = """# {kind}: a stand-in base model

{about}

Architecture: Qwen2.5-VL (`Qwen2_5_VLForConditionalGeneration`), {millions:.1f} million parameters, {dtype}. The vision
tower is small and random. It loads with plain `from_pretrained` and trains and serves through LLaMA-Factory with
`template: qwen2_vl`. Made by `mmafflm standin {kind}`, version {version}.

Licence: Apache-2.0. {licence}
"""
ABOUT = {
    "nano": "Random weights from a fixed seed: for tests and demonstrations. It knows nothing before training.",
    "pocket": f"The text weights of SmolLM2-135M-Instruct ({SOURCE}; 4-bit there, so slightly rounded).",
}
LICENCE = {
    "nano": "Weights and tokenizer are this project's own.",
    "pocket": "Text weights and vocabulary are SmolLM2's (Hugging Face, Apache-2.0), the graft is this project's.",
}


def make_standin(kind: str, out: Path) -> None:
    """Write the stand-in `kind` (nano or pocket) into `out`; a finished one of that kind is left alone and said so.

    nano takes seconds and has the same bytes every time; pocket fetches 93 MB from PyPI once.
    Raises Fault when `out` holds anything else, or when PyPI cannot be reached.
    """
    if out.is_dir() and (out / MARKER).exists():
        made = read_json(out / MARKER, "Choose another --out.")
        if made.get("kind") != kind:
            raise Fault(f"{out}: holds the stand-in {made.get('kind')}, not {kind}. Choose another --out.")
        say(f"{out}: the stand-in {kind} is already there; nothing to do.")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Fault(f"{out}: holds something that is not a stand-in. Choose another --out, or move it away.")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(out):
            partial.mkdir(parents=True)
        with writing(out, full_only=True):
            MAKERS[kind](partial)
        (partial / MARKER).write_text(json.dumps({"schema": 1, "kind": kind}) + "\n", encoding="utf-8")
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"{out}: the stand-in {kind} is ready.")


def _make_nano(out: Path) -> None:
    tokenizer = _chat_tokenizer(_trained_tokenizer())
    _save("nano", _fresh_model(NANO_TEXT, NANO_VISION, tokenizer), tokenizer, out)


def _make_pocket(out: Path) -> None:
    weights, backend = smollm2()
    tokenizer = _chat_tokenizer(_split_like_smollm2(backend))
    model = _fresh_model(POCKET_TEXT, POCKET_VISION, tokenizer)
    graft(weights, model)
    # float32, unlike the real bases: bfloat16 would round the original's weights, and its logits would not be equal.
    _save("pocket", model, tokenizer, out)


MAKERS: dict[str, Callable[[Path], None]] = {"nano": _make_nano, "pocket": _make_pocket}


def _training_text() -> list[str]:
    """What nano's tokenizer learns from, nothing downloaded: the benchmark's prompts and answers, and letters."""
    tasks = [task for subset in benchmark().values() for task in subset.tasks]
    lines = [task.prompt for task in tasks]
    for task in tasks:
        match task.grammar:
            case Labels() as labels:
                lines += [labels.render([name]) for name in labels.names]
                lines += [alias for label in labels.labels for alias in label.aliases]
            case Ordinal() as ordinal:
                lines += [text for _, text in ordinal.classes]
    for first, last in LETTERS:
        lines += [chr(code) for code in range(first, last + 1)]
    # Twice, so that all of them are whole tokens before ideographs fill what is left of the vocabulary.
    return lines * 2 + [chr(code) for code in range(0x4E00, 0xA000)]


def _trained_tokenizer() -> Tokenizer:
    backend = _split_like_smollm2(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(
        vocab_size=NANO_VOCABULARY - len(VISION_TOKENS),
        min_frequency=1,
        special_tokens=list(CHAT_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # all 256 bytes: every text can be encoded
        show_progress=False,
    )
    backend.train_from_iterator(_training_text(), trainer)
    return backend


def _split_like_smollm2(backend: Tokenizer) -> Tokenizer:
    """Each digit a token, then bytes, as in Qwen's and in SmolLM2's own tokenizer; the GGUF file does not carry it."""
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _chat_tokenizer(backend: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>", *VISION_TOKENS],
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _fresh_model(text: dict[str, Any], vision: dict[str, Any], tokenizer: PreTrainedTokenizerFast) -> Any:
    """A random Qwen2_5_VLForConditionalGeneration in float32, the same every time."""
    ids: Any = tokenizer.convert_tokens_to_ids
    special = {"bos_token_id": None, "eos_token_id": ids("<|im_end|>"), "pad_token_id": ids("<|endoftext|>")}
    config = Qwen2_5_VLConfig(
        text_config={**text, **special, "vocab_size": len(tokenizer), "tie_word_embeddings": True},
        vision_config={
            **vision,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TEMPORAL,
            "tokens_per_second": 2,
            "out_hidden_size": text["hidden_size"],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=True,
        **special,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model: Any = Qwen2_5_VLForConditionalGeneration(config)  # type: ignore[no-untyped-call]
    ends = [ids("<|im_end|>"), ids("<|endoftext|>")]
    greedy: Any = GenerationConfig
    model.generation_config = greedy(do_sample=False, eos_token_id=ends, pad_token_id=ends[1])
    return model


@torch.no_grad()
def graft(weights: dict[str, torch.Tensor], model: Any) -> None:
    """Copy LlamaForCausalLM's weights {name: tensor} into the text decoder of a Qwen2.5-VL of the same sizes.

    Llama has no attention biases: they become 0. Embeddings above Llama's vocabulary stay as they are.
    """
    for name, target in model.model.language_model.state_dict().items():
        if name.endswith("_proj.bias"):
            target.zero_()
        else:
            source = weights[f"model.{name}"]
            target[: len(source)].copy_(source)


def _save(kind: str, model: Any, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    # With the defaults of transformers in place of these pixels, a frame of 128x128 is scaled up to 8 times the tokens.
    sizes: dict[str, Any] = {"min_pixels": MIN_PIXELS, "max_pixels": MAX_PIXELS}
    sizes |= {"patch_size": PATCH, "merge_size": MERGE, "temporal_patch_size": TEMPORAL}
    images: Any = Qwen2VLImageProcessor(**sizes)
    videos: Any = Qwen2VLVideoProcessor(**sizes)
    processor: Any = Qwen2_5_VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE)  # type: ignore
    model.save_pretrained(out)
    processor.save_pretrained(out)
    # transformers 5 keeps both in processor_config.json; everyone else looks for the two files of the real bases.
    images.save_pretrained(out)
    videos.save_pretrained(out)
    text = README.format(
        kind=kind,
        about=ABOUT[kind],
        licence=LICENCE[kind],
        millions=model.num_parameters() / 1e6,
        dtype=str(model.dtype).removeprefix("torch."),
        version=version("mmafflm"),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
