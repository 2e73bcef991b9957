"""`mmaffin check`: compare the files of a build with its manifest and with each other."""

from collections import Counter

import polars as pl

from data_build.ids import TRANSLATE
from data_build.media.media_index import is_of_clip, media_faults, read_index
from data_build.twins import TWINS
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import MEDIA_INDEX, MIX, MIX_FILE, Dataset
from mmafflm.errors import Fault
from mmafflm.files.inside import Folder, quoted
from mmafflm.records import Record, media_files, misnamed, read_jsonl, read_records, to_record


def check(dataset: Dataset) -> list[str]:
    """The disagreements, as sentences. The rows are compared only if no file has a fault."""
    faults = dataset.changes()
    for look in (_media_names, _strangers, lambda dataset: media_faults(dataset.path)):
        try:
            faults += look(dataset)
        except Fault as fault:  # a line that is not JSON, or an invalid index of the media
            faults.append(str(fault))
    if faults:
        return faults
    try:
        return [*_splits(dataset), *_mix(dataset), *_account(dataset), *_translation(dataset), *_budget(dataset)]
    except Fault as fault:
        return [str(fault)]


def _strangers(dataset: Dataset) -> list[str]:
    """A sentence for each file that is not in the manifest."""
    on_disk = {p.relative_to(dataset.path).as_posix() for p in dataset.path.rglob("*") if p.is_file()}
    strangers = sorted(
        name
        for name in on_disk - set(dataset.files) - set(read_index(dataset.path))
        if not name.startswith(".") and name != "manifest.json"
    )
    return [f"{dataset.path / name}: not in the manifest. Remove it, or build again." for name in strangers]


def _media_names(dataset: Dataset) -> list[str]:
    """A sentence for each row that is not a record, each forbidden or unknown path of media, and each empty clip."""
    folder, found, index = Folder(dataset.path), [], read_index(dataset.path)
    for path in (dataset.path / name for name in (*dataset.split_files(), MIX_FILE)):
        for number, row in enumerate(read_jsonl(path) if path.exists() else (), 1):
            try:
                record = to_record(row)
            except ValueError as error:
                found.append(f"{path}:{number}: not a record ({error}).")
                continue
            faults = list(misnamed(record, folder))
            unknown = [] if faults else [name for name in media_files(record) if name not in index]
            faults += [f"{quoted(name)}: not in {MEDIA_INDEX}" for name in unknown]
            found += [f"{path}:{number}: {fault}." for fault in faults]
    return found


def _splits(dataset: Dataset) -> list[str]:
    """Check the number of rows, that ids are unique, that gold renders to the answer, and the Parquet twins."""
    faults, seen = [], Counter[str]()
    for subset, of in dataset.manifest["subsets"].items():
        for split in of:
            rows = []
            for record in dataset.records(subset, split):
                rows.append((record.id, media_files(record)))
                task = benchmark()[subset].task(record.task)
                if _answer(task, record) != record.answer:
                    faults.append(f"{subset} {split}: {record.id}: gold and answer differ")
            seen.update(name for name, _ in rows)
            faults += _twin(dataset, f"{subset}_{split}", rows)
            if len(rows) != of[split]["rows"]:
                faults.append(f"{subset} {split}: {len(rows)} records, but {of[split]['rows']} in the manifest")
    return faults + [f"{name}: this id occurs {count} times" for name, count in seen.items() if count > 1]


def _answer(task: Task, record: Record) -> str | None:
    """The answer that a record's gold renders to; None when its task does not allow that gold."""
    try:
        return task.answer(record.gold, record.emotion)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _twin(dataset: Dataset, name: str, rows: list[tuple[str, list[str]]]) -> list[str]:
    """Compare ids and media of a Parquet twin with `rows`: the id and the media paths of each row of the JSONL file."""
    twin = dataset.path / "mmaffin" / TWINS / f"{name}.parquet"
    table = pl.read_parquet(twin, columns=["id", "images", "videos"])
    if table["id"].to_list() != [name for name, _ in rows]:
        return [f"{twin}: its ids or their order are not those of the JSONL file"]
    shown = [
        [*images, *(name for clip in videos for name in ([clip] if isinstance(clip, str) else clip))]
        for images, videos in table.select("images", "videos").iter_rows()
    ]
    if shown != [names for _, names in rows]:
        return [f"{twin}: its pictures and clips are not those of the JSONL file"]
    return []


def _mix(dataset: Dataset) -> list[str]:
    rows = [(one.id, media_files(one)) for one in read_records(dataset.path / MIX_FILE)]
    doubles = [name for name, count in Counter(name for name, _ in rows).items() if count > 1]
    return _twin(dataset, MIX, rows) + [f"the training mix holds {name} more than once" for name in doubles]


def _budget(dataset: Dataset) -> list[str]:
    """Check that every stored picture and frame has a size that the manifest's budget would not change."""
    budget = dataset.budget
    index = read_index(dataset.path).values()
    wrong = [
        one for one in index
        if budget.size(one.width, one.height, video=is_of_clip(one)) != (one.width, one.height)
    ]  # fmt: skip
    if not wrong:
        return []
    return [
        f"{len(wrong)} stored pictures and frames do not fit the manifest's budget; the first is {wrong[0].file} "
        f"({wrong[0].width} x {wrong[0].height}). Build again."
    ]


def _translation(dataset: Dataset) -> list[str]:
    """Check that rows translated = rows kept + rows in quarantine."""
    about = dataset.manifest.get("translation")
    if not about:
        return []
    quarantined = sum(
        row["rows"] for row in read_jsonl(dataset.path / "quarantine.jsonl") if row["corpus"] == TRANSLATE
    )
    if about["rows_read"] == about["rows_kept"] + quarantined:
        return []
    return [f"{about['rows_read']} rows translated, but {about['rows_kept']} kept and {quarantined} in quarantine"]


def _account(dataset: Dataset) -> list[str]:
    """Check that rows read = rows kept + rows in quarantine, for each corpus."""
    quarantined: Counter[str] = Counter()
    for row in read_jsonl(dataset.path / "quarantine.jsonl"):
        quarantined[row["corpus"]] += row["rows"]
    return [
        f"{name}: {of['rows_read']} rows read, but {of['rows_kept']} kept and {quarantined[name]} in quarantine"
        for name, of in dataset.manifest["corpora"].items()
        if of["rows_read"] != of["rows_kept"] + quarantined[name]
    ]
