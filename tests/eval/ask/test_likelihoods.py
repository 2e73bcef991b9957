"""predict with a readout: which rows are asked, which files are written, and which predictions they give."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from eval.ask.likelihoods import VALIDATION_ROWS
from eval.ask.predict import predict
from eval.engines import Answers, Likelihoods, Question
from eval.score.score import score_run
from eval.score.score_table import tables
from eval.score.thresholds import LEAST_ROWS
from eval.tables import markdown
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, read_jsonl, sha256_of, write_jsonl
from mmafflm.shard import Shard
from tests.data_files import write_data
from tests.eval.made_runs import records
from tests.eval.score.counting import Counting

TRAINED = ("joy", "trust", "sadness", "fear")  # the labels of the made-up XED


def told(one: Record, split: str, number: int) -> Record:
    """The record in another split, with a text that contains its gold."""
    task = benchmark()[one.subset].task(one.task)
    gold = [TRAINED[number % 4], *([TRAINED[number % 3]] if number % 2 else [])] if one.subset == "XED" else one.gold
    gold = sorted(set(gold)) if isinstance(gold, list) else gold
    said = " ".join(gold) if isinstance(gold, list) else gold
    messages = [
        {"role": "user", "content": task.ask(f"{split} {number} <{said}>", one.emotion or "")},
        {"role": "assistant", "content": task.answer(gold, one.emotion)},
    ]
    return replace(one, id=f"{one.id}/{split}", split=split, gold=gold, messages=messages)


def make_data(path: Path, subsets: dict[str, int], splits: Sequence[str] = ("test", "val")) -> Dataset:
    """DATA with so many rows of each task and emotion."""
    made = {}
    for name, count in subsets.items():
        rows = [row for task in benchmark()[name].tasks for row in records(name, count, task.key)]
        made[name] = [told(row, split, at) for split in splits for at, row in enumerate(rows)]
    return write_data(path, made)


class Knowing(Counting):
    """A model that knows the answer but does not write it: only its distribution depends on the record."""

    def __init__(self, breaks_after: int = 10**9) -> None:
        super().__init__(breaks_after)
        self.weighed: list[str] = []

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        for at in wanted:
            yield [(at, "1. joy" if "number. emotion" in questions[at].prompt else "0.000")]

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        for start in range(0, len(wanted), batch_size):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            batch = wanted[start : start + batch_size]
            self.weighed += [questions[at].prompt for at in batch]
            yield [(at, [self.logp(questions[at].prompt, text) for text in candidates]) for at in batch]

    def logp(self, prompt: str, text: str) -> float:
        said = re.findall(r"<(.*)>", prompt)[0]
        number, _, name = text.partition(". ")
        if name:
            return -9 - 0.5 * int(number) + (2.0 if name in said.split() else 0.0) + (4.0 if name == "joy" else 0.0)
        value = float(re.match(r"[-\d.]+", text)[0])  # type: ignore[index]
        return -20 - (value - float(said)) ** 2 + (5.0 if value == 0 else 0.0)


class Silent(Knowing):
    """An engine that cannot see probabilities."""

    def load(self) -> None:
        raise AssertionError("nothing is left to ask")

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        raise UsageFault("--readout: this engine sees no probabilities")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_data(tmp_path_factory.mktemp("data"), {"semeval2018_english": 12, "XED": LEAST_ROWS})


@pytest.fixture(scope="module")
def whole(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with each readout."""
    runs = {name: tmp_path_factory.mktemp("run") / name for name in ("greedy", "expectation", "choice")}
    for name, out in runs.items():
        predict("m", data, out, batch_size=7, engine=Knowing(), readout=name)
        score_run(out, data, "strict")
    return runs


