"""Counts of the training mix, and whether cutoff_len would cut an answer or a picture in it.

LLaMA-Factory cuts without a message. The model then learns a cut answer as if it were whole. A cut inside a picture's
tokens fails in the middle of a run ("image features and image tokens do not match").
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mmafflm.dataset import MEDIA_INDEX, MIX, Dataset, build_command
from mmafflm.errors import Fault
from mmafflm.families.base import Family, MediaSize
from mmafflm.families.find import built_for
from mmafflm.files.inside import Folder, quoted
from mmafflm.hub import file_of
from mmafflm.media.budget import Budget
from mmafflm.records import read_jsonl

BYTES_A_TOKEN = 4  # for English; used as an estimate when there is no tokenizer
_NAMES = pl.List(pl.String)
_TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
_COLUMNS: dict[str, tuple[pl.DataType, ...]] = {
    "id": (pl.String(),), "messages": (_TURNS,), "images": (_NAMES,), "videos": (_NAMES, pl.List(_NAMES)),
    "vision_tokens": (pl.Int32(),), "text_bytes": (pl.Int32(),),
}  # fmt: skip
SAMPLE = 2000  # about this many rows are tokenized to estimate the total


@dataclass(frozen=True)
class MixCounts:
    """Counts of the training mix: its rows, those with a picture or clip, all tokens, and those of the longest row."""

    rows: int
    images: int
    videos: int
    tokens: int
    vision_tokens: int
    longest: int
    longest_id: str
    most_vision: int  # vision tokens of the record with the most of them
    counted: bool  # counted by the base's tokenizer; otherwise estimated from bytes
    unsure: int = 0  # records that might exceed cutoff_len, when there is no tokenizer to count them


def scan(data: Dataset, config: dict[str, Any], family: Family) -> MixCounts:
    """Count the mix, and refuse a cutoff_len that cuts one of its records.

    Only some texts are tokenized: those of records that might be too long (byte-level BPE makes no more tokens than
    there are bytes), the longest ones, and a sample for the total. Raises Fault with the first record that would be
    cut, and the cutoff_len that the longest needs. Without the base's tokenizer, lengths are estimated from bytes and
    nothing is refused.
    """
    path = file_of(str(config["model_name_or_path"]), "tokenizer.json")
    rows = mix_rows(data, family, budget_of(config), path)
    cutoff = int(config.get("cutoff_len", 2048))
    most = (
        pl.col("text_bytes") + pl.col("vision_tokens") + len(family.conversation.exchange.format(prompt="", answer=""))
    )
    rows = rows.with_columns(most=most)
    long = rows.filter(pl.col("most") > cutoff)
    vision, text_bytes = int(rows["vision_tokens"].sum()), int(rows["text_bytes"].sum())
    most_vision = int(rows["vision_tokens"].max() or 0)  # type: ignore[arg-type]  # an integer column
    images, videos = (int((rows[name].list.len() > 0).sum()) for name in ("images", "videos"))
    if path is None:
        last = rows.sort("most").tail(1)
        guess = text_bytes // BYTES_A_TOKEN + family.conversation.tokens * rows.height + vision
        longest = int(last["text_bytes"][0]) // BYTES_A_TOKEN + int(last["vision_tokens"][0]) if last.height else 0
        name = str(last["id"][0]) if last.height else ""
        unsure = long.height
        return MixCounts(rows.height, images, videos, guess, vision, longest, name, most_vision, False, unsure)
    longest_rows = pl.concat([long, rows.sort("most", "id").tail(SAMPLE // 10)]).unique("id", maintain_order=True)
    lengths = text_tokens(path, longest_rows, family) + longest_rows["vision_tokens"].to_numpy()
    _refuse_cut(longest_rows, lengths, cutoff)
    sample = rows.gather_every(max(1, rows.height // SAMPLE))
    text = int(text_tokens(path, sample, family).sum() / max(1, sample.height) * rows.height)
    where = int(lengths.argmax()) if len(lengths) else 0
    longest, name = (int(lengths[where]), str(longest_rows["id"][where])) if len(lengths) else (0, "")
    return MixCounts(rows.height, images, videos, text + vision, vision, longest, name, most_vision, counted=True)


def media_of_mix(data: Dataset) -> set[str]:
    """Every picture, frame and clip of the mix, as paths below DATA."""
    rows = _rows(data)
    videos = rows["videos"].explode().drop_nulls()
    frames = videos.explode().drop_nulls() if videos.dtype == pl.List(pl.String) else videos
    return {*rows["images"].explode().drop_nulls(), *frames}


def budget_of(config: dict[str, Any]) -> Budget:
    """The pixel and frame budget in a training's config."""
    return Budget(**{field.name: config[field.name] for field in fields(Budget)})


def mix_rows(data: Dataset, family: Family, budget: Budget, path: Path | None = None) -> pl.DataFrame:
    """The mix's rows, with `vision_tokens` as this family counts them; see counted_for."""
    return counted_for(family, data, budget, _rows(data), path)


def _rows(data: Dataset) -> pl.DataFrame:
    """The mix's rows. Raises Fault for missing, malformed, too few or too many rows, and forbidden paths."""
    path = data.path / "mmaffin" / "parquet" / f"{MIX}.parquet"
    if not path.exists() or not (data.path / data.manifest["mix"]["file"]).exists():
        raise Fault(f"{path}: missing. Run: {build_command(data.path)}")
    try:
        rows = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise Fault(f"{path}: not a Parquet file ({error}). Build again.") from None
    found = rows.schema
    missing = [name for name, kinds in _COLUMNS.items() if found.get(name) not in kinds or rows[name].null_count()]
    if missing:
        raise Fault(f"{path}: the column {missing[0]} is missing, or not as the build writes it. Build again.")
    if rows.height != data.manifest["mix"]["rows"]:
        raise Fault(
            f"{data.path}: the mix holds {rows.height} rows, but the manifest says {data.manifest['mix']['rows']}. "
            "Build again."
        )
    _refuse_names(data, path, rows)
    return rows


