"""`mmaffin build`: run the stages in order, resume a stopped build, and write the manifest of inputs and outputs."""

import fcntl
import json
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from data_build.config import Config
from data_build.corpora.find import corpora
from data_build.dataset.card import write_card
from data_build.dataset.inputs import BuildPlan, Folders, code, inputs, part_name, read_state, versions, write_state
from data_build.dataset.losses import losses, require_no_loss
from data_build.dataset.manifest import Source, describe, write_seal
from data_build.dataset.origins import of_outcomes, write_origins
from data_build.dataset.typed import write_typed
from data_build.leaks.leak_report import decide, in_manifest
from data_build.media.extract import MediaWorkers, extract, media_workers
from data_build.media.media_index import Index, entries, write_index
from data_build.mix.mix import Mix
from data_build.reading.corpus import Corpus, RawPart
from data_build.rows.coverage import line
from data_build.rows.shards import Shards, find_shards, partial_of, read_part, taken_frame, wanted_media
from data_build.rows.write import Chosen, Outcome, choose_rows, write_rows
from data_build.sources import find_sources
from data_build.twins import twin_of, write_registry
from data_build.workers.nodes import Nodes
from data_build.workers.pool import Failed, run_guarded
from mmafflm.benchmark.benchmark import Subset
from mmafflm.dataset import MANIFEST, MIX, split_file
from mmafflm.errors import Fault
from mmafflm.files.inside import require_inside
from mmafflm.files.writing import make_folder
from mmafflm.records import write_jsonl
from mmafflm.terminal.command import say

WORK = ".work"
SHARES = ".shares"  # the working folders of data_build/shares.py
LONGEST_S = 1e6  # reading a part of a corpus may take days; its worker has no other time limit
IMPORT_PAGE = "import.md"  # next to the manifest, in a build made from a release


def build(
    raw: Path,
    data: Path,
    config: Config,
    subsets: list[Subset],
    jobs: int | None = None,
    limit: int | None = None,
    raw_video: bool = False,
    replace: bool = False,
    cluster: str | None = None,
) -> bool:
    """Build DATA from RAW. Returns False when DATA already holds this build and nothing was done.

    The same raw files, config, subsets, limit and raw_video give the same bytes, for any number of jobs and
    interruptions. raw_video: keep clips as files instead of their frames. replace: build even if parts of a finished
    build in DATA are lost. cluster: a Ray cluster whose `jobs` workers open pictures and clips. Raises Fault when a
    corpus is damaged, a link in DATA leads out of it, or another command writes there; UsageFault when no corpus is
    found, or when something would be lost and `replace` is False.
    """
    require_free(data)
    sources = find_sources(raw, config, subsets, data / ".listings")
    with Nodes(cluster, jobs) if cluster else nullcontext() as nodes:
        return construct(BuildPlan(data, sources, config, jobs, limit, raw_video, replace=replace, nodes=nodes))


def construct(plan: BuildPlan) -> bool:
    """Run the stages in order. Returns False when DATA already holds this build and nothing was done."""
    data, config, sources = plan.data, plan.config, plan.sources
    make_folder(data)
    with only_one(data):
        made = inputs(plan)
        if (data / MANIFEST).exists() and _is_up_to_date(plan, made):
            return False
        jobs = plan.jobs or os.cpu_count() or 1
        folders = read_all(sources, data / WORK, 1 if plan.origin else jobs)
        (data / MANIFEST).unlink(missing_ok=True)  # without a manifest the folder counts as unfinished
        index: Index = {}
        chosen = []
        with media_workers(jobs) as workers:
            for source in sources:
                shards = find_shards(folders[source.corpus.name])
                if wanted := wanted_media(shards, config.splits, config.seed, plan.limit):
                    shards = _open_media(source, shards, wanted, plan, workers, index)
                chosen.append(_choose(source, folders[source.corpus.name], shards, config, plan.limit))
        write_index(data, index)
        _finish(plan, chosen, folders, index)
        write_state(data, made)
        for made_here in (data / WORK, data / SHARES):
            shutil.rmtree(made_here, ignore_errors=True)
    return True


def _is_up_to_date(plan: BuildPlan, made: dict[str, Any]) -> bool:
    """Whether DATA already holds this build. Raises UsageFault if building would lose something, unless `replace`."""
    before = read_state(plan.data) or {}
    if before == made and not (plan.replace and losses(plan)):
        say(f"{plan.data}: already built from these files and this config; nothing to do (mmaffin check verifies it).")
        return True
    if not plan.replace:
        require_no_loss(plan)
    names = {"files": "raw files", "code": "code", "versions": "libraries"}
    if other := [name for key, name in names.items() if key in before and before[key] != made[key]]:
        say(f"{plan.data}: was built from other {' and other '.join(other)}; building again.")
    return False


