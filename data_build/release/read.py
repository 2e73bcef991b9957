"""Read one released file into rows. For a release, this reader replaces each corpus's own reader in the build."""

import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import orjson
import polars as pl

from data_build.reading.corpus import BATCH, EXAMPLES, QUARANTINE, PartRows, RawMedia, RawPart
from data_build.reading.picture_files import is_picture_name
from data_build.reading.raw import RawFile
from data_build.release.form import Form, Turn
from data_build.release.gold import read_gold
from data_build.release.names import SubsetSplit
from data_build.release.recover import Asked, asked, language_of_path, languages
from mmafflm.benchmark.benchmark import Subset, benchmark
from mmafflm.errors import Fault

# Columns for import.md: how task and language were recovered, the released answer if it was reworded, the system text.
NOTED = ("task_from", "language_from", "answer", "system")
# Released rows have these columns in addition to those of EXAMPLES. id, prompt: null where the build makes its own.
SCHEMA = pl.Schema([*EXAMPLES.items(), *((name, pl.String()) for name in ("id", "prompt", "translated_from", *NOTED))])


@dataclass(frozen=True)
class ReleasedRow:
    """A row whose task and gold are known; `media` is JSON of a RawMedia, or None."""

    turn: Turn
    asked: Asked
    gold: str
    media: str | None


class Wrong(NamedTuple):
    """A row that cannot be used, and why."""

    reason: str
    detail: str


def load(file: RawFile) -> list[Any]:
    """The rows of a released file: a JSON array, JSON Lines or Parquet. Raises Fault for anything else."""
    text = file.read()
    if file.basename.endswith(".parquet"):
        return _parquet(file.name, text)
    try:
        if file.basename.endswith(".jsonl"):
            return [orjson.loads(line) for line in text.splitlines() if line.strip()]
        rows = orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Fault(f"{file.name}: not JSON ({error}). Download it again.") from None
    if not isinstance(rows, list):
        raise Fault(
            f"{file.name}: expected a JSON array of rows, found {type(rows).__name__}. Put back the released file."
        )
    return rows


def _parquet(name: str, content: bytes) -> list[Any]:
    """Rows in the form of JSON rows: a clip kept as a file is a name, which Parquet stores as a list of one name."""
    try:
        rows = pl.read_parquet(io.BytesIO(content)).to_dicts()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        raise Fault(f"{name}: not a Parquet file ({error}). Download it again.") from None
    for row in rows:
        videos = row.get("videos") or []
        if not isinstance(videos, list):
            continue
        row["videos"] = [
            video[0] if isinstance(video, list) and len(video) == 1 and not is_picture_name(str(video[0])) else video
            for video in videos
        ]
    return rows


def read(part: RawPart, options: Mapping[str, Any]) -> Iterator[PartRows]:
    """Yield the rows of a released file. part.about: subset, split and the file's entry of dataset_info.json."""
    file, split = part.files[0], SubsetSplit(part.about["subset"], part.about["split"])
    subset = benchmark()[split.subset]
    rows = load(file)
    form = _form(part.about["entry"], rows)
    published = split.split == "test" and len(rows) == subset.test_rows
    finder = Finder(part.media)
    seen = [
        _seen(subset, form, row, position if published else None, finder, options["max_s"])
        for position, row in enumerate(rows)
    ]
    texts = [one.asked.text if isinstance(one, ReleasedRow) else "" for one in seen]
    told = languages(subset, split.split, texts, [_language(subset, one) for one in seen])
    ids = Counter(one.turn.written["id"] for one in seen if isinstance(one, ReleasedRow) and "id" in one.turn.written)
    good, bad = [], []
    for number, (one, language) in enumerate(zip(seen, told.each, strict=True), 1):
        source = f"{file.name}:{number}"
        if isinstance(one, ReleasedRow) and ids[one.turn.written.get("id", "")] > 1:
            one = Wrong("id occurs more than once", one.turn.written["id"])
        if isinstance(one, Wrong):
            bad.append((source, one.reason, one.detail, *split, None))
        else:
            good.append((*_columns(split, one, language, source), *_told(one, told.how)))
    for start in range(0, max(len(good), len(bad), 1), BATCH):
        yield PartRows(
            pl.DataFrame(good[start : start + BATCH], SCHEMA, orient="row"),
            pl.DataFrame(bad[start : start + BATCH], QUARANTINE, orient="row"),
        )


def _form(entry: str, rows: list[Any]) -> Form:
    """The form of a file. entry: JSON of its entry in dataset_info.json, or "". Raises Fault if it is not valid."""
    if not entry:
        return Form.of_row(rows[0] if rows else None)
    try:
        return Form(json.loads(entry))
    except ValueError as error:
        raise Fault(f"dataset_info.json: {error}. Put back the released file, or remove it.") from None


