"""Choose a corpus's rows once its parts are read, and write its records."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from data_build.config import SplitSizes
from data_build.media.extract import FRAME
from data_build.media.media_index import Index
from data_build.mix.mix import Line, Mix
from data_build.reading.corpus import QUARANTINE, Corpus
from data_build.rows.coverage import First, Kept
from data_build.rows.lost_marks import Lost, lost_marks
from data_build.rows.select import CONFLICT, DUPLICATE, LEAK, OVER_CAP, SplitChoice
from data_build.rows.shards import Shards, choose, numbers
from data_build.twins import write_records
from mmafflm.benchmark.benchmark import Subset, Task
from mmafflm.dataset import split_file
from mmafflm.errors import Fault
from mmafflm.records import SPLITS, Quarantined, Record
from mmafflm.sampling import shuffle_key


@dataclass
class Outcome:
    """The result of building a corpus: counts for the manifest, and every row that was not kept."""

    rows_read: int = 0
    rows: dict[str, dict[str, int]] = field(default_factory=dict)  # subset -> split -> rows
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    languages: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    keys: dict[tuple[str, str], pl.Series] = field(default_factory=dict)  # (subset, split) -> text keys
    quarantine: list[Quarantined] = field(default_factory=list)
    origins: dict[str, dict[str, Any]] = field(default_factory=dict)  # source -> Example.origin
    notes: dict[str, str] = field(default_factory=dict)  # raw picture or clip -> what had to be done to open it
    lost_marks: list[Lost] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept = Kept(self.rows)


@dataclass(frozen=True)
class Chosen:
    """A corpus whose rows have been chosen, but not yet written: they are still in the shards."""

    corpus: Corpus
    subsets: list[Subset]
    shards: Shards
    to: pl.Series  # each usable row's split, or null
    number: pl.Series  # each usable row's number, see shards.numbers
    outcome: Outcome

    def rows(self) -> pl.DataFrame:
        """The kept rows in reading order: the corpus's columns, the stored files, `to` (the split) and `id`."""
        frames, start = [], 0
        for frame in self.shards.frames(*self.corpus.columns, "key"):
            examples = frame.filter(pl.col("reason").is_null())
            place = slice(start, start + examples.height)
            start += examples.height
            placed = examples.with_columns(self.to[place].alias("to"), self.number[place].alias("n"))
            frames.append(placed.filter(pl.col("to").is_not_null()))
        if not frames:
            return pl.DataFrame(schema=dict.fromkeys(("subset", "to", "id", "source"), pl.String))
        rows = pl.concat(frames)
        made = _ids(self.subsets)
        own = pl.when(pl.col("id") != "").then("id") if "id" in rows.columns else pl.lit(None, pl.String)
        return rows.with_columns(id=pl.coalesce(own, made)).drop("n")


def _ids(subsets: list[Subset]) -> pl.Expr:
    """The ids of rows: subset; language, task and emotion where needed; split; number, which caps do not change."""
    several = [subset.name for subset in subsets if len(subset.languages) > 1]
    many = [subset.name for subset in subsets if len(subset.tasks) > 1]
    parts = [
        pl.col("subset"),
        pl.when(pl.col("subset").is_in(several)).then("language"),
        pl.when(pl.col("subset").is_in(many)).then("task"),
        pl.when(pl.col("emotion") != "").then("emotion"),
        pl.col("to").cast(pl.String),
        pl.col("n").cast(pl.String).str.zfill(6),
    ]
    return pl.concat_str(parts, separator="/", ignore_nulls=True)


def choose_rows(
    corpus: Corpus,
    folders: list[Path],
    shards: Shards,
    subsets: list[Subset],
    splits: dict[str, SplitSizes],
    seed: int,
    limit: int | None,
) -> Chosen:
    """Choose among the rows of all parts. folders: of the parts, in their order. Raises Fault as Kept.check does."""
    selection = choose(shards, splits, seed, limit)
    outcome = Outcome()
    chosen = Chosen(corpus, subsets, shards, selection.to, numbers(shards), outcome)
    bad = list(_bad_rows(corpus, folders, outcome.kept))
    outcome.rows_read = shards.rows() + len(bad)
    outcome.quarantine = [*bad, *_dropped_rows(corpus, shards, selection, outcome.kept)]
    kept = chosen.rows()
    if kept.height:
        outcome.lost_marks = lost_marks(kept.select("source", "text"))
        for subset, split, task in kept.select("subset", "to", "task").unique().iter_rows():
            outcome.kept.tasks.setdefault((subset, split), set()).add(task)
        told = kept.filter(pl.col("origin").is_not_null()).select("source", "origin")
        outcome.origins = {source: json.loads(origin) for source, origin in told.iter_rows()}
        for subset, split, rows in kept.group_by("subset", "to").len().iter_rows():
            outcome.rows.setdefault(subset, {})[split] = rows
    outcome.kept.check(corpus.name, [subset.name for subset in subsets])
    return chosen


