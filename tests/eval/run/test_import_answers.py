"""Answers of other tools become a run, or the import says in a sentence which line does not fit and writes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.compare.compare import compare_runs
from eval.run.import_answers import import_answers
from eval.score.score import score_run
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.storable import storable
from mmafflm.records import Record, read_jsonl, sha256_of, write_jsonl
from mmafflm.run_file import read_run
from mmafflm.sampling import sample
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import noisy, record, records, write_run
from tests.eval.test_killed import KilledError, files, kill_before

ROWS = {
    "XED": [record("XED", n, ["joy"], language=language) for language in ("de", "en") for n in range(10)],
    "onlineshopping": [record("onlineshopping", n, ["positive"], language="zh") for n in range(4)],
}
ALL = [one for rows in ROWS.values() for one in rows]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_data(tmp_path_factory.mktemp("tests") / "data", ROWS)


def lines(rows: list[Record]) -> list[Row]:
    return [{"id": one.id, "prediction": one.answer} for one in rows]


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def kept(run: Path, subset: str) -> list[Row]:
    return list(read_jsonl(run / "predictions" / f"{subset}.jsonl"))


texts = st.text(max_size=20).filter(lambda text: text == storable(text))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(ALL), st.lists(texts, min_size=len(ALL), max_size=len(ALL)), st.dictionaries(
    st.sampled_from(["model", "time", "note"]), st.integers(), max_size=2))  # fmt: skip
def test_any_order_of_rows_gives_the_same_run(
    data: Dataset, tmp_path_factory: pytest.TempPathFactory, order: list[Record], said: list[str], more: Row
) -> None:
    place = tmp_path_factory.mktemp("import")
    answer = dict(zip((one.id for one in ALL), said, strict=True))
    file = written(place / "a.jsonl", [{"id": one.id, "prediction": answer[one.id]} | more for one in order])
    import_answers([file], data, place / "run")
    for name, rows in ROWS.items():
        assert kept(place / "run", name) == [{"id": one.id, "prediction": answer[one.id]} for one in rows]


wrong_text = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.lists(texts) | st.just({})
FAULTS = st.one_of(
    st.tuples(st.just("drop"), st.none()),
    st.tuples(st.just("double"), st.none()),
    st.tuples(st.just("id"), texts.filter(lambda text: text not in {one.id for one in ALL})),
    st.tuples(st.just("id"), wrong_text),
    st.tuples(st.just("prediction"), wrong_text),
    st.tuples(st.just("form"), st.sampled_from([{}, {"id": ALL[0].id}, {"predict": "x", "label": "x"},
        {"id": ALL[0].id, "prediction": "x", "predict": "x", "label": "x"}])),
    st.tuples(st.just("bytes"), st.sampled_from([b"", b"{", b"[1]", b'"joy"', b"\xff", b"nul"])),
)  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, len(ALL) - 1), FAULTS)
def test_one_wrong_line_is_named_and_nothing_is_written(
    data: Dataset, tmp_path_factory: pytest.TempPathFactory, at: int, fault: tuple[str, Any]
) -> None:
    place = tmp_path_factory.mktemp("import")
    kind, value = fault
    rows = lines(ALL)
    encoded = [json.dumps(row).encode() for row in rows]
    match kind:
        case "drop":
            del encoded[at]
        case "double":
            encoded.insert(at, encoded[at - 1])
        case "bytes":
            encoded[at] = value
        case "form":
            encoded[at] = json.dumps(value).encode()
        case key:
            encoded[at] = json.dumps(rows[at] | {key: value}).encode()
    file = place / "a.jsonl"
    file.write_bytes(b"\n".join(encoded) + b"\n")
    with pytest.raises(Fault) as said:
        import_answers([file], data, place / "run")
    named = f"{file}: 1 of " if kind == "drop" else f"{file}:{at + 1}: "
    assert str(said.value).startswith(named), said.value
    assert [path.name for path in place.iterdir()] == ["a.jsonl"]


def test_run_json_tells_where_the_answers_are_from(data: Dataset, tmp_path: Path) -> None:
    parts = [written(tmp_path / f"{name}.jsonl", lines(rows)) for name, rows in ROWS.items()]
    import_answers(parts, data, tmp_path / "run")
    described = read_run(tmp_path / "run") or {}
    assert described["engine"] == "import" and described["limit"] is None and described["data_hash"] == data.hash
    assert described["imported"] == [{"file": str(part), "sha256": sha256_of(part)} for part in parts]
    assert described["subsets"] == {"XED": {"expected": 20}, "onlineshopping": {"expected": 4}}


def test_the_same_files_do_nothing_and_others_are_refused(
    data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, run = written(tmp_path / "a.jsonl", lines(ALL)), tmp_path / "run"
    import_answers([file], data, run)
    score_run(run, data, "strict")
    before = files(run)
    import_answers([file], data, run)
    assert files(run) == before and "was imported from the same answers already" in capsys.readouterr().err
    other = written(tmp_path / "b.jsonl", lines(ROWS["XED"]))
    with pytest.raises(Fault, match=r"has the answers of .*a\.jsonl, but these answers differ"):
        import_answers([other], data, run)
    predicted = write_run(tmp_path / "predicted", data, ROWS, noisy(0.2))
    with pytest.raises(Fault, match="is not a run of imported answers"):
        import_answers([file], data, predicted)
    assert files(run) == before


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_killed_import_leaves_no_run_and_starts_over(
    data: Dataset, before: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "a.jsonl", lines(ALL))
    import_answers([file], data, tmp_path / "whole")
    kill_before(before, monkeypatch)
    with pytest.raises(KilledError):
        import_answers([file], data, tmp_path / "run")
    monkeypatch.undo()
    assert not (tmp_path / "run").exists()
    import_answers([file], data, tmp_path / "run")
    assert files(tmp_path / "run") == files(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "run", "whole"]


def test_the_rows_of_a_limit_are_a_run_with_this_limit(data: Dataset, tmp_path: Path) -> None:
    chosen = [one for rows in ROWS.values() for one in sample(rows, 6)]
    file = written(tmp_path / "a.jsonl", lines(chosen))
    done = mmaffben("score", tmp_path / "run", "--data", data.path, "--import", file, "--limit", 6)
    assert done.returncode == 0 and "6 of 20" in done.stdout, done.stderr
    scores = score_run(tmp_path / "run", data, "strict")
    assert scores["limit"] == 6 and scores["subsets"]["XED"]["sample"] == {"limit": 6, "of": 20}
    assert scores["subsets"]["onlineshopping"]["n"] == 4
    with pytest.raises(Fault, match=r"was imported with --limit 6\. Use the same"):
        import_answers([file], data, tmp_path / "run")
    with pytest.raises(Fault, match=r"14 of 20 rows of XED have no answer .*If only a sample was evaluated, pass its"):
        import_answers([file], data, tmp_path / "other")
    first = written(tmp_path / "b.jsonl", lines(ROWS["XED"][:6]))  # the first rows are not the sample
    with pytest.raises(
        Fault, match=r"b\.jsonl:\d: 'XED/.*' is not a test row of .*, a sample of at most 6 rows a subset"
    ):
        import_answers([first], data, tmp_path / "other", limit=6)
    alone = mmaffben("score", tmp_path / "run", "--data", data.path, "--limit", 6)
    assert alone.returncode == 2 and "--limit needs --import" in alone.stderr


def test_llamafactorys_rows_are_joined_in_the_order_given(data: Dataset, tmp_path: Path) -> None:
    order = [*ROWS["onlineshopping"], *ROWS["XED"]]
    rows = [{"prompt": "?", "predict": f"{at}", "label": f"{one.answer}\n"} for at, one in enumerate(order)]
    file = tmp_path / "generated_predictions.jsonl"
    write_jsonl(file, rows)
    words = ("--data", data.path, "--import", file)
    loose = mmaffben("score", tmp_path / "run", *words)
    assert loose.returncode == 2 and "--import needs --subsets" in loose.stderr
    twisted = mmaffben("score", tmp_path / "run", *words, "--subsets", "XED,onlineshopping")
    assert twisted.returncode == 1 and f"{file}:1: its label is '1. positive', but XED/" in twisted.stderr
    assert not (tmp_path / "run").exists()
    done = mmaffben("score", tmp_path / "run", *words, "--subsets", "onlineshopping,XED")
    assert done.returncode == 0, done.stderr
    assert [row["prediction"] for row in kept(tmp_path / "run", "XED")] == [str(at) for at in range(4, 24)]


def test_an_imported_run_is_compared_with_a_predicted_one(tmp_path: Path) -> None:
    rows = {"EWECT_usual": records("EWECT_usual", 40, languages=("zh",))}
    data = write_data(tmp_path / "data", rows)
    answers = write_run(tmp_path / "predicted", data, rows, noisy(0.3)) / "predictions/EWECT_usual.jsonl"
    done = mmaffben("score", tmp_path / "run", "--data", data.path, "--import", answers)
    assert done.returncode == 0 and "EWECT_usual" in done.stdout
    result = compare_runs(tmp_path / "predicted", tmp_path / "run", data)
    assert not [note for note in result["notes"] if "differ" in note and "engine" not in note]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], r"a\.jsonl: no answers"),
        (
            [{"id": "XED/1", "text": "joy"}],
            r"a\.jsonl:1: no form of answers fits its keys, 'id', 'text'\. Write each line as",
        ),
        ([{"id": ALL[0].id, "prediction": 0.7}], r"a\.jsonl:1: its prediction is 0\.7, which is not a text in quotes"),
        ([{"id": "XED/9", "prediction": "joy"}], r"a\.jsonl:1: 'XED/9' is not a test row of .*Remove the line"),
        ([*lines(ALL[:1]), {"predict": "", "label": ""}], r"a\.jsonl:2: its form is LLaMA-Factory's, but"),
    ],
)
def test_sentences(rows: list[Row], said: str, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=said):
        import_answers([written(tmp_path / "a.jsonl", rows)], data, tmp_path / "run")


def test_a_place_that_is_no_file_or_no_folder(data: Dataset, tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", lines(ALL))
    with pytest.raises(UsageFault, match="does not exist"):
        import_answers([tmp_path / "none.jsonl"], data, tmp_path / "run")
    with pytest.raises(UsageFault, match="is not a file"):
        import_answers([tmp_path], data, tmp_path / "run")
    with pytest.raises(UsageFault, match="is a file"):
        import_answers([file], data, file)


def test_logs_of_harnesses(data: Dataset, tmp_path: Path) -> None:
    logged = [{"doc_id": at, "filtered_resps": [f"{at}"], "macro_f1": ["xed", one.id, f"{at}"],
               "unparsed": ["xed", one.id, f"{at}"]} for at, one in enumerate(ALL)]  # fmt: skip
    flat = [row | {"filtered_resps": row["unparsed"][2], "input": "?"} for row in logged]  # lmms-eval
    samples = [{"id": one.id, "epoch": 1, "output": {"completion": f"{at}"}} for at, one in enumerate(ALL)]
    (tmp_path / "inspect.json").write_text(json.dumps({"version": 2, "samples": samples}))
    for file in (written(tmp_path / "samples_xed.jsonl", logged), written(tmp_path / "lmms_samples.jsonl", flat),
                 tmp_path / "inspect.json"):  # fmt: skip
        import_answers([file], data, tmp_path / f"run-{file.name}")
        assert [row["prediction"] for row in kept(tmp_path / f"run-{file.name}", "onlineshopping")] == [
            "20", "21", "22", "23"]  # fmt: skip
    for row, said in (
        (logged[0] | {"unparsed": ["xed", ALL[0].id, 1]}, r"jsonl:1: its prediction is 1, which is not a text"),
        (logged[0] | {"unparsed": 0.5}, r"jsonl:1: its id is None, which is not a text"),
        ({"doc": {}, "filtered_resps": [""]}, r"jsonl:1: no form of answers fits its keys, 'doc', 'filtered_resps'"),
    ):
        with pytest.raises(Fault, match=said):
            import_answers([written(tmp_path / "wrong.jsonl", [row])], data, tmp_path / "run")
    for document, said in (
        ({"samples": [samples[0], samples[0]]}, "sample 2: .* was answered before, in .*sample 1"),
        ({"eval": {}}, 'no list of "samples"'),
        ({"samples": [{"id": 1}]}, "sample 1: no form of answers fits"),
        ({"samples": [samples[0] | {"output": []}]}, "sample 1: its prediction is None"),
    ):
        (tmp_path / "wrong.json").write_text(json.dumps(document))
        with pytest.raises(Fault, match=said):
            import_answers([tmp_path / "wrong.json"], data, tmp_path / "run")
