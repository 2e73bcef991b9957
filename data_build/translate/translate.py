"""`mmaffin translate`: choose rows, translate and judge them, and add them to the build after their originals.

New files are first written to DATA/.translate and then copied into place, the manifest last. If a run is stopped in
between, the next run finishes this. All translations stay in the cache, also those that are rejected.
"""

import copy
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from data_build.build import only_one, require_free
from data_build.config import MOST_TRANSLATED
from data_build.dataset.card import write_card
from data_build.dataset.manifest import counts, write_seal
from data_build.dataset.typed import write_typed
from data_build.ids import TRANSLATE
from data_build.media.media_index import Index, read_index
from data_build.mix.mix import make_mix
from data_build.translate import ROUND_TRIP
from data_build.translate.cache import Cache
from data_build.translate.copies import LEAKED, QUARANTINE, copies, left_out, on_both_sides
from data_build.translate.engine import TranslationEngine
from data_build.translate.judge import fault
from data_build.translate.round_trip import Figure, Pair, round_trips
from data_build.translate.rows import (
    SPLITS,
    Brief,
    Order,
    Standing,
    Wanted,
    asks_as_we_do,
    has_text,
    in_order,
    read_standing,
    translated,
    wanted_rows,
)
from data_build.translate.work import Run, Translator
from data_build.twins import write_records
from mmafflm.dataset import MANIFEST, Dataset, build_command, manifest_fault, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, dump, read_jsonl, replacing, write_text
from mmafflm.terminal.command import say

STAGE = ".translate"  # the folder below DATA in which new files are written


class TranslationCounts(NamedTuple):
    """Counts of a run: rows that the orders request, rows added, rows put into the quarantine, lines translated.

    round_trips: the scores of the orders' pairs, see round_trip.py.
    """

    asked: int
    kept: int
    quarantined: int
    lines: int
    round_trips: list[Figure]


class Rejected(NamedTuple):
    """A translation that must not be used."""

    wanted: Wanted
    reason: str
    detail: str
    translation: str


def translate(
    data: Path, engine: TranslationEngine, *orders: Order, round_trip: int = ROUND_TRIP, run: Run | None = None
) -> TranslationCounts:
    """Add translations of the build's training and validation rows. Repeating it does nothing.

    round_trip: how many rows of each pair to translate back, for the report; 0: no round trip. run: see Translator.
    Raises UsageFault, before anything is translated, for a pair that the engine lacks or orders without any row; Fault
    for a build that has changed on disk.
    """
    pairs = _pairs(engine, orders)
    with only_one(_there(data)):
        _put_in_place(data)
        dataset = Dataset.open(data)
        named = _named(dataset, orders)
        standing = read_standing(dataset, orders)
        wanted = _wanted(dataset, orders, named, standing)
        known = standing.ids | _judged(data, engine)
        new = [one for one in wanted if one.id not in known]
        translator = Translator(engine, Cache(data), run)
        ours = [one for one in new if asks_as_we_do(one)]
        lines = translator.work(ours)
        index = read_index(data)
        records, rejected = _judge(dataset, standing.rows, ours, translator, index)
        rejected += [Rejected(one, "prompt is not ours", "", "") for one in new if not asks_as_we_do(one)]
        rows = [*standing.rows, *map(Brief.of, records)]
        figures = round_trips(dataset.manifest, rows, pairs, translator, round_trip)
        before = dataset.manifest.get("translation")
        if new or (before and before.get("round_trip") != figures):
            _stage(dataset, records, [_line(one, engine) for one in rejected], figures, index)
            _put_in_place(data)
    of_orders = [one for one in figures if one["engine"] == engine.name and (one["from"], one["to"]) in pairs]
    return TranslationCounts(len(wanted), len(records), len(rejected), lines, of_orders)


