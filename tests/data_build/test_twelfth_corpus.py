"""Add a made-up twelfth corpus to a copy of the source: with one file and one YAML entry, every command knows it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

CORPUS = '''
"""DIARY: entries of made-up diaries, each calm or tense."""

from data_build.reading.corpus import Bad, Corpus, Example, RawPart, batched, label_set
from data_build.drawing.writer import Files, Writer, tsv_bytes

FILE = "diary.tsv"


def _find(files, options):
    return [RawPart("all", (file,)) for file in files if file.basename == FILE]


def _rows(part):
    for number, line in enumerate(part.files[0].text().splitlines(), 1):
        author, mood, text = line.split("\\t")
        label, source = label_set("DIARY", "mood").canonical(mood), f"{FILE}:{number}"
        if label is None:
            yield Bad(source, "label outside the set", mood, unknown=mood)
        else:
            yield Example("DIARY", "mood", "en", None, [label], text, source, origin={"author": author})


def _samples(scale: int, seed: int) -> Files:
    writer = Writer(seed, "diary", "en")
    moods = writer.take(["calm", "nervous"], 120 * scale)
    rows = [[f"author {number % 7}", mood, writer.tell(mood)] for number, mood in enumerate(moods)]
    return {FILE: tsv_bytes([*rows, ["author 0", "bored", "x"]])}


CORPUS = Corpus(
    name="diary",
    licence="CC0",
    get="Write one.",
    expected={"DIARY all": 120},
    find=_find,
    read=lambda part, options: batched(_rows(part)),
    samples=_samples,
    mix={"DIARY": 50},
    splits={"DIARY": {"test": 20, "val": 5}},
    row_origins=("author",),
    choices=("A diary is one person's word.",),
    cite="Nobody (2026): Diaries",
)
'''
ENTRY = """
  DIARY:
    corpus: diary
    modality: text
    languages: [en]
    test_rows: {mood: 20}
    tasks:
      mood:
        kind: emotion_classification
        prompt: {prompt: "Is this entry 0. calm or 1. tense? {text}", ours: true}
        grammar: {type: labels, labels: {0: [calm], 1: [tense, nervous]}}
        paper_accuracy: subset
"""
ASK = """
import sys
from pathlib import Path
from eval.ask.predict import predict
from mmafflm.dataset import Dataset

class Reader:
    name = "hf"
    def accepts(self): return ("text",)
    def load(self): pass
    def tokens(self, text): return len(text)
    def describe(self): return {"decoding": {}, "dtype": "auto"}
    def answer(self, questions, wanted, most_tokens, batch_size):
        yield [(at, "1. tense" if questions[at].prompt.endswith("nervous") else "0. calm") for at in wanted]

predict("m", Dataset.open(Path(sys.argv[1])), Path(sys.argv[2]), engine=Reader())
"""


def run(tree: Path, *words: object) -> str:
    """Run Python with these words in that copy of the source; returns what it printed."""
    command, env = [sys.executable, *map(str, words)], {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with the corpus added, and next to it samples and a build."""
    tree = tmp_path_factory.mktemp("tree")
    for package in ("mmafflm", "data_build", "eval"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "data_build/corpora/diary.py").write_text(CORPUS)
    with (tree / "mmafflm/benchmark/subsets.yaml").open("a") as entries:
        entries.write(ENTRY)
    run(tree, "-m", "data_build", "samples", "--out", "raw", "--subsets", "DIARY,onlineshopping")
    run(tree, "-m", "data_build", "build", "--raw", "raw", "--out", "data", "--jobs", "1")
    return tree


def test_it_is_sampled_built_counted_and_described(tree: Path) -> None:
    manifest = json.loads((tree / "data/manifest.json").read_text())
    assert list(manifest["subsets"]) == ["onlineshopping", "DIARY"]
    account, rows = manifest["corpora"]["diary"], manifest["subsets"]["DIARY"]
    assert (rows["val"]["rows"], rows["test"]["rows"]) == (5, 20) and account["rows_read"] == 121
    lost = account["rows_quarantined"]
    assert lost.pop("label outside the set") == 1 and rows["train"]["rows"] == 95 - lost["nearly copies a test row"]
    assert manifest["config"]["mix"]["DIARY"] == 50 and manifest["mix"]["subsets"]["DIARY"] == {"en": 50}
    (authors,) = manifest["leakage"]["origins"]["DIARY"]
    assert (authors["of"], authors["train"], authors["test"]) == ("author", 7, 7)
    card = (tree / "data/README.md").read_text()
    for said in ("Is this entry", "A diary is one person's word.", "Nobody (2026): Diaries", "diary: CC0"):
        assert said in card
    assert re.search("onlineshopping, MMS, XED.* and DIARY: seeded", card)
    assert run(tree, "-m", "data_build", "check", "--data", "data") == ""


def test_doctor_finds_it(tree: Path) -> None:
    (line,) = (one for one in run(tree, "-m", "data_build", "doctor", "--raw", "raw").splitlines() if "diary" in one)
    assert [cell.strip() for cell in line.strip("│ ").split("│")[:5]] == ["diary", "found", "DIARY all", "120", "120"]


def test_the_benchmark_asks_it(tree: Path) -> None:
    run(tree, "-c", ASK, "data", "run")
    run(tree, "-m", "eval", "score", "run", "--data", "data")
    scores = json.loads((tree / "run/scores.strict.json").read_text())["subsets"]
    assert scores["DIARY"]["n"] == 20 and scores["DIARY"]["metrics"]["macro_f1"] == 1.0
    assert scores["onlineshopping"]["metrics"]["macro_f1"] == 0.0


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("    test_rows: {mood: 20}\n", "", "subset DIARY has no test_rows."),
        ("kind: emotion_classification", "kind: mood", "subset DIARY, task mood: kind mood is not one of"),
        (
            "grammar: {type: labels, labels: {0: [calm], 1: [tense, nervous]}}",
            "grammar: polarity2",
            "task mood: add `paper_accuracy: polarity`, or paper mode reads",
        ),
        ("{text}", "{txt}", "its prompt has {txt}; the fields are"),
        ("{text}", "", "its prompt has no {text}, so the model would not get the text."),
        ("    modality: text", "    modality text", "subsets.yaml: not YAML"),
    ],
)
def test_an_entry_with_a_mistake_is_a_sentence(tree: Path, right: str, wrong: str, said: str) -> None:
    entries = tree / "mmafflm/benchmark/subsets.yaml"
    whole = entries.read_text()
    before, diary = whole.split("  DIARY:")
    assert right in diary
    entries.write_text(f"{before}  DIARY:{diary.replace(right, wrong)}")
    words = [sys.executable, "-m", "data_build", "samples", "--out", "none"]
    done = subprocess.run(words, cwd=tree, check=False, capture_output=True, text=True)
    entries.write_text(whole)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