def _refuse_names(data: Dataset, path: Path, rows: pl.DataFrame) -> None:
    """Raises Fault when a row has a forbidden path of a picture, frame or clip. LLaMA-Factory would open any path."""
    folder = Folder(data.path)
    for number, (images, videos) in enumerate(rows.select("images", "videos").iter_rows(), 1):
        frames = ([clip] if isinstance(clip, str) else clip or [None] for clip in videos)
        for name in [*images, *(one for clip in frames for one in clip)]:
            if why := folder.fault(name):
                raise Fault(f"{path}: row {number}, {rows['id'][number - 1]}: {quoted(name)}: {why}. Build again.")


def counted_for(
    family: Family, data: Dataset, budget: Budget, rows: pl.DataFrame, path: Path | None = None
) -> pl.DataFrame:
    """The mix's rows with `vision_tokens` as this family counts them under a budget.

    The build stores the counts for its own family and budget.

    path: the base's tokenizer.json, for families that write words between the frames of a clip. Raises Fault for a
    picture or clip whose size the build did not record, or which the family's processor refuses.
    """
    if family.media is built_for().media and budget == data.budget:
        return rows
    stored: dict[str, dict[str, Any]] = {}
    if rows.filter((pl.col("images").list.len() > 0) | (pl.col("videos").list.len() > 0)).height:
        data.require_unchanged([MEDIA_INDEX])
        stored = {str(one["file"]): one for one in read_jsonl(data.path / MEDIA_INDEX)}
    budget, counts, tokens = budget.under(family.media), list[int](), _media_tokens(family, path)
    for images, videos in rows.select("images", "videos").iter_rows():
        clips = [(one, None) if isinstance(one, str) else (one[0], len(one)) for one in videos]
        if family.media.timed and any(frames is None for _, frames in clips):
            raise Fault(
                f"{data.path}: its clips are files, and {family.name} writes the times of frames into its prompts. "
                "LLaMA-Factory computes other times for such a file than evaluation does. Build without --raw-video."
            )
        if missing := [name for name in (*images, *(name for name, _ in clips)) if name not in stored]:
            raise Fault(f"{data.path / MEDIA_INDEX}: has no {quoted(missing[0])}. Build again.")
        sizes = [(name, MediaSize(*budget.size(*_width_height(stored[name])))) for name in images]
        for name, frames in clips:
            size = budget.size(*_width_height(stored[name]), video=True)
            sizes.append((name, MediaSize(*size, frames or stored[name]["frames"] or 1, budget.video_fps)))
        counts.append(0)
        for name, one in sizes:
            try:
                counts[-1] += tokens(one)
            except ValueError as error:
                raise Fault(f"{data.path / name}: {error}. Remove it from the mix, or choose another base.") from None
    return rows.with_columns(vision_tokens=pl.Series(counts, dtype=pl.Int32))


def _media_tokens(family: Family, path: Path | None) -> Callable[[MediaSize], int]:
    """family.media.tokens, but if there is a tokenizer, it counts the words between frames."""
    if path is None:
        return family.media.tokens
    from tokenizers import Tokenizer  # type: ignore[import-untyped]  # only the train extra has it

    tokenizer, marks = Tokenizer.from_file(str(path)), {*family.media.image, *family.media.video}
    cut = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))

    @cache
    def tokens(size: MediaSize) -> int:
        pieces = cut.split(family.media.text(size))
        words = sum(len(tokenizer.encode(one, add_special_tokens=False)) for one in pieces if one)
        return words + len(pieces) - 1 if words else family.media.tokens(size)

    return tokens


def _width_height(stored: dict[str, Any]) -> tuple[int, int]:
    return int(stored["width"]), int(stored["height"])


def text_tokens(path: Path, rows: pl.DataFrame, family: Family) -> npt.NDArray[np.int64]:
    """The text tokens of each row, including the template. The start and end marks of media belong to vision_tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    turns, exchange = rows["messages"].to_list(), family.conversation.exchange
    texts = [exchange.format(prompt=user["content"], answer=assistant["content"]) for user, assistant in turns]
    marks = np.zeros(len(texts), np.int64)
    for placeholder, mark in (("<image>", family.media.image), ("<video>", family.media.video)):
        edges = mark.around(0)
        size = len(tokenizer.encode(edges, add_special_tokens=False))
        marks += size * np.array([text.count(placeholder) for text in texts], np.int64)
        texts = [text.replace(placeholder, edges) for text in texts]
    counts = [len(one) for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    return np.array(counts, np.int64) - marks


def _refuse_cut(rows: pl.DataFrame, lengths: npt.NDArray[np.int64], cutoff: int) -> None:
    cut = np.flatnonzero(lengths > cutoff)
    if len(cut):
        raise Fault(
            f"cutoff_len {cutoff} would cut {len(cut)} records, the first {rows['id'][int(cut[0])]} "
            f"({lengths[cut[0]]} tokens): its answer or its pictures would be lost. "
            f"Set cutoff_len: {lengths.max()} or more, or lower the pixel limits."
        )