def write_rows(chosen: Chosen, leaked: Mapping[str, tuple[str, str]], data: Path, index: Index, mix: Mix) -> None:
    """Write SUBSET_SPLIT.jsonl for each subset and split that has rows, count them, and add the mix's share to `mix`.

    leaked: {id: (reason, detail)} of training rows that go into the quarantine instead.
    """
    outcome, rows = chosen.outcome, chosen.rows()
    is_leaked = (pl.col("to") == "train") & pl.col("id").is_in(list(leaked))
    outcome.rows.clear()
    for subset in chosen.subsets:
        of_subset = pl.col("subset") == subset.name
        for name, source in rows.filter(of_subset & is_leaked).select("id", "source").iter_rows():
            outcome.quarantine.append(Quarantined(chosen.corpus.name, source, *leaked[name]))
        for split in SPLITS:
            some = rows.filter(of_subset & (pl.col("to") == split) & ~is_leaked)
            if some.height:
                _write_split(subset, split, some, data, index, outcome, mix)
    if outcome.origins:
        stayed = set(rows.filter(~is_leaked)["source"])
        outcome.origins = {source: of for source, of in outcome.origins.items() if source in stayed}


def _bad_rows(corpus: Corpus, folders: list[Path], kept: Kept) -> Iterator[Quarantined]:
    for folder in folders:
        for shard in sorted(folder.glob("bad-*.parquet")):
            rows = pl.read_parquet(shard).select(*QUARANTINE)
            for source, reason, detail, subset, split in rows.select(pl.exclude("unknown")).iter_rows():
                kept.lose(subset, split, First(source, reason, detail))
                yield Quarantined(corpus.name, source, reason, detail)


def _dropped_rows(corpus: Corpus, shards: Shards, chosen: SplitChoice, kept: Kept) -> Iterator[Quarantined]:
    """Yield a line for every dropped row. Rows over a cap are valid, so each raw file has a single line for them."""
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
                reason = reason.replace("text", "text and media", 1)  # the text of a picture is empty
            kept.lose(subset, split, First(source, reason, detail))
            yield Quarantined(corpus.name, source, reason, detail)
        file = pl.col("source").str.replace(r":[^:]*$", "")
        for name, rows in dropped.filter(is_over).group_by(file).len().iter_rows():
            over[name] += rows
        kept.capped.update(dropped.filter(is_over).select("subset", "split").unique().iter_rows())
    for name in sorted(over):
        yield Quarantined(
            corpus.name, name, OVER_CAP, "not drawn, see the seed and the sizes in the config", over[name]
        )


def _raw_file(media: str) -> str:
    """The raw picture or clip of a row's media; "" when the row itself holds the pixels."""
    return str(json.loads(media).get("file", ""))


def _write_split(
    subset: Subset, split: str, rows: pl.DataFrame, data: Path, index: Index, outcome: Outcome, mix: Mix
) -> None:
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

    drawn = mix.draw(subset.name, _lines(subset, rows, mix.seed)) if split == "train" else []
    path, places = data / split_file(subset.name, split), [line.place for line in drawn]
    written = write_records(data / "mmaffin", path, records(), index, places)
    mix.add(drawn, written.kept)
    outcome.rows.setdefault(subset.name, {})[split] = written.rows
    outcome.labels.setdefault(subset.name, {})[split] = labels
    languages = Counter(rows["language"].to_list())
    outcome.languages.setdefault(subset.name, {})[split] = languages
    outcome.keys[subset.name, split] = rows["key"]


def _lines(subset: Subset, rows: pl.DataFrame, seed: int) -> Iterator[Line]:
    """What the mix needs to know about training rows."""
    kinds = {task.key: task.kind for task in subset.tasks}
    golds = {gold: orjson.dumps(json.loads(gold)) for gold in rows["gold"].unique()}
    made = rows["translated_from"].fill_null("") if "translated_from" in rows.columns else repeat("")
    columns = rows.select("id", "task", "emotion", "gold", "language").iter_rows()
    for place, ((name, task, emotion, gold, language), origin) in enumerate(zip(columns, made, strict=False)):
        stratum = (kinds[task], emotion or "", golds[gold])
        yield Line(place, shuffle_key(seed, name), stratum, language, bool(origin))


def render(subset: Subset, task: Task, split: str, row: dict[str, Any]) -> Record:
    """The record of one chosen row, with the literal prompt and answer. A released row keeps its own prompt."""
    gold = json.loads(row["gold"])
    return Record(
        id=row["id"],
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
        group=row["group"],
    )


def _videos(files: list[str]) -> list[str | list[str]]:
    """A clip in the form that LLaMA-Factory expects: a list of its frames, or the file itself (--raw-video)."""
    return [list(files)] if files[0].endswith(FRAME) else [files[0]]
