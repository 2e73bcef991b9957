"""Check that a merged model is its base plus its adapter, by its logits on two questions, one of them with a picture.

A failed merge raises no error: it leaves the base's weights unchanged, or adds the adapter to the wrong ones, and every
later step still runs. The models are loaded one after the other, so that only one is in memory at a time.
"""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor

from mmafflm.errors import Fault
from mmafflm.weights import adapted, kind_of, load, reading

TEXT = "Which emotion does this show, and how strong is it on a scale from 0 to 1? Answer with one word and a number."
SIDE = 112  # pixels of the picture
# The largest allowed difference between the merged model's logits and those of base plus adapter, divided by the
# standard deviation of the latter. Merging rounds each weight once to the model's precision: by up to 2**-9 of the
# weight in bfloat16, 2**-12 in float16.
TOLERANCE = {torch.float32: 0.001, torch.float16: 0.02, torch.bfloat16: 0.1}


def require_merged(base: str, adapter: Path, merged: Path) -> None:
    """Raises Fault when the merged model's logits equal those of its base, or differ from those of base plus adapter.

    Raises Fault, too, when the adapter changes nothing, and when a model cannot be loaded. base: a folder or a hub id;
    adapter and merged: folders. `merged` is loaded in the precision in which it was saved.
    """
    auto, inputs = kind_of(merged), _inputs(merged)
    result: Any = load(auto, str(merged), dtype="auto")
    precision = result.dtype
    of_merged = _logits(result, inputs)
    del result
    gc.collect()
    with_adapter = adapted(load(auto, base, dtype=precision), str(adapter))
    expected = _logits(with_adapter, inputs)
    with with_adapter.disable_adapter():
        of_base = _logits(with_adapter, inputs)
    for kind in inputs:
        _require_alike(
            adapter, kind, of_merged[kind], expected[kind], TOLERANCE.get(precision, max(TOLERANCE.values()))
        )
    if all(torch.equal(expected[kind], of_base[kind]) for kind in inputs):
        raise Fault(f"{adapter}: changes nothing in its base {base}, so there is nothing to merge. Train it again.")
    if all(torch.equal(of_merged[kind], of_base[kind]) for kind in inputs):
        named = str(precision).removeprefix("torch.")
        raise Fault(
            f"{adapter}: merged in {named}, the model answers exactly as its base {base}: the adapter's change is too "
            "small for that precision, or was not merged. Train longer, or predict with the unmerged run."
        )


def _require_alike(adapter: Path, kind: str, of_merged: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    apart, spread = float((of_merged - expected).abs().max()), float(expected.std())
    if not apart <= tolerance * spread:  # a NaN counts as different
        raise Fault(
            f"{adapter}: on the {kind} question the merged model's logits differ by up to {apart:.3g} from those of "
            f"base plus adapter; {tolerance * spread:.3g} is allowed. Export again; if this happens again, predict "
            "with the unmerged run."
        )


def _inputs(folder: Path) -> dict[str, Any]:
    """The model's inputs for two questions: {"text": ..., "picture": ...}; the picture is a colour gradient."""
    makers: Any = AutoProcessor
    with reading(folder):
        processor = makers.from_pretrained(folder, trust_remote_code=False)
        asked: dict[str, Any] = {}
        for kind, media in {"text": [], "picture": [{"type": "image"}]}.items():
            turn = [{"role": "user", "content": [*media, {"type": "text", "text": TEXT}]}]
            text = processor.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            images = {"images": [_picture()]} if media else {}
            asked[kind] = processor(text=[text], return_tensors="pt", **images)
    return asked


def _picture() -> Image.Image:
    ramp = np.linspace(0, 255, SIDE, dtype=np.uint8)
    red, green = np.meshgrid(ramp, ramp)
    return Image.fromarray(np.stack([red, green, np.full_like(red, 128)], -1))


@torch.inference_mode()
def _logits(model: Any, inputs: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The logits in float32 at every position of each question: {kind: (tokens, vocabulary)}."""
    return {kind: model.eval()(**given).logits[0].float() for kind, given in inputs.items()}
