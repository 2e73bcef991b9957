"""`mmaffben score RUN --import FILE`: makes a run from answers that another tool wrote."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.run.answer_files import FileAnswer, read_answers
from eval.run.join import few
from eval.run.selection import Selection
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.inside import quoted, require_inside
from mmafflm.files.storable import storable
from mmafflm.files.writing import make_folder, writing
from mmafflm.records import sha256_of, write_jsonl
from mmafflm.run_file import read_run, write_run
from mmafflm.terminal.command import say

Texts = dict[str, dict[str, str]]  # {subset: {record id: answer}}, in record order


def import_answers(
    files: Sequence[Path], data: Dataset, run: Path, subsets: Sequence[str] | None = None, limit: int | None = None
) -> None:
    """Make RUN from files of answers (eval/run/answer_files.py). RUN appears complete or not at all.

    Answers with ids are joined by id. LLaMA-Factory's answers have no ids: they are joined in the order of `subsets`
    and their records, and each gold answer must equal the record's. Every subset with answers must have them for all
    its test rows; with `limit`, for the rows that `predict --limit` uses.
    Does nothing when RUN was imported from the same files with the same limit. Raises UsageFault for wrong arguments;
    Fault when RUN has other content, and for answers that do not match the records.
    """
    if limit is not None and limit < 1:
        raise UsageFault("--limit must be 1 or more")
    if absent := [file for file in files if not file.is_file()]:
        raise UsageFault(f"--import: {absent[0]} {'is not a file' if absent[0].exists() else 'does not exist'}")
    imported, selection = [{"file": str(file), "sha256": sha256_of(file)} for file in files], Selection(limit)
    if _is_done(run, imported, selection):
        say(f"{run}: was imported from the same answers already.")
        return
    answers = read_answers(files)
    if answers[0].id is not None:
        texts = _by_id(files, answers, data, selection)
    elif subsets is None:
        raise UsageFault("--import needs --subsets here: LLaMA-Factory's rows have no ids, so list their subsets.")
    else:
        texts = _in_order(files, answers, subsets, data, selection)
    described = {
        "schema": 1,
        "engine": "import",
        "imported": imported,
        "data": str(data.path.resolve()),
        "data_hash": data.hash,
        "split": "test",
        **selection.to_json(),
        "subsets": {name: {"expected": len(of)} for name, of in texts.items()},
    }
    _write(run, texts, described)


def _is_done(run: Path, imported: Sequence[Mapping[str, str]], selection: Selection) -> bool:
    """Whether RUN already has these answers. Raises Fault when it has other content, UsageFault when it is a file."""
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return False
    if not run.is_dir():
        raise UsageFault(f"{run}: is a file. Choose a folder for the imported run.")
    require_inside(run)
    described = read_run(run) or {}
    before = described.get("imported")
    if not isinstance(before, list):
        raise Fault(f"{run}: is not a run of imported answers. Choose another folder for the import.")
    if [one.get("sha256") for one in before] != [one["sha256"] for one in imported]:
        names = ", ".join(str(one.get("file")) for one in before)
        raise Fault(f"{run}: has the answers of {names}, but these answers differ. Choose another folder for them.")
    if Selection.of_run(described) != selection:
        raise Fault(
            f"{run}: was imported with --limit {described.get('limit')}. Use the same --limit, or another folder."
        )
    return True


def _by_id(files: Sequence[Path], answers: Iterable[FileAnswer], data: Dataset, selection: Selection) -> Texts:
    records = {name: selection.of(list(data.records(name, "test"))) for name in data.subsets("test")}
    subset_of = {record.id: name for name, rows in records.items() for record in rows}
    given: dict[str, FileAnswer] = {}
    for answer in answers:
        assert answer.id is not None
        if answer.id not in subset_of:
            raise Fault(f"{answer.place}: {quoted(answer.id)} is not a test row of {data.path}{selection}. Remove the "
                        "line, or pass the DATA and --limit that were used for these answers.")  # fmt: skip
        if (first := given.get(answer.id)) is not None:
            raise Fault(f"{answer.place}: {answer.id} was answered before, in {first.place}. Remove one of the two.")
        given[answer.id] = answer
    names = {subset_of[name] for name in given}
    data.require_unchanged(split_file(name, "test") for name in records if name in names)
    for name in (name for name in records if name in names):
        if missing := [one.id for one in records[name] if one.id not in given]:
            raise Fault(
                f"{', '.join(map(str, files))}: {len(missing)} of {len(records[name])} rows of {name} have no answer "
                f'({few(missing)}). Add them with the prediction "" if the tool has no answer (it counts as unparsed), '
                "or remove all lines of the subset. If only a sample was evaluated, pass its --limit."
            )
    return {name: {one.id: given[one.id].text for one in rows} for name, rows in records.items() if name in names}


def _in_order(
    files: Sequence[Path], answers: Sequence[FileAnswer], subsets: Sequence[str], data: Dataset, selection: Selection
) -> Texts:
    if absent := [name for name in subsets if name not in data.subsets("test")]:
        raise Fault(f"{data.path}: no test records of {', '.join(absent)}. Build them first.")
    data.require_unchanged(split_file(name, "test") for name in subsets)
    records = [record for name in subsets for record in selection.of(list(data.records(name, "test")))]
    texts: Texts = {name: {} for name in subsets}
    for answer, record in zip(answers, records, strict=False):
        gold = (answer.gold or "").strip()
        if gold != record.answer.strip():
            raise Fault(f"{answer.place}: its label is {quoted(gold)}, but {record.id} has "
                        f"{record.answer.strip()!r}. List the subsets in the order they were predicted.")  # fmt: skip
        texts[record.subset][record.id] = answer.text
    if len(answers) != len(records):
        raise Fault(f"{', '.join(map(str, files))}: {len(answers)} rows, but {', '.join(subsets)} have {len(records)} "
                    "test records. Pass exactly the subsets that were predicted.")  # fmt: skip
    return texts


def _write(run: Path, texts: Texts, described: Mapping[str, Any]) -> None:
    """Write the run into a hidden folder next to RUN, then rename the folder, so that a killed import leaves no RUN."""
    partial = run.absolute().with_name(f".{run.absolute().name}.partial")
    with writing(partial):
        shutil.rmtree(partial, ignore_errors=True)
        make_folder(partial.parent)
        partial.mkdir()
    for name, of in texts.items():
        rows = ({"id": one, "prediction": storable(text)} for one, text in of.items())
        write_jsonl(partial / "predictions" / f"{name}.jsonl", rows)
    write_run(partial, dict(described))
    with writing(run):
        partial.replace(run)
