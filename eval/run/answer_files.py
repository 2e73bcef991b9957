"""Read files of answers that other tools wrote. The form of the first row decides; all rows must have the same form.

Three forms are JSON Lines: {"id", "prediction"} from any tool, LLaMA-Factory's generated_predictions.jsonl, and the
samples that lm-eval and lmms-eval log for the tasks of `mmaffben export-tasks`. The fourth is inspect's log in its JSON
format, one object with all samples.
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
    """One answer in a file: where it is, such as FILE:12, its text, and the record that it belongs to."""

    place: str
    text: str
    id: str | None = None  # None in LLaMA-Factory's form, which has the gold answer instead
    gold: str | None = None


class _Form(NamedTuple):
    name: str
    keys: frozenset[str]  # a row of this form has all of these
    fields: Callable[[dict[str, Any]], dict[str, Any]]  # the fields of a FileAnswer, before their types are checked


def _logged(row: dict[str, Any]) -> dict[str, Any]:
    """lm-eval and lmms-eval log what our process_results returns for each metric: (task, id, answer)."""
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
    """The answers of all files, in order. Either all have an id, or all have a gold answer.

    Raises Fault, naming the file and the line, for a row of no known form, of
    another form than the first, or whose values have the wrong type, and for a file without rows.
    """
    found: list[FileAnswer] = []
    form: _Form | None = None
    for file in files:
        before = len(found)
        for place, row, forms in _rows(file):
            own = _form_of(place, row, forms)
            form = form or own
            if own != form:
                raise Fault(f"{place}: its form is {own.name}, but the rows before have {form.name}. Import one form.")
            found.append(_answer(place, own.fields(row)))
        if len(found) == before:
            raise Fault(f"{file}: no answers. {_FIX}")
    return found


def _rows(file: Path) -> Iterator[tuple[str, dict[str, Any], tuple[_Form, ...]]]:
    """Each row of a file, with its place and the forms that it may have."""
    if file.suffix != ".json":
        yield from ((f"{file}:{number}", row, _LINES) for number, row in enumerate(read_jsonl(file), 1))
        return
    fix = "A .json file must be the log of `inspect eval --log-format json`; name JSON Lines .jsonl."
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