def _pairs(engine: TranslationEngine, orders: Sequence[Order]) -> list[Pair]:
    """All pairs of the orders. Raises UsageFault with a line for every pair that the engine lacks."""
    pairs = [pair for order in orders for pair in product(order.origins, order.targets) if pair[0] != pair[1]]
    missing = []
    for pair in dict.fromkeys(pairs):
        try:
            engine.require(*pair)
        except UsageFault as error:
            missing.append(str(error))
    if missing:
        raise UsageFault("\n".join(missing))
    return list(dict.fromkeys(pairs))


def _there(data: Path) -> Path:
    if not data.is_dir():
        raise UsageFault(f"{data}: no such folder. Build it: {build_command(data)}")
    require_free(data)
    return data


def _named(dataset: Dataset, orders: Sequence[Order]) -> list[tuple[str, str]]:
    """Every subset and split of the orders that the build has. Raises Fault when one has changed on disk."""
    splits = {
        (name, split): None
        for order in orders
        for name in order.subsets
        for split in SPLITS
        if name in dataset.subsets(split)
    }
    dataset.require_unchanged([split_file(*one) for one in splits] + [QUARANTINE])
    return list(splits)


def _wanted(
    dataset: Dataset, orders: Sequence[Order], splits: list[tuple[str, str]], standing: Standing
) -> list[Wanted]:
    """The translations that the orders request of these splits, each once. Raises UsageFault when there is none."""
    found: dict[str, Wanted] = {}
    for name, split in splits:
        named = [order for order in orders if name in order.subsets] if has_text(name) else []
        rows = wanted_rows(int(dataset.manifest["seed"]), named, standing.whole[name, split])
        found |= {one.id: one for one in rows}
    if not found:
        there = sorted({one for name, split in splits for one in dataset.manifest["subsets"][name][split]["languages"]})
        origins = ",".join(dict.fromkeys(one for order in orders for one in order.origins))
        targets = ",".join(dict.fromkeys(one for order in orders for one in order.targets))
        raise UsageFault(
            f"--from {origins}: no training or validation row in this language has a text to translate into {targets}. "
            f"Languages with such rows: {', '.join(there) or 'none'}"
        )
    return list(found.values())


def _judged(data: Path, engine: TranslationEngine) -> set[str]:
    """Ids of rows that an earlier run with this engine, model and version put into the quarantine."""
    found = set()
    for row in read_jsonl(data / QUARANTINE):
        if row["corpus"] == TRANSLATE:
            about = json.loads(row["detail"])
            pair = about["from"], about["to"]
            stamp = [about[name] for name in ("engine", "model", "version")]
            if about["engine"] == engine.name and stamp[1:] == [engine.model(*pair), engine.version(*pair)]:
                found.add(row["source"])
    return found


def _judge(
    dataset: Dataset, standing: list[Brief], wanted: list[Wanted], translator: Translator, index: Index
) -> tuple[list[Record], list[Rejected]]:
    """The records to add, and the rejected translations."""
    records: list[Record] = []
    rejected: list[Rejected] = []
    texts = {one.id: (one, translator.text(one)) for one in wanted}
    for one, text in texts.values():
        if reason := fault(one.text, text, *one.pair):
            rejected.append(Rejected(one, *reason, text))
        else:
            records.append(translated(one, text, translator.engine))
    bad = on_both_sides(standing, records)
    bad |= {name: (LEAKED, test) for name, test in copies(dataset, records, index).items()}
    for name, reason in bad.items():
        one, text = texts[name]
        rejected.append(Rejected(one, *reason, text))
    return [record for record in records if record.id not in bad], rejected


def _line(one: Rejected, engine: TranslationEngine) -> dict[str, Any]:
    """A translation's line in the quarantine. Its detail is a JSON object with both texts."""
    origin, target = one.wanted.pair
    about = {
        "from": origin, "to": target, "engine": engine.name, "model": engine.model(origin, target),
        "version": engine.version(origin, target), "why": one.detail, "text": one.wanted.text,
        "translation": one.translation,
    }  # fmt: skip
    detail = json.dumps(about, ensure_ascii=False)
    return {"corpus": TRANSLATE, "source": one.wanted.id, "reason": one.reason, "detail": detail, "rows": 1}


