"""The folder of a run while one or several processes answer its rows: locks, run.json, and the files of answers.

A single process appends to predictions/SUBSET.jsonl. With several processes, each has a share of the ids and its own
files, such as shards/2-of-3/SUBSET.jsonl. The process that finds all answers present writes predictions/SUBSET.jsonl in
record order and deletes the files of the shares. A row counts as answered if any of these files has its answer, so a
run may resume with another number of processes. Likelihoods (eval/ask/likelihoods.py) are stored the same way, in
likelihoods/SUBSET.jsonl.
"""

import fcntl
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from mmafflm.errors import Fault
from mmafflm.files.inside import require_inside
from mmafflm.files.storable import storable
from mmafflm.files.writing import make_folder
from mmafflm.records import Record, append_jsonl, drop_torn_line, read_jsonl, write_jsonl
from mmafflm.run_file import RUN, read_run, write_run
from mmafflm.shard import WHOLE, Shard

# Entries of run.json that must not change when a run resumes, because answers made with other values must not be mixed.
FIXED = (
    "engine",
    "readout",
    "checkpoint",
    "weights",
    "commit",
    "dtype",
    "decoding",
    "budget",
    "data_hash",
    "split",
    "limit",
    "languages",
    "template",
    "ablation",
    "prompts",
)


class RecordFiles(NamedTuple):
    """A kind of result that is stored for each record: its folder below OUT, and its key in a line."""

    folder: str
    key: str


PREDICTIONS = RecordFiles("predictions", "prediction")
LIKELIHOODS = RecordFiles("likelihoods", "logp")