def content(out: Path) -> dict[str, bytes]:
    assert not (out / "shards").exists()
    files = [*out.glob("predictions/*"), *out.glob("likelihoods/*"), out / "readout.json"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def scores(out: Path) -> dict[str, dict[str, float]]:
    found = json.loads((out / "scores.strict.json").read_text())["subsets"]
    return found["semeval2018_english"]["tasks"] | {"XED": found["XED"]}  # type: ignore[no-any-return]


def test_a_constant_answer_over_an_informative_distribution_has_a_score(whole: dict[str, Path]) -> None:
    greedy, expected = scores(whole["greedy"]), scores(whole["expectation"])
    for task in ("v_reg", "ei_reg"):
        assert greedy[task]["metrics"]["pearson"] == 0  # type: ignore[index]
        constant = [any("constant" in note for note in one[task].get("notes", ())) for one in (greedy, expected)]
        assert constant == [True, False]
        assert expected[task]["metrics"]["pearson"] > 0.95  # type: ignore[index]


def test_choice_beats_a_peak_that_is_always_the_same(whole: dict[str, Path]) -> None:
    found = {name: scores(out)["XED"]["metrics"]["micro_f1"] for name, out in whole.items()}  # type: ignore[index]
    assert found["choice"] == 1.0 and found["greedy"] < 0.7


def test_thresholds_come_from_validation_rows_and_no_others(data: Dataset, tmp_path: Path) -> None:
    engine = Knowing()
    predict("m", data, tmp_path, ["XED"], batch_size=7, engine=engine, readout="choice")
    kept = {
        name: [row["id"] for row in read_jsonl(tmp_path / f"likelihoods/{name}.jsonl")] for name in ("XED", "XED.val")
    }
    records = {split: list(data.records("XED", split)) for split in ("test", "val")}
    assert kept == {"XED": [row.id for row in records["test"]], "XED.val": [row.id for row in records["val"]]}
    assert engine.weighed == [row.prompt for split in ("val", "test") for row in records[split]], "each once, val first"
    told = json.loads((tmp_path / "readout.json").read_text())
    about = told["thresholds"]["XED"]
    ids = "\n".join(row.id for row in records["val"])
    assert about["split"] == "val" and about["rows"] == LEAST_ROWS and about["tuned"]
    assert about["ids_sha256"] == hashlib.sha256(ids.encode()).hexdigest()
    assert list(about["log_thresholds"]) == [text.partition(". ")[2] for text in told["candidates"]["XED"]["ec"]]
    assert {name for name, level in about["log_thresholds"].items() if level is not None} == set(TRAINED)
    # another test set does not change the thresholds
    other = make_data(tmp_path / "data", {"XED": LEAST_ROWS})
    file = other.path / split_file("XED", "test")
    write_jsonl(file, [replace(row, gold=["anger"]).to_json() for row in records["test"]][:9])
    other.manifest["files"][split_file("XED", "test")]["sha256"] = sha256_of(file)
    predict("m", other, tmp_path / "other", ["XED"], engine=Knowing(), readout="choice")
    assert json.loads((tmp_path / "other/readout.json").read_text()) == told


def test_a_limit_holds_for_validation_rows_too(data: Dataset, tmp_path: Path) -> None:
    many = make_data(tmp_path / "many", {"XED": VALIDATION_ROWS + 5})
    for limit, rows in ((None, VALIDATION_ROWS), (LEAST_ROWS + 1, LEAST_ROWS + 1)):
        predict("m", many, tmp_path / f"{limit}", limit=limit, engine=Knowing(), readout="choice")
        assert len(list(read_jsonl(tmp_path / f"{limit}/likelihoods/XED.val.jsonl"))) == rows


def test_thresholds_of_few_validation_rows_are_not_tuned(
    data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predict("m", data, tmp_path, limit=LEAST_ROWS - 1, engine=Knowing(), readout="choice")
    told = capsys.readouterr().err
    assert f"XED: {LEAST_ROWS - 1} validation rows; to tune the thresholds of its labels, 300 are needed" in told
    assert not (tmp_path / "likelihoods/XED.val.jsonl").exists(), "nothing is asked for nothing"
    about = json.loads((tmp_path / "readout.json").read_text())["thresholds"]
    for name, labels in (("XED", 9), ("semeval2018_english", 12)):
        assert not about[name]["tuned"] and about[name]["rows"] == 0
        assert set(about[name]["log_thresholds"].values()) == {-math.log(labels)}


@pytest.mark.parametrize("readout", ["expectation", "choice"])
@pytest.mark.parametrize("breaks_after", [1, 4, 12])
def test_a_killed_run_goes_on_to_the_same_bytes(
    readout: str, breaks_after: int, data: Dataset, whole: dict[str, Path], tmp_path: Path
) -> None:
    first, second = Knowing(breaks_after), Knowing()
    with pytest.raises(KeyboardInterrupt):
        predict("m", data, tmp_path, batch_size=5, engine=first, readout=readout)
    torn = max(tmp_path.glob("likelihoods/*"), key=lambda path: path.stat().st_mtime_ns)
    torn.write_bytes(torn.read_bytes() + b'{"id": "XED/ec')
    predict("m", data, tmp_path, batch_size=11, engine=second, readout=readout)
    assert content(tmp_path) == content(whole[readout])
    asked = first.weighed + second.weighed
    assert len(asked) == len(set(asked)) == sum(len(list(read_jsonl(path))) for path in tmp_path.glob("likelihoods/*"))


@pytest.mark.parametrize("readout", ["expectation", "choice"])
def test_several_processes_make_the_same_bytes(
    readout: str, data: Dataset, whole: dict[str, Path], tmp_path: Path
) -> None:
    for number in (2, 1, 3):
        assert not (tmp_path / "predictions").exists()
        predict("m", data, tmp_path, batch_size=4, engine=Knowing(), shard=Shard(number, 3), readout=readout)
    assert content(tmp_path) == content(whole[readout])


def test_answers_are_made_again_without_the_model(data: Dataset, whole: dict[str, Path], tmp_path: Path) -> None:
    class Idle(Silent):
        likelihoods = Knowing.likelihoods

    out = shutil.copytree(whole["choice"], tmp_path / "run")
    (out / "predictions/XED.jsonl").unlink()
    (out / "readout.json").unlink()
    predict("m", data, out, engine=Idle(), readout="choice")
    assert content(out) == content(whole["choice"])


def test_scores_and_table_name_the_readout(data: Dataset, whole: dict[str, Path]) -> None:
    for name, out in whole.items():
        found = json.loads((out / "scores.strict.json").read_text())
        assert found["readout"] == name
    tasks = scores(whole["expectation"])
    numbers = dict.fromkeys(("ei_reg", "ei_oc", "v_oc", "v_reg"), "expectation")
    assert {key: one["readout"] for key, one in tasks.items()} == numbers | {"e_c": "greedy", "XED": "greedy"}
    table = markdown(*tables(json.loads((whole["expectation"] / "scores.strict.json").read_text())))
    assert "**MMAFFBen, strict mode, readout expectation**" in table
    assert "| e_c (greedy) |" in table and "| v_reg |" in table


def test_another_readout_is_another_run(data: Dataset, whole: dict[str, Path]) -> None:
    with pytest.raises(Fault, match="this run has readout choice, not expectation"):
        predict("m", data, whole["choice"], engine=Knowing(), readout="expectation")


def test_without_validation_rows_there_are_no_thresholds(tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", {"XED": 6, "onlineshopping": 6}, splits=["test"])
    predict("m", data, tmp_path / "without", engine=Knowing(), readout="choice")
    assert not json.loads((tmp_path / "without/readout.json").read_text())["thresholds"]["XED"]["tuned"]
    validation = make_data(tmp_path / "val", {"XED": 6})
    with pytest.raises(UsageFault, match="the thresholds of XED are tuned on these rows"):
        predict("m", validation, tmp_path / "run", engine=Knowing(), readout="choice", split="val")
    predict("m", data, tmp_path / "run", ["onlineshopping"], engine=Knowing(), readout="choice")  # one label


def test_an_engine_that_sees_no_probabilities_is_refused_at_once(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="sees no probabilities"):
        predict("m", data, tmp_path / "run", engine=Silent(), readout="choice")
    assert not (tmp_path / "run").exists()


def test_other_candidates_and_broken_lines_are_refused(data: Dataset, whole: dict[str, Path], tmp_path: Path) -> None:
    out = shutil.copytree(whole["choice"], tmp_path / "run")
    text = (out / "readout.json").read_text()
    (out / "readout.json").write_text(text.replace('"8. trust"', '"8. faith"'))
    with pytest.raises(Fault, match=r"readout\.json: an earlier version used other candidates for XED"):
        predict("m", data, out, engine=Knowing(), readout="choice")
    (out / "readout.json").write_text(text)
    lines = (out / "likelihoods/XED.jsonl").read_text().replace("[", "[0.5, ", 1)
    (out / "likelihoods/XED.jsonl").write_text(lines)
    with pytest.raises(Fault, match=r"XED\.jsonl: .* does not have 9 numbers"):
        predict("m", data, out, engine=Knowing(), readout="choice")


def test_numbers_that_are_none_are_refused(data: Dataset, tmp_path: Path) -> None:
    class Broken(Knowing):
        def logp(self, prompt: str, text: str) -> float:
            return math.nan

    with pytest.raises(Fault, match=r"XED/ec/.*: a likelihood is not a finite number"):
        predict("m", data, tmp_path, ["XED"], engine=Broken(), readout="choice")


def test_a_model_is_read_out_alike_in_any_batch(nano: Path, tmp_path: Path) -> None:
    data = make_data(tmp_path / "data", {"XED": 20})
    outs = [tmp_path / str(size) for size in (1, 16)]
    for out, size in zip(outs, (1, 16), strict=True):
        predict(nano, data, out, batch_size=size, dtype="float32", readout="choice")
    assert (outs[0] / "predictions/XED.jsonl").read_bytes() == (outs[1] / "predictions/XED.jsonl").read_bytes()
    rows = [list(read_jsonl(out / "likelihoods/XED.jsonl")) for out in outs]
    for one, other in zip(*rows, strict=True):
        assert one["logp"] == pytest.approx(other["logp"], abs=1e-3) and max(one["logp"]) < 0


def test_scores_have_the_calibration_of_what_was_weighed(whole: dict[str, Path]) -> None:
    chosen, expected = scores(whole["choice"]), scores(whole["expectation"])
    assert "calibration" not in scores(whole["greedy"])["XED"]
    assert {key for key, one in chosen.items() if "calibration" in one} == {"e_c", "XED"}
    assert {key for key, one in expected.items() if "calibration" in one} == {"ei_reg", "ei_oc", "v_oc", "v_reg"}
    assert chosen["XED"]["calibration"]["n"] == LEAST_ROWS  # type: ignore[index]
    assert chosen["XED"]["by_language"]["en"]["calibration"] == chosen["XED"]["calibration"]  # type: ignore[index]
    shown = [
        markdown(*tables(json.loads((whole[name] / "scores.strict.json").read_text())))
        for name in ("choice", "expectation")
    ]
    assert "**Calibration of choice" in shown[0] and "| XED | 0." in shown[0]
    assert "**Calibration of expectation" in shown[1] and "| semeval2018_english v_reg | " in shown[1]