def _stage(
    dataset: Dataset, records: list[Record], rejected: list[dict[str, Any]], figures: list[Figure], index: Index
) -> None:
    """Write the new files below STAGE, and last the new manifest, in which mix and hashes are not yet updated."""
    stage = dataset.path / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    manifest = copy.deepcopy(dataset.manifest)
    by_split: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_split.setdefault((record.subset, record.split), []).append(record)
    for (name, split), added in by_split.items():
        rows = in_order([*dataset.records(name, split), *added])
        write_records(stage / "mmaffin", stage / split_file(name, split), rows, index)
        manifest["subsets"][name][split] |= counts(rows)
    with replacing(stage / QUARANTINE) as out:
        out.writelines(_quarantine(dataset.path / QUARANTINE, rejected))
    account = _account(manifest.get("translation"), len(records), stage / QUARANTINE)
    manifest["translation"] = account | {"left_out": len(left_out(stage / QUARANTINE)), "round_trip": figures}
    write_text(stage / MANIFEST, json.dumps({"over": dataset.hash, "manifest": manifest}, ensure_ascii=False))


def _quarantine(path: Path, rejected: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The build's lines unchanged, then those of translations, sorted, so that the order of runs does not matter."""
    rows = [*read_jsonl(path), *rejected]
    yield from (dump(row) for row in rows if row["corpus"] != TRANSLATE)
    yield from sorted(dump(row) for row in rows if row["corpus"] == TRANSLATE)


def _account(before: dict[str, Any] | None, kept: int, quarantine: Path) -> dict[str, Any]:
    """Count rows_read = rows_kept + rows in quarantine (by reason), over all runs."""
    reasons = Counter(row["reason"] for row in read_jsonl(quarantine) if row["corpus"] == TRANSLATE)
    kept += before["rows_kept"] if before else 0
    return {
        "rows_read": kept + reasons.total(),
        "rows_kept": kept,
        "rows_quarantined": dict(sorted(reasons.items())),
    }


def _put_in_place(data: Path) -> None:
    """Copy what _stage wrote, if it is complete, into the build, and renew mix, card and manifest. May be repeated."""
    stage = data / STAGE
    if not (stage / MANIFEST).exists():
        shutil.rmtree(stage, ignore_errors=True)
        return
    try:
        pending = json.loads((stage / MANIFEST).read_text(encoding="utf-8"))
        over, manifest = pending["over"], pending["manifest"]
        why = manifest_fault(manifest | {"data_hash": over})
    except (ValueError, LookupError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
    if why:
        raise Fault(f"{stage / MANIFEST}: not a manifest of a stopped translation ({why}). Remove {stage}.")
    if (data / MANIFEST).exists() and Dataset.open(data).hash != over:
        say(f"{data}: was built again after a translation was stopped; that translation is discarded.")
        shutil.rmtree(stage)
        return
    (data / MANIFEST).unlink(missing_ok=True)  # unfinished until the new manifest is written
    changed = {path.stem.rpartition("_")[0] for path in (stage / "mmaffin").glob("*.jsonl")}
    for path in sorted(stage.rglob("*.*")):
        if path.is_file() and path != stage / MANIFEST:
            with path.open("rb") as source, replacing(data / path.relative_to(stage)) as out:
                shutil.copyfileobj(source, out)
    mix = manifest["mix"]
    most = mix.get("most_translated", MOST_TRANSLATED)
    barred = left_out(data / QUARANTINE)
    manifest["mix"] = make_mix(data, mix["asked"], mix["seed"], mix.get("only_languages"), most, barred)
    write_typed(data, manifest["subsets"], changed)
    write_card(data, manifest)
    write_seal(data, manifest)
    shutil.rmtree(stage)