class RunFolder:
    """The folder OUT of a run, as one of its processes uses it."""

    def __init__(self, out: Path, shard: Shard = WHOLE, kind: RecordFiles = PREDICTIONS) -> None:
        self.out, self.shard, self.kind = out, shard, kind

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the lock on this process's records. Raises Fault when another process is answering them."""
        with ExitStack() as held:
            free = _take(held, self._lock("whole"), fcntl.LOCK_EX if self.shard.of == 1 else fcntl.LOCK_SH)
            if not (free and _take(held, self._lock(self.shard.folder), fcntl.LOCK_EX)):
                raise Fault(f"{self.out}: another process is answering this run. Wait for it, or stop it first.")
            yield

    def keep(self, row: dict[str, Any]) -> None:
        """Write run.json before the first answer. Raises Fault when OUT has a run with another value of FIXED."""
        with self.alone():
            before = self.require_same(row)
            if before is not None:
                # these entries stay: when all rows have answers, the model may not be loaded and `row` lacks them
                kept = {name: before[name] for name in ("commit", "spent", "model") if name in before}
                known = {name: before[name] for name in ("template", "accepts") if name in before}
                row = known | row | kept | {"subsets": before["subsets"] | row["subsets"]}
                # the keys keep their order, so that equal entries give equal bytes
                row = {name: row[name] for name in before if name in row} | row
            write_run(self.out, row)

    def require_same(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The existing run.json, or None. row: values for some of FIXED.

        Raises Fault when run.json has other values, and when OUT has predictions but no run.json.
        """
        if self.out.is_dir():
            require_inside(self.out)
        before = read_run(self.out)
        if before is None and any((self.out / "predictions").glob("*.jsonl")):
            raise Fault(
                f"{self.out}: has predictions but no run.json, so their checkpoint is unknown. Choose another --out."
            )
        for name in FIXED:
            if before is not None and name in row and before.get(name) != row[name]:
                raise Fault(
                    f"{self.out / RUN}: this run has {name} {before.get(name)}, not {row[name]}. "
                    "Choose another --out, or use the same arguments to resume."
                )
        return before

    def spend(self, spent: Mapping[str, float]) -> None:
        """Add these costs to the run's costs in run.json."""
        if not spent:
            return
        with self.alone():
            row = read_run(self.out) or {}
            total = Counter(row.get("spent", {}))
            for name, amount in spent.items():
                total[name] += amount  # type: ignore[assignment]
            write_run(self.out, row | {"spent": dict(total)})

    def answered(self, subset: str, records: Sequence[Record]) -> dict[str, Any]:
        """{id: result} from all processes so far.

        Raises Fault for an id that is not among `records` or occurs twice in a file, and for contradictory results.
        """
        with self.alone():
            return self._answered(subset, records)

    def append(self, subset: str, answers: Mapping[str, Any]) -> None:
        """Append answers to this process's own file, with texts as storable() changes them."""
        fit = ((name, storable(answer) if isinstance(answer, str) else answer) for name, answer in answers.items())
        append_jsonl(self._file(subset), ({"id": name, self.kind.key: answer} for name, answer in fit))

    def put(self, subset: str, answers: Mapping[str, Any]) -> None:
        """Write these answers into the file of all processes. They replace earlier answers to the same records."""
        path = self._whole(subset)
        with self.alone():
            before = list(read_jsonl(path)) if path.exists() else []
            done = {row["id"]: row[self.kind.key] for row in before}
            new = done | dict(answers)
            if new != done:
                write_jsonl(path, ({"id": name, self.kind.key: answer} for name, answer in new.items()))

    def mend(self, subset: str) -> None:
        """Remove the incomplete last line that a killed process left in this process's file."""
        drop_torn_line(self._file(subset))

    def finish(self, subset: str, records: Sequence[Record]) -> int:
        """Write the answers in record order if all are present. Returns the number of missing answers."""
        with self.alone():
            done = self._answered(subset, records)
            order = [record.id for record in records]
            if missing := sum(name not in done for name in order):
                return missing
            shares = self._shares(subset)
            if shares or list(done) != order:
                write_jsonl(self._whole(subset), ({"id": name, self.kind.key: done[name]} for name in order))
            for path in shares:
                path.unlink()
                with suppress(OSError):  # the folder still has the share of another subset
                    path.parent.rmdir()
            with suppress(OSError):
                (self.out / "shards").rmdir()
        return 0

    def count(self, subsets: Iterable[str]) -> int:
        """The number of lines in the files of all processes: a quick count of answers for a progress bar."""
        found = 0
        for subset in subsets:
            for path in self.files(subset):
                with suppress(FileNotFoundError):  # the file was not begun, or has just been merged
                    found += path.read_bytes().count(b"\n")
        return found

    def files(self, subset: str) -> list[Path]:
        """The files that may have answers: the file of all processes, which may not exist, and the existing shares."""
        return [self._whole(subset), *self._shares(subset)]

    def _answered(self, subset: str, records: Sequence[Record]) -> dict[str, Any]:
        known, found = {record.id for record in records}, dict[str, Any]()
        for path in self.files(subset):
            here = set[str]()
            for number, row in enumerate(read_jsonl(path, growing=True) if path.exists() else (), 1):
                name = row.get("id")
                if set(row) != {"id", self.kind.key} or name not in known or name in here:
                    raise Fault(
                        f"{path}:{number}: {name!r} is not a new answer of this run (unknown or repeated id, other "
                        "keys). Remove the line, or choose another --out."
                    )
                if found.get(name, row[self.kind.key]) != row[self.kind.key]:
                    raise Fault(
                        f"{path}:{number}: {name} has another answer in another process's file. Remove one line."
                    )
                here.add(name)
                found[name] = row[self.kind.key]
        return found

    def _file(self, subset: str) -> Path:
        if self.shard.of == 1:
            return self._whole(subset)
        return self.out / "shards" / self.shard.folder / self._share(subset)

    def _whole(self, subset: str) -> Path:
        return self.out / self.kind.folder / f"{subset}.jsonl"

    def _share(self, subset: str) -> str:
        return f"{subset}.jsonl" if self.kind == PREDICTIONS else f"{subset}.{self.kind.folder}.jsonl"

    def _shares(self, subset: str) -> list[Path]:
        return sorted(self.out.glob(f"shards/*/{self._share(subset)}"))

    def _lock(self, name: str) -> Path:
        return self.out / ".locks" / name

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the run's lock: only one process at a time may use files other than its own."""
        if not self.out.exists():  # there is nothing to read, and a model that fails to load should leave no folder
            yield
            return
        with ExitStack() as held:
            fcntl.flock(_opened(held, self._lock("run")), fcntl.LOCK_EX)
            yield


def _opened(held: ExitStack, path: Path) -> IO[bytes]:
    make_folder(path.parent)
    return held.enter_context(path.open("ab"))


def _take(held: ExitStack, path: Path, how: int) -> bool:
    try:
        fcntl.flock(_opened(held, path), how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
