"""One corpus through the build, once its parts are read: its rows chosen, its records written."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from data_build.config import Split
from data_build.corpus import QUARANTINE, Corpus
from data_build.coverage import First, Kept
from data_build.extract import FRAME
from data_build.lost_marks import Lost, lost_marks
from data_build.media_index import Index
from data_build.registry import write_records
from data_build.select import CONFLICT, DUPLICATE, LEAK, OVER_CAP, Selection
from data_build.shards import Shards, choose, numbers
from mmafflm.benchmark import Subset, Task
from mmafflm.dataset import split_file
from mmafflm.errors import Fault
from mmafflm.records import SPLITS, Quarantined, Record


@dataclass
class Outcome:
    """What became of a corpus: counts for the manifest, and every row that was not kept."""

    rows_read: int = 0
    rows: dict[str, dict[str, int]] = field(default_factory=dict)  # subset -> split -> rows
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    languages: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    keys: dict[tuple[str, str], pl.Series] = field(default_factory=dict)  # (subset, split) -> text keys
    quarantine: list[Quarantined] = field(default_factory=list)
    origins: dict[str, dict[str, Any]] = field(default_factory=dict)  # source -> Example.origin
    notes: dict[str, str] = field(default_factory=dict)  # raw picture or clip -> what was done to open it
    lost_marks: list[Lost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = Kept(self.rows)


def write_corpus(
    corpus: Corpus,
    folders: list[Path],
    shards: Shards,
    subsets: list[Subset],
    splits: dict[str, Split],
    seed: int,
    limit: int | None,
    data: Path,
    index: Index,
) -> Outcome:
    """Choose among the rows of all parts (in order) and write SUBSET_SPLIT.jsonl for each subset that has rows.

    Raises Fault when nothing is kept of the corpus, or of a subset of which rows were read.
    """
    number = numbers(shards)
    chosen = choose(shards, splits, seed, limit)
    outcome = Outcome()
    bad = list(_bad_rows(corpus, folders, outcome.kept))
    outcome.rows_read = shards.rows() + len(bad)
    outcome.quarantine = [*bad, *_dropped_rows(corpus, shards, chosen, outcome.kept)]
    kept = _kept_rows(shards, number, chosen, corpus.columns)
    if kept.height:
        outcome.lost_marks = lost_marks(kept.select("source", "text"))
        for subset, split, task in kept.select("subset", "to", "task").unique().iter_rows():
            outcome.kept.tasks.setdefault((subset, split), set()).add(task)
        told = kept.filter(pl.col("origin").is_not_null()).select("source", "origin")
        outcome.origins = {source: json.loads(origin) for source, origin in told.iter_rows()}
    for subset in subsets:
        for split in SPLITS:
            rows = kept.filter((pl.col("subset") == subset.name) & (pl.col("to") == split))
            if rows.height:
                _write_split(subset, split, rows, data, index, outcome)
    outcome.kept.check(corpus.name, [subset.name for subset in subsets])
    return outcome


def _bad_rows(corpus: Corpus, folders: list[Path], kept: Kept) -> Iterator[Quarantined]:
    for folder in folders:
        for shard in sorted(folder.glob("bad-*.parquet")):
            rows = pl.read_parquet(shard).select(*QUARANTINE)
            for source, reason, detail, subset, split in rows.select(pl.exclude("unknown")).iter_rows():
                kept.lose(subset, split, First(source, reason, detail))
                yield Quarantined(corpus.name, source, reason, detail)


def _dropped_rows(corpus: Corpus, shards: Shards, chosen: Selection, kept: Kept) -> Iterator[Quarantined]:
    """A line for every row taken out; rows over a cap are no fault of theirs and share a line for each raw file."""
    over: Counter[str] = Counter()
    columns = ("source", "reason", "media", "subset", "split")
    start = 0
    for frame in shards.frames("source", "subset", "split"):
        usable = frame.filter(pl.col("reason").is_null())
        reasons = chosen.reason.slice(start, usable.height).cast(pl.String)
        start += usable.height
        told = pl.concat([frame.filter(pl.col("reason").is_not_null()), usable.with_columns(reason=reasons)])
        dropped = told.filter(pl.col("reason").is_not_null())
        is_over = pl.col("reason") == OVER_CAP
        for source, reason, media, subset, split in dropped.filter(~is_over).select(*columns).iter_rows():
            detail = _raw_file(media) if media else ""
            if media and reason in (LEAK, CONFLICT, DUPLICATE):
                reason = reason.replace("text", "text and media", 1)  # of a picture the text is empty
            kept.lose(subset, split, First(source, reason, detail))
            yield Quarantined(corpus.name, source, reason, detail)
        file = pl.col("source").str.replace(r":[^:]*$", "")
        for name, rows in dropped.filter(is_over).group_by(file).len().iter_rows():
            over[name] += rows
        kept.capped.update(dropped.filter(is_over).select("subset", "split").unique().iter_rows())
    for name in sorted(over):
        yield Quarantined(corpus.name, name, OVER_CAP, "drawn out by the seed, see the config", over[name])


def _raw_file(media: str) -> str:
    """The raw picture or clip of a row's media; empty when the pixels are in the row itself."""
    return str(json.loads(media).get("file", ""))


