"""`mmaffin translate`: rows chosen, translated, judged, and put into the build behind the rows they were made of.

What is new is written beside the build first and then put in its place, the manifest last; a run that was stopped in
between is finished by the next. What was translated stays in the cache, whatever becomes of it.
"""

import copy
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from data_build.build import only_one
from data_build.card import write_card
from data_build.config import Leaks
from data_build.leaks import find_leaks, make_rows, read_rows
from data_build.manifest import counts, write_seal
from data_build.media_index import Index, read_index
from data_build.mix import MOST_TRANSLATED, make_mix
from data_build.registry import write_records
from data_build.translate.cache import Cache
from data_build.translate.engine import Engine
from data_build.translate.judge import fault
from data_build.translate.rows import (
    SPLITS,
    TRANSLATE,
    Order,
    Wanted,
    asks_as_we_do,
    has_text,
    in_order,
    translated,
    wanted_rows,
    words_in,
)
from data_build.translate.work import Translator
from mmafflm.command import say
from mmafflm.dataset import MANIFEST, Dataset, split_file
from mmafflm.errors import UsageFault
from mmafflm.records import Record, dump, media_files, read_jsonl, replacing, write_text

STAGE = ".translate"  # below DATA, while it is being written
QUARANTINE = "quarantine.jsonl"
LEAKED = "stands in a test"


class Told(NamedTuple):
    """What a run did: rows of the order, those that were added or put into the quarantine, lines translated."""

    asked: int
    kept: int
    quarantined: int
    lines: int


class Rejected(NamedTuple):
    """A translation that is not used."""

    wanted: Wanted
    reason: str
    detail: str
    translation: str


def translate(data: Path, engine: Engine, order: Order) -> Told:
    """Add translations of the build's training and validation rows; the same again does nothing.

    Raises UsageFault for a pair that the engine has not, before anything is translated; Fault for a build that changed.
    """
    for origin, target in product(order.origins, order.targets):
        if origin != target:
            engine.require(origin, target)
    with only_one(_there(data)):
        _put_in_place(data)
        dataset = Dataset.open(data)
        wanted = _wanted(dataset, order)
        known = _ids(dataset) | _judged(data, engine)
        new = [one for one in wanted if one.id not in known]
        translator = Translator(engine, Cache(data))
        ours = [one for one in new if asks_as_we_do(one)]
        lines = translator.work(ours)
        index = read_index(data)
        records, rejected = _judge(dataset, ours, translator, index)
        rejected += [Rejected(one, "prompt is not ours", "", "") for one in new if not asks_as_we_do(one)]
        if new:
            _stage(dataset, records, [_line(one, engine) for one in rejected], index)
            _put_in_place(data)
    return Told(len(wanted), len(records), len(rejected), lines)


def _there(data: Path) -> Path:
    if not data.is_dir():
        raise UsageFault(f"{data}: no such folder. Build it: mmaffin build --raw RAW --out {data}")
    return data


def _wanted(dataset: Dataset, order: Order) -> list[Wanted]:
    """Rows of every split that the order names. Raises UsageFault when there are none."""
    found: list[Wanted] = []
    splits = [(name, split) for name in order.subsets for split in SPLITS if name in dataset.subsets(split)]
    dataset.require_unchanged([split_file(*one) for one in splits] + [QUARANTINE])
    for name, split in splits:
        if has_text(name):
            found += wanted_rows(dataset, order, name, split)
    if not found:
        there = sorted({one for name, split in splits for one in dataset.manifest["subsets"][name][split]["languages"]})
        raise UsageFault(
            f"--from {','.join(order.origins)}: no training or validation row in this language with a text to put "
            f"into {','.join(order.targets)}. There are: {', '.join(there)}"
        )
    return found


def _ids(dataset: Dataset) -> set[str]:
    return {one.id for split in SPLITS for name in dataset.subsets(split) for one in dataset.records(name, split)}


def _judged(data: Path, engine: Engine) -> set[str]:
    """Ids that an earlier run with this engine has put into the quarantine."""
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
    dataset: Dataset, wanted: list[Wanted], translator: Translator, index: Index
) -> tuple[list[Record], list[Rejected]]:
    """The records that are to be added, and what was rejected."""
    records: list[Record] = []
    rejected: list[Rejected] = []
    texts = {one.id: (one, translator.text(one)) for one in wanted}
    for one, text in texts.values():
        if reason := fault(one.text, text, *one.pair):
            rejected.append(Rejected(one, *reason, text))
        else:
            records.append(translated(one, text, translator.engine))
    for name, test in (leaked := _leaked(dataset, records, index)).items():
        one, text = texts[name]
        rejected.append(Rejected(one, LEAKED, test, text))
    return [record for record in records if record.id not in leaked], rejected