def _seen(
    subset: Subset, form: Form, row: Any, position: int | None, finder: "Finder", max_s: float | None
) -> ReleasedRow | Wrong:
    try:
        turn = form.read(row)
    except ValueError as error:
        return Wrong("not a row in the form of its file", str(error))
    try:
        question = asked(subset, turn.prompt, turn.answer, position)
    except ValueError as error:
        return Wrong("the task cannot be determined", f"{error}: {turn.prompt[:160]!r}")
    try:
        gold = read_gold(question.task.grammar, turn.answer, question.emotion)
    except ValueError as error:
        return Wrong("gold cannot be parsed", str(error)[:200])
    try:
        media = finder.media(subset, turn, max_s)
    except ValueError as error:
        return Wrong("picture or clip not found", str(error)[:200])
    return ReleasedRow(turn, question, json.dumps(gold, ensure_ascii=False), media)


def _language(subset: Subset, one: ReleasedRow | Wrong) -> str | None:
    """The language stated in the row or in its clip's path; None if unknown.

    In a subset with one language it is needed only for translations.
    """
    if isinstance(one, Wrong) or (len(subset.languages) == 1 and "translated_from" not in one.turn.written):
        return None
    files = [video if isinstance(video, str) else video[0] for video in one.turn.videos]
    return one.turn.written.get("language") or (language_of_path(subset, files[0]) if files else None)


def _columns(split: SubsetSplit, one: ReleasedRow, language: str, source: str) -> tuple[str | None, ...]:
    written, task, ask = one.turn.written, one.asked.task, one.asked
    return (
        split.subset, task.key, language, split.split, ask.emotion, one.gold, ask.text, one.media,
        written.get("source", source), None, _group(written), written.get("id"),
        None if ask.exact else one.turn.prompt, written.get("translated_from"),
    )  # fmt: skip


def _group(written: Mapping[str, str]) -> str | None:
    return group if ":" in (group := written.get("group", "")) else None


def _told(one: ReleasedRow, language_from: str) -> tuple[str | None, ...]:
    """The columns NOTED. `answer`: the released answer, if our answer for the same gold has another wording."""
    answer = one.asked.task.answer(json.loads(one.gold), one.asked.emotion)
    released = one.turn.answer.strip()
    return one.asked.how, language_from, None if answer == released else released, one.turn.system or None


class Finder:
    """Finds raw files by the end of their paths, because a released path begins on the authors' machine or the hub."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.by_end: dict[tuple[str, ...], list[str]] = {}
        for name in names:
            # also by folder and name: frame names are the same in every clip, so a name may match ten thousand files
            for end in {_parts(name)[-2:], _parts(name)[-1:]}:
                self.by_end.setdefault(end, []).append(name)

    def find(self, reference: str) -> str:
        """The raw file that shares the longest path end with `reference`. Raises ValueError for none or several."""
        wanted = _parts(reference)
        candidates = self.by_end.get(wanted[-2:]) or self.by_end.get(wanted[-1:], [])
        ranked = [(_shared(wanted, _parts(name)), name) for name in candidates]
        best = max((shared for shared, _ in ranked), default=0)
        names = [name for shared, name in ranked if shared == best]
        if len(names) != 1:
            raise ValueError(f"{reference}: {'not there' if not names else 'it might be ' + ' or '.join(names[:3])}")
        return names[0]

    def media(self, subset: Subset, turn: Turn, max_s: float | None) -> str | None:
        """JSON of the row's RawMedia; None for a text.

        Raises ValueError when the media do not match the subset or the prompt's tags, or when a file is not found.
        """
        wanted = (int(subset.modality == "image"), int(subset.modality == "video"))
        shown = (turn.prompt.count("<image>"), turn.prompt.count("<video>"))
        if (len(turn.images), len(turn.videos)) != wanted or shown != wanted:
            raise ValueError(
                f"{len(turn.images)} pictures and {len(turn.videos)} clips for {shown[0]} <image> and {shown[1]} "
                f"<video> in the prompt; {subset.name} has {wanted[0]} and {wanted[1]}"
            )
        if turn.images:
            return RawMedia("image", self.find(turn.images[0])).to_json()
        if not turn.videos:
            return None
        video = turn.videos[0]
        if isinstance(video, str):
            return RawMedia("video", self.find(video), max_s=max_s).to_json()
        frames = tuple(self.find(frame) for frame in video)
        return RawMedia("video", frames[0], frames=frames).to_json()


@cache
def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/").replace("!", "/")).parts or ("",)


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if left != right:
            break
        count += 1
    return count