def require_free(data: Path) -> None:
    """Raises Fault when a link in DATA leads out of it: a build removes and writes files everywhere in DATA."""
    if data.is_dir():
        require_inside(data, but=())


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Lock DATA against other commands that write into it. Raises Fault when one is already writing."""
    with (data / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fault(f"{data}: another command is writing here. Wait for it, or choose another folder.") from None
        yield


def read_all(sources: list[Source], work: Path, jobs: int) -> dict[str, list[Path]]:
    """Read every part that no earlier, stopped run has read, into folders of `work`.

    Returns the folders of the parts, in order, by corpus.
    """
    folders: dict[str, list[Path]] = {}
    tasks: list[tuple[Corpus, RawPart, dict[str, Any], list[str], Path]] = []
    for source in sources:
        names = [subset.name for subset in source.subsets]
        for part in source.parts:
            folder = work / source.corpus.name / part_name(source, part)
            folders.setdefault(source.corpus.name, []).append(folder)
            if not folder.exists():
                tasks.append((source.corpus, part, source.options, names, folder))
    before = sum(map(len, folders.values())) - len(tasks)
    say(f"reading {len(tasks)} parts of the corpora" + (f"; a stopped run has read {before} others" if before else ""))
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            read_part(*task)
    else:
        _read_in_workers(tasks, jobs)
    return folders


def _read_in_workers(tasks: list[tuple[Corpus, RawPart, dict[str, Any], list[str], Path]], jobs: int) -> None:
    named = ((task[0].name, *task[1:]) for task in tasks)
    try:
        with closing(run_guarded(_read, named, jobs, LONGEST_S, resource.RLIM_INFINITY)) as results:
            for (name, part, *_), result in results:
                if isinstance(result, Failed):
                    raise Fault(f"{name}: {part.name}: {result.reason} while it was read. It may need more memory.")
    finally:
        for *_, folder in tasks:  # when one worker fails, the others are stopped and leave partial folders
            shutil.rmtree(partial_of(folder), ignore_errors=True)


def _read(task: tuple[str, RawPart, dict[str, Any], list[str], Path]) -> None:
    name, part, options, subsets, folder = task
    read_part(corpora()[name], part, options, subsets, folder)


def _open_media(
    source: Source, shards: Shards, wanted: list[str], plan: BuildPlan, workers: MediaWorkers, index: Index
) -> Shards:
    """Open each picture and clip and add the stored files to the index. Returns the shards with what was stored."""
    name = source.corpus.name
    budget = plan.config.budget
    taken = extract(name, wanted, source.media, plan.data, workers, budget, plan.raw_video, nodes=plan.nodes)
    raw_names = {text: json.loads(text).get("file", "") for text in wanted}
    index |= entries(name, ((raw_names[text], one) for text, one in taken.items()))
    notes = {raw_names[text]: one.note for text, one in taken.items() if one.note}
    for file, note in list(notes.items())[:5]:
        say(f"{name}: {file}: {note}")
    broken = sum(1 for one in taken.values() if one.reason)
    say(f"{name}: {len(taken)} pictures and clips opened" + (f", {broken} of them are broken" if broken else ""))
    return Shards(shards.paths, taken_frame(taken), notes)


def _choose(source: Source, folders: list[Path], shards: Shards, config: Config, limit: int | None) -> Chosen:
    name = source.corpus.name
    chosen = choose_rows(source.corpus, folders, shards, source.subsets, config.splits, config.seed, limit)
    outcome = chosen.outcome
    outcome.notes = shards.notes
    for lost in outcome.lost_marks:
        say(f"{name}: {lost}.")
    kept = sum(sum(splits.values()) for splits in outcome.rows.values())
    dropped = sum(row.rows for row in outcome.quarantine)
    say(f"{name}: {outcome.rows_read} rows read = {kept} kept + {dropped} in quarantine")
    if outcome.rows_read != kept + dropped:
        raise Fault(
            f"{name}: {outcome.rows_read} rows read, but {kept} kept and {dropped} in quarantine. "
            "This is a bug in the reader; please report it with the corpus's name."
        )
    return chosen


def _finish(plan: BuildPlan, chosen: list[Chosen], folders: Folders, index: Index) -> None:
    """Do what needs all corpora: leaks, records, mix, registry, quarantine, card and, last, the manifest."""
    data, config = plan.data, plan.config
    leakage = decide(data, chosen, config.leaks, index)
    mix = Mix(config.mix, config.seed, None, config.most_translated)
    for one in chosen:
        write_rows(one, leakage.out, data, index, mix)
    outcomes = {one.corpus.name: one.outcome for one in chosen}
    _say_rows(plan, outcomes)
    write_origins(data, of_outcomes(outcomes))
    splits = [(name, split) for out in outcomes.values() for name, of in out.rows.items() for split in of]
    files = {split_file(*split) for split in splits}
    twins = {twin_of(data / "mmaffin", data / name).relative_to(data).as_posix() for name in files}
    _remove_strangers(data, files | twins)
    write_registry(data / "mmaffin", [MIX, *(f"{name}_{split}" for name, split in splits)])
    quarantine = [row for name in sorted(outcomes) for row in outcomes[name].quarantine]
    write_jsonl(
        data / "quarantine.jsonl",
        (
            {"corpus": row.corpus, "source": row.source, "reason": row.reason, "detail": row.detail, "rows": row.rows}
            for row in quarantine
        ),
    )
    manifest = describe(config, plan.sources, outcomes, plan.limit, versions())
    manifest |= {"code": code(plan), "raw_video": plan.raw_video}
    manifest["leakage"] = in_manifest(leakage.told)
    (data / IMPORT_PAGE).unlink(missing_ok=True)
    if plan.finish:
        plan.finish(data, folders, manifest)
    manifest["mix"] = mix.write(data)
    write_typed(data, manifest["subsets"])
    write_card(data, manifest)
    write_seal(data, manifest)


def _say_rows(plan: BuildPlan, outcomes: dict[str, Outcome]) -> None:
    """Print a line for each subset. For a release we do not know how many rows to expect."""
    for source in plan.sources:
        outcome = outcomes[source.corpus.name]
        for subset in source.subsets:
            expected = {} if plan.origin else source.corpus.expected
            say(line(subset, outcome.kept, outcome.languages.get(subset.name, {}), expected))


def _remove_strangers(data: Path, names: set[str]) -> None:
    """Remove records and twins that this build did not write: an earlier build with other subsets left them."""
    for path in [*(data / "mmaffin").rglob("*.*"), *(data / "mmaffben").glob("*.jsonl")]:
        if path.relative_to(data).as_posix() not in names:
            path.unlink()