def _kept_rows(shards: Shards, number: pl.Series, chosen: Selection, columns: tuple[str, ...]) -> pl.DataFrame:
    """The kept examples with their text, what was taken of their media, `to`, and `n`, their running number."""
    frames, start = [], 0
    for frame in shards.frames(*columns, "key"):
        examples = frame.filter(pl.col("reason").is_null())
        place = slice(start, start + examples.height)
        start += examples.height
        frames.append(
            examples.with_columns(chosen.to[place].alias("to"), number[place].alias("n")).filter(
                pl.col("to").is_not_null()
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema={"subset": pl.String, "to": pl.String})


def _write_split(subset: Subset, split: str, rows: pl.DataFrame, data: Path, index: Index, outcome: Outcome) -> None:
    labels: Counter[str] = Counter()
    tasks = {task.key: task for task in subset.tasks}

    def records() -> Iterator[Record]:
        for row in rows.iter_rows(named=True):
            try:
                record = render(subset, tasks[row["task"]], split, row)
            except ValueError as error:
                raise Fault(f"{subset.corpus}: {row['source']}: {error}. This is a bug in the reader.") from None
            for label in record.gold if isinstance(record.gold, list) else ():
                labels[label] += 1
            yield record

    path = split_file(subset.name, split)
    outcome.rows.setdefault(subset.name, {})[split] = write_records(data / "mmaffin", data / path, records(), index)
    outcome.labels.setdefault(subset.name, {})[split] = labels
    languages = Counter(rows["language"].to_list())
    outcome.languages.setdefault(subset.name, {})[split] = languages
    outcome.keys[subset.name, split] = rows["key"]


def render(subset: Subset, task: Task, split: str, row: dict[str, Any]) -> Record:
    """The record of one chosen row: prompt and answer to the letter, and an id that no cap or seed changes.

    A row of a release keeps the id and the prompt that it has.
    """
    gold = json.loads(row["gold"])
    where = [subset.name]
    where += [row["language"]] if len(subset.languages) > 1 else []
    where += [task.key] if len(subset.tasks) > 1 else []
    where += [row["emotion"]] if row["emotion"] else []
    return Record(
        id=row.get("id") or "/".join([*where, split, f"{row['n']:06}"]),
        subset=subset.name,
        task=task.kind,
        split=split,
        language=row["language"],
        modality=subset.modality,
        source=row["source"],
        messages=[
            {"role": "user", "content": row.get("prompt") or task.ask(row["text"], row["emotion"] or "")},
            {"role": "assistant", "content": task.answer(gold, row["emotion"])},
        ],
        images=list(row["files"]) if subset.modality == "image" else [],
        videos=_videos(row["files"]) if subset.modality == "video" else [],
        gold=gold,
        translated_from=json.loads(row["translated_from"]) if row.get("translated_from") else None,
        emotion=row["emotion"],
    )


def _videos(files: list[str]) -> list[str | list[str]]:
    """A clip as LLaMA-Factory takes it: the list of its frames, or the file itself (--raw-video)."""
    return [list(files)] if files[0].endswith(FRAME) else [files[0]]