def _leaked(dataset: Dataset, records: list[Record], index: Index) -> dict[str, str]:
    """Training rows whose translation copies a test row: {id: the test row's}. By the build's own rules."""
    rules = Leaks(**dataset.manifest.get("leakage", {}).get("rules", {}))
    if not rules.remove:
        return {}
    texts = ((one, media_files(one)) for one in records if one.split == "train")
    rows = ((one.id, one.subset, words_in(one), shown[0] if shown else "") for one, shown in texts)
    train = make_rows(rows, index, rules.shortest)
    tests = read_rows(dataset.path, [(name, "test") for name in dataset.subsets("test")], index, rules.shortest)
    return {leak.train.id: leak.test.id for leak in find_leaks(train, tests, rules, dataset.path)}


def _line(one: Rejected, engine: Engine) -> dict[str, Any]:
    """The line in the quarantine; its detail is an object of its own, with both texts."""
    origin, target = one.wanted.pair
    about = {
        "from": origin, "to": target, "engine": engine.name, "model": engine.model(origin, target),
        "version": engine.version(origin, target), "why": one.detail, "text": one.wanted.text,
        "translation": one.translation,
    }  # fmt: skip
    detail = json.dumps(about, ensure_ascii=False)
    return {"corpus": TRANSLATE, "source": one.wanted.id, "reason": one.reason, "detail": detail, "rows": 1}


def _stage(dataset: Dataset, records: list[Record], rejected: list[dict[str, Any]], index: Index) -> None:
    """Write the new files below STAGE, and last the manifest as it is to be but for mix and hashes."""
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
    manifest["translation"] = _account(manifest.get("translation"), len(records), stage / QUARANTINE)
    write_text(stage / MANIFEST, json.dumps({"over": dataset.hash, "manifest": manifest}, ensure_ascii=False))


def _quarantine(path: Path, rejected: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """The build's lines as they are, and behind them those of translations, sorted: no order of runs shows."""
    rows = [*read_jsonl(path), *rejected]
    yield from (dump(row) for row in rows if row["corpus"] != TRANSLATE)
    yield from sorted(dump(row) for row in rows if row["corpus"] == TRANSLATE)


def _account(before: dict[str, Any] | None, kept: int, quarantine: Path) -> dict[str, Any]:
    """rows_read = rows_kept + rows in quarantine, by reason; over all runs."""
    reasons = Counter(row["reason"] for row in read_jsonl(quarantine) if row["corpus"] == TRANSLATE)
    kept += before["rows_kept"] if before else 0
    return {
        "rows_read": kept + reasons.total(),
        "rows_kept": kept,
        "rows_quarantined": dict(sorted(reasons.items())),
    }


def _put_in_place(data: Path) -> None:
    """Finish what _stage has written, if it has: files, mix, card, manifest. Does the same when done twice."""
    stage = data / STAGE
    if not (stage / MANIFEST).exists():
        shutil.rmtree(stage, ignore_errors=True)
        return
    pending = json.loads((stage / MANIFEST).read_text(encoding="utf-8"))
    if (data / MANIFEST).exists() and Dataset.open(data).hash != pending["over"]:
        say(f"{data}: built anew since a translation was stopped; that one is dropped.")
        shutil.rmtree(stage)
        return
    manifest = pending["manifest"]
    (data / MANIFEST).unlink(missing_ok=True)  # unfinished until the new manifest stands
    for path in sorted(stage.rglob("*.*")):
        if path.is_file() and path != stage / MANIFEST:
            with path.open("rb") as source, replacing(data / path.relative_to(stage)) as out:
                shutil.copyfileobj(source, out)
    mix = manifest["mix"]
    most = mix.get("most_translated", MOST_TRANSLATED)
    manifest["mix"] = make_mix(data, mix["asked"], mix["seed"], read_index(data), mix.get("only_languages"), most)
    write_card(data, manifest)
    write_seal(data, manifest)
    shutil.rmtree(stage)
