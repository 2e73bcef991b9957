"""Check that a merged model is its base plus its adapter, by the logits after a text and after a picture.

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
# The largest allowed difference between merged logits and those of base and adapter, as a share of the spread of the
# latter. Merging rounds each weight once to the model's precision: 2**-9 of it in bfloat16, 2**-12 in float16.
TOLERANCE = {torch.float32: 0.001, torch.float16: 0.02, torch.bfloat16: 0.1}


def require_merged(base: str, adapter: Path, merged: Path) -> None:
    """Raises Fault when the merged model answers like its base, or unlike the base with the adapter.

    base: a folder or a hub id; adapter and merged: folders. `merged` is loaded in the precision in which it was saved.
    """
    auto, inputs = kind_of(merged), _inputs(merged)
    result: Any = load(auto, str(merged), dtype="auto")
    precision = result.dtype
    found = _logits(result, inputs)
    del result
    gc.collect()
    put_on = adapted(load(auto, base, dtype=precision), str(adapter))
    due = _logits(put_on, inputs)
    with put_on.disable_adapter():
        plain = _logits(put_on, inputs)
    for kind in inputs:
        _require_alike(adapter, kind, found[kind], due[kind], TOLERANCE.get(precision, max(TOLERANCE.values())))
    if all(torch.equal(due[kind], plain[kind]) for kind in inputs):
        raise Fault(f"{adapter}: changes nothing in its base {base}, so there is nothing to merge. Train it again.")
    if all(torch.equal(found[kind], plain[kind]) for kind in inputs):
        raise Fault(
            f"{adapter}: merged in {precision}, it answers as its base {base} does: what it learned is too small for "
            "that precision, or was not merged. Train longer, or predict with the unmerged run."
        )


def _require_alike(adapter: Path, kind: str, found: torch.Tensor, due: torch.Tensor, tolerance: float) -> None:
    apart, spread = float((found - due).abs().max()), float(due.std())
    if not apart <= tolerance * spread:  # a NaN counts as different
        raise Fault(
            f"{adapter}: after a {kind} the merged model's logits are {apart:.3g} from those of base and adapter, and "
            f"{tolerance * spread:.3g} is allowed. Export again; if this happens again, predict with the unmerged run."
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
