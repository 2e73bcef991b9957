"""Read files of answers that other tools wrote. All rows must have the form of the first row.

Three forms are JSON Lines: {"id", "prediction"} from any tool, LLaMA-Factory's generated_predictions.jsonl, and the
samples that lm-eval and lmms-eval log for the tasks of `mmaffben export-tasks`. The fourth form is inspect's log in its
JSON format, which is one object with all samples.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmafflm.errors import Fault
from mmafflm.files.documents import read_json
from mmafflm.files.inside import quoted
from mmafflm.records import read_jsonl

_FIX = 'Write each line as {"id": "XED/de/test/000123", "prediction": "2. sadness"}.'


class FileAnswer(NamedTuple):
    """One answer in a file. place: for messages, such as FILE:12. id: of the record that the answer belongs to."""

    place: str
    text: str
    id: str | None = None  # None in LLaMA-Factory's form, which has the gold answer in place of an id
    gold: str | None = None


class _Form(NamedTuple):
    name: str
    keys: frozenset[str]  # a row of this form has all of these
    fields: Callable[[dict[str, Any]], dict[str, Any]]  # the fields of a FileAnswer, before their types are checked


def _logged(row: dict[str, Any]) -> dict[str, Any]:
    """lm-eval and lmms-eval log the return value of our process_results for each metric: (task, id, answer)."""
    kept = row["unparsed"]  # every exported task has this metric
    _, name, text = kept if isinstance(kept, list) and len(kept) == 3 else (None, None, None)
    return {"id": name, "text": text}


def _inspected(row: dict[str, Any]) -> dict[str, Any]:
    output = row["output"]
    return {"id": row["id"], "text": output.get("completion") if isinstance(output, dict) else None}


_WITH_IDS = _Form(
    '{"id", "prediction"}',
    frozenset({"id", "prediction"}),
    lambda row: {"id": row["id"], "text": row["prediction"]},
)
_GENERATED = _Form(
    "LLaMA-Factory's", frozenset({"predict", "label"}), lambda row: {"text": row["predict"], "gold": row["label"]}
)
_LINES = (_WITH_IDS, _GENERATED, _Form("lm-eval's or lmms-eval's", frozenset({"filtered_resps", "unparsed"}), _logged))
_SAMPLES = (_Form("inspect's", frozenset({"id", "output"}), _inspected),)
_KEYS = {"text": "prediction", "gold": "label", "id": "id"}


def read_answers(files: Sequence[Path]) -> list[FileAnswer]:
    """The answers of all files, in order. Either all answers have an id, or all have a gold answer.

    Raises Fault for a file without rows, and with the file and line for a row that has no known form or another form
    than the first row, or whose values are not strings.
    """
    found: list[FileAnswer] = []
    form: _Form | None = None
    for file in files:
        before = len(found)
        for place, row, forms in _rows(file):
            own = _form_of(place, row, forms)
            form = form or own
            if own != form:
                raise Fault(
                    f"{place}: its form is {own.name}, but that of the rows before is {form.name}. Import one form."
                )
            found.append(_answer(place, own.fields(row)))
        if len(found) == before:
            raise Fault(f"{file}: no answers. {_FIX}")
    return found


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any], tuple[_Form, ...]]]:
    """(place for messages, row, forms that the row may have) for each row of a file."""
    if file.suffix != ".json":
        yield from ((f"{file}:{number}", row, _LINES) for number, row in enumerate(read_jsonl(file), 1))
        return
    fix = "A .json file must be a log of `inspect eval --log-format json`. If it is JSON Lines, rename it to .jsonl."
    samples = read_json(file, fix).get("samples")
    if not isinstance(samples, list) or not all(isinstance(row, dict) for row in samples):
        raise Fault(f'{file}: no list of "samples". {fix}')
    yield from ((f"{file}: sample {number}", row, _SAMPLES) for number, row in enumerate(samples, 1))


def _form_of(place: str, row: dict[str, Any], forms: tuple[_Form, ...]) -> _Form:
    fitting = [form for form in forms if form.keys <= set(row)]
    if len(fitting) != 1:
        keys = ", ".join(quoted(key) for key in list(row)[:8]) or "none"
        raise Fault(
            f"{place}: {'two forms of answers fit' if fitting else 'no form of answers fits'} its keys, {keys}. {_FIX}"
        )
    return fitting[0]


def _answer(place: str, fields: dict[str, Any]) -> FileAnswer:
    for name, value in fields.items():
        if not isinstance(value, str):
            raise Fault(f"{place}: its {_KEYS[name]} is {quoted(value)}, which is not a text in quotes. {_FIX}")
    return FileAnswer(place, **fields)
