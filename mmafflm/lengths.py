"""What the mix holds, and whether cutoff_len would cut an answer or a picture of it.

LLaMA-Factory cuts silently: an answer that is cut is learned short, and a cut inside a picture's tokens fails in the
middle of a run ("image features and image tokens do not match").
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import Record, read_records

# LLaMA-Factory's template qwen2_vl, whose system prompt is not the empty one.
TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
)
PATCH_PIXELS = 28 * 28  # one vision token


@dataclass(frozen=True)
class Mix:
    """The training mix: rows, and how many of them hold an image or a video."""

    rows: int
    images: int
    videos: int


def scan(data: Dataset, config: dict[str, Any], notes: list[str]) -> Mix:
    """Count the mix and refuse a cutoff_len that cuts one of its records.

    Only records that might be too long are tokenized: byte-level BPE makes no more tokens than there are bytes.
    Raises Fault naming the first record that is cut, and the cutoff_len that would hold the longest.
    """
    cutoff = int(config.get("cutoff_len", 2048))
    rows = images = videos = 0
    long: list[Record] = []
    for record in _mix(data):
        rows += 1
        images += bool(record.images)
        videos += bool(record.videos)
        if len(_text(record).encode()) + _media_tokens(record, config) > cutoff:
            long.append(record)
    if rows != data.manifest["mix"]["rows"]:
        raise Fault(
            f"{data.path}: the mix holds {rows} rows, the manifest says {data.manifest['mix']['rows']}. Build again."
        )
    if long:
        _refuse_cut(long, cutoff, config, notes)
    return Mix(rows, images, videos)


def _mix(data: Dataset) -> Iterator[Record]:
    path = data.path / data.manifest["mix"]["file"]
    if not path.exists():
        raise Fault(f"{path}: missing. Run: mmaffin build --raw RAW --out {data.path}")
    return read_records(path)


def _refuse_cut(long: list[Record], cutoff: int, config: dict[str, Any], notes: list[str]) -> None:
    path = tokenizer_path(str(config["model_name_or_path"]))
    if path is None:
        notes.append(f"{len(long)} records might exceed cutoff_len {cutoff}; no tokenizer is here yet to count them.")
        return
    from tokenizers import Tokenizer  # type: ignore[import-untyped]  # only the train tier has it

    tokenizer = Tokenizer.from_file(str(path))
    encoded = tokenizer.encode_batch_fast([_text(record) for record in long], add_special_tokens=False)
    lengths = [len(one) + _media_tokens(record, config) for record, one in zip(long, encoded, strict=True)]
    cut = [(record, length) for record, length in zip(long, lengths, strict=True) if length > cutoff]
    if cut:
        record, length = cut[0]
        raise Fault(
            f"cutoff_len {cutoff} would cut {len(cut)} records, the first {record.id} ({length} tokens): its answer or "
            f"its pictures would be lost. Set cutoff_len: {max(lengths)} or more, or lower the pixel limits."
        )


def _text(record: Record) -> str:
    return TEMPLATE.format(prompt=record.prompt, answer=record.answer)


def _media_tokens(record: Record, config: dict[str, Any]) -> int:
    """Vision tokens at the most: every picture as large as the limit, every video as long."""
    image = _tokens(config["image_max_pixels"])
    frames = sum(config["video_maxlen"] if isinstance(video, str) else len(video) for video in record.videos)
    video = _tokens(config["video_max_pixels"]) * ((frames + 1) // 2)  # one token covers two frames
    return len(record.images) * image + video


def _tokens(max_pixels: int) -> int:
    return -(-max_pixels // PATCH_PIXELS) + 2  # start and end of the picture


def tokenizer_path(base: str) -> Path | None:
    """tokenizer.json of a base in a folder or in the hub's cache; None when it is in neither."""
    local = Path(base) / "tokenizer.json"
    if local.exists():
        return local
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    cached = try_to_load_from_cache(base, "tokenizer.json")
    return Path(cached) if isinstance(cached, str) else None
