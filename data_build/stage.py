"""One corpus through the build: its parts read by workers into frames on disk, its rows chosen, its records written.

Everything under DATA/.work can be deleted; a part that was read is a folder with its final name, so a killed build
reads only the parts that are not there yet.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from data_build.config import Split
from data_build.corpus import QUARANTINE, Corpus, Part
from data_build.select import KEYS, OVER_CAP, Selection, select, text_key
from mmafflm.benchmark import Subset, Task
from mmafflm.dataset import split_file
from mmafflm.errors import Fault
from mmafflm.records import SPLITS, Quarantined, Record, write_jsonl

CATEGORIES = ("subset", "task", "emotion", "language", "split", "gold")


@dataclass
class Outcome:
    """What became of a corpus: counts for the manifest, and every row that was not kept."""

    rows_read: int = 0
    rows: dict[str, dict[str, int]] = field(default_factory=dict)  # subset -> split -> rows
    labels: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    languages: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    keys: dict[tuple[str, str], pl.Series] = field(default_factory=dict)  # (subset, split) -> text keys
    quarantine: list[Quarantined] = field(default_factory=list)


def read_part(corpus: Corpus, part: Part, options: dict[str, Any], subsets: list[str], folder: Path) -> None:
    """Read one part into `folder`: examples as 00000.parquet, ..., unusable rows as bad-00000.parquet.

    Raises Fault when the part is broken; the folder then does not exist.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, rows in enumerate(corpus.read(part, options)):
        wanted = rows.examples.filter(pl.col("subset").is_in(subsets))
        wanted.with_columns(key=text_key(pl.col("text"))).write_parquet(
            partial / f"{number:05}.parquet", compression="lz4"
        )
        if rows.bad.height:
            rows.bad.write_parquet(partial / f"bad-{number:05}.parquet", compression="lz4")
    partial.replace(folder)


def write_corpus(
    corpus: Corpus,
    folders: list[Path],
    subsets: list[Subset],
    splits: dict[str, Split],
    seed: int,
    limit: int | None,
    data: Path,
) -> Outcome:
    """Choose among the rows of all parts (in order) and write SUBSET_SPLIT.jsonl for each subset that has rows."""
    shards = [path for folder in folders for path in sorted(folder.glob("[0-9]*.parquet"))]
    keys = _read_keys(shards)
    chosen = select(keys, splits, seed, limit)
    outcome = Outcome(rows_read=keys.height, quarantine=list(_bad_rows(corpus, folders)))
    outcome.rows_read += len(outcome.quarantine)
    outcome.quarantine += _dropped_rows(corpus, shards, chosen)
    kept = _kept_rows(shards, keys, chosen)
    for subset in subsets:
        for split in SPLITS:
            rows = kept.filter((pl.col("subset") == subset.name) & (pl.col("to") == split))
            if rows.height:
                _write_split(subset, split, rows, data, outcome)
    return outcome


def _read_keys(shards: list[Path]) -> pl.DataFrame:
    """The key columns of all examples, in reading order; strings as categories to keep six million rows small."""
    frames = [
        pl.read_parquet(shard, columns=list(KEYS)).with_columns(pl.col(*CATEGORIES).cast(pl.Categorical))
        for shard in shards
    ]
    if not frames:
        return pl.DataFrame(schema={**dict.fromkeys(CATEGORIES, pl.Categorical), "key": pl.UInt64})
    return pl.concat(frames, rechunk=True)


def _bad_rows(corpus: Corpus, folders: list[Path]) -> Iterator[Quarantined]:
    for folder in folders:
        for shard in sorted(folder.glob("bad-*.parquet")):
            for source, reason, detail in pl.read_parquet(shard).select(*QUARANTINE).iter_rows():
                yield Quarantined(corpus.name, source, reason, detail)


def _dropped_rows(corpus: Corpus, shards: list[Path], chosen: Selection) -> Iterator[Quarantined]:
    """A line for every row taken out; rows over a cap are no fault of theirs and share a line for each raw file."""
    over: Counter[str] = Counter()
    start = 0
    for shard in shards:
        sources = pl.read_parquet(shard, columns=["source"])["source"]
        reasons = chosen.reason.slice(start, len(sources))
        start += len(sources)
        dropped = pl.DataFrame({"source": sources, "reason": reasons}).filter(pl.col("reason").is_not_null())
        for source, reason in dropped.filter(pl.col("reason") != OVER_CAP).iter_rows():
            yield Quarantined(corpus.name, source, reason, "")
        file = pl.col("source").str.replace(r":[^:]*$", "")
        for name, rows in dropped.filter(pl.col("reason") == OVER_CAP).group_by(file).len().iter_rows():
            over[name] += rows
    for name in sorted(over):
        yield Quarantined(corpus.name, name, OVER_CAP, "drawn out by the seed, see the config", over[name])


def _kept_rows(shards: list[Path], keys: pl.DataFrame, chosen: Selection) -> pl.DataFrame:
    """The kept examples with their text, `to`, and `n`: the running number among all rows read of their id group."""
    number = keys.select(n=pl.int_range(pl.len()).over("subset", "task", "emotion", "language"))["n"]
    frames, start = [], 0
    for shard in shards:
        examples = pl.read_parquet(shard)
        place = slice(start, start + examples.height)
        start += examples.height
        frames.append(
            examples.with_columns(chosen.to[place].alias("to"), number[place].alias("n")).filter(
                pl.col("to").is_not_null()
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema={"subset": pl.String, "to": pl.String})


def _write_split(subset: Subset, split: str, rows: pl.DataFrame, data: Path, outcome: Outcome) -> None:
    labels: Counter[str] = Counter()
    tasks = {task.key: task for task in subset.tasks}

    def records() -> Iterator[dict[str, Any]]:
        for row in rows.iter_rows(named=True):
            try:
                record = render(subset, tasks[row["task"]], split, row)
            except ValueError as error:
                raise Fault(f"{subset.corpus}: {row['source']}: {error}. This is a bug in the reader.") from None
            for label in record.gold if isinstance(record.gold, list) else ():
                labels[label] += 1
            yield record.to_json()

    path = split_file(subset.name, split)
    outcome.rows.setdefault(subset.name, {})[split] = write_jsonl(data / path, records())
    outcome.labels.setdefault(subset.name, {})[split] = labels
    languages = Counter(rows["language"].to_list())
    outcome.languages.setdefault(subset.name, {})[split] = languages
    outcome.keys[subset.name, split] = rows["key"]


def render(subset: Subset, task: Task, split: str, row: dict[str, Any]) -> Record:
    """The record of one chosen row: prompt and answer to the letter, and an id that no cap or seed changes."""
    gold = json.loads(row["gold"])
    where = [subset.name]
    where += [row["language"]] if len(subset.languages) > 1 else []
    where += [task.key] if len(subset.tasks) > 1 else []
    where += [row["emotion"]] if row["emotion"] else []
    return Record(
        id="/".join([*where, split, f"{row['n']:06}"]),
        subset=subset.name,
        task=task.kind,
        split=split,
        language=row["language"],
        modality=subset.modality,
        source=row["source"],
        messages=[
            {"role": "user", "content": task.ask(row["text"], row["emotion"] or "")},
            {"role": "assistant", "content": task.answer(gold, row["emotion"])},
        ],
        images=[],
        videos=[],
        gold=gold,
        emotion=row["emotion"],
    )
