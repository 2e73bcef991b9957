"""The paper's experiments: every shipped file is valid, and one runs up to its table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_build.config import load_config, load_mix
from mmafflm.benchmark.benchmark import benchmark, choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.train.experiment import load, run, steps
from mmafflm.train.plan.recipe_file import read_recipe
from tests.mmafflm.recipes import RECIPES, recipe_with

EXPERIMENTS = RECIPES / "experiments"
NAMES = sorted(path.name for path in EXPERIMENTS.glob("*.yaml"))
PAPERS = {"baseline.yaml", "overfit.yaml", "intensity.yaml", "transfer.yaml", "languages.yaml"}
ENDS = ("", "-seed2", "-seed3")
OURS = {"missing.yaml", "readouts.yaml", "translation.yaml"}


def whole_build(path: Path) -> Dataset:
    """A build of all subsets, with the parts that planning an experiment reads."""
    return Dataset(path, {"subsets": {name: {"test": {}} for name in benchmark()}, "data_hash": "x"})


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_experiment(name: str, tmp_path: Path) -> None:
    path = EXPERIMENTS / name
    found, text = load(path), path.read_text()
    assert text.startswith("# (") >= (name in PAPERS) and f"make experiment-{path.stem} " in text and "# Run:" in text
    assert read_recipe(path.parent / found.recipe)["model_name_or_path"]
    for arm in found.arms.values():
        assert arm.mix is None or load_mix(path.parent / arm.mix)
    words = [step.words for step in steps(path, whole_build(tmp_path), tmp_path / "out", "BASE", None, 0.5, 7)]
    trained = sum(arm.mix is not None for arm in found.arms.values())
    counted = [sum(one[:2] == pair for one in words) for pair in (("mmaffin", "mix"), ("mmafflm", "train"))]
    assert counted == [trained, trained]
    assert sum(one[:2] == ("mmaffben", "predict") for one in words) == len(found.arms)
    assert all("--share" in one and one[one.index("--share") + 1] == "0.5" for one in words if one[1] == "mix")
    assert all(one[one.index("--limit") + 1] == "7" for one in words if one[1] == "predict")
    assert all(
        one[one.index("--data") + 1] == str(tmp_path) for one in words if one[0] == "mmaffben"
    )  # one test for all


def test_all_five_are_there_and_compare_like_with_like() -> None:
    assert set(NAMES) == PAPERS | OURS
    english, balanced = (load_mix(EXPERIMENTS / f"mixes/{name}.yaml") for name in ("english", "balanced"))
    assert english.mix and balanced.mix and english.languages == ["en"] and balanced.languages is None

    def by_corpus(rows: dict[str, int]) -> dict[str, int]:
        corpora = [benchmark()[name].corpus for name in rows]
        return {corpus: sum(rows[name] for name in rows if benchmark()[name].corpus == corpus) for corpus in corpora}

    assert by_corpus(english.mix) == by_corpus(balanced.mix)
    translated, reviews = (load_mix(EXPERIMENTS / f"mixes/{name}.yaml").mix for name in ("translated", "reviews"))
    assert translated == english.mix and reviews and sum(reviews.values()) == sum(balanced.mix.values())
    semeval = load_mix(EXPERIMENTS / "mixes/semeval.yaml").mix
    shipped = load_config(None).mix
    assert semeval == {name: rows for name, rows in shipped.items() if name.startswith("semeval")}
    seeds = {load_mix(path).seed for path in (EXPERIMENTS / "mixes").glob("*.yaml")}
    assert seeds == {load_config(None).seed}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question: x\nrecipe: nano.yaml\narms: {a: {mixture: x}}\ncompare: []", "arms.a.mixture: unknown key"),
        ("question: x\nrecipe: nano.yaml\narms: {a: {}}\ncompare: [[a, b]]", r"b is not one of its arms \(a\)"),
        (
            "question: x\nrecipe: n\narms: {a: {}, b: {of: a}}\ncompare: []",
            r"arms\.b\.of: the value must be an arm that has a mix",
        ),
        ("question: x\nrecipe: n\ntest: [XET]\narms: {}\ncompare: []", "test: XET is not one of"),
        ("question: [", "not YAML"),
    ],
)
def test_an_experiment_that_is_none_is_a_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UsageFault, match=said):
        load(tmp_path / "x.yaml")
    with pytest.raises(UsageFault, match="no such experiment"):
        load(tmp_path / "y.yaml")


def test_every_trained_arm_is_trained_with_each_seed(tmp_path: Path) -> None:
    built, out = whole_build(tmp_path), tmp_path / "out"
    once, thrice = (
        [step.words for step in steps(EXPERIMENTS / "readouts.yaml", built, out, "B", None, 1, None, seeds)]
        for seeds in (1, 3)
    )
    trained = [one for one in thrice if one[1] == "train"]
    assert [one[one.index("--seed") + 1] if "--seed" in one else None for one in trained] == [None, "43", "44"]
    assert [one[one.index("--out") + 1] for one in trained] == [f"{out}/runs/reviews{end}" for end in ENDS]
    asked = [one for one in thrice if one[1] == "predict"]
    for place, name in enumerate(load(EXPERIMENTS / "readouts.yaml").arms):
        of_arm = asked[3 * place : 3 * place + 3]
        assert [one[one.index("--ckpt") + 1] for one in of_arm] == [f"{out}/runs/reviews{end}" for end in ENDS]
        assert [one[one.index("--out") + 1] for one in of_arm] == [f"{out}/eval/{name}{end}" for end in ENDS]
    (compared,) = (one for one in thrice if one[1] == "compare")
    assert compared[compared.index("--seeds") + 1] == "3"
    assert not any("--seed" in word or "-seed" in word for one in once for word in one)
    words = [step.words for step in steps(EXPERIMENTS / "overfit.yaml", built, out, "B", None, 1, None, 2)]
    assert sum(one[1] == "predict" for one in words) == 1 + 2 * 2  # the base is not trained


def test_a_run_of_another_recipe_is_refused_for_every_seed(tmp_path: Path) -> None:
    (tmp_path / "out/runs/reviews-seed2").mkdir(parents=True)
    made = {"schema": 1, "finished": True, "recipe": "other.yaml", "base": "B"}
    (tmp_path / "out/runs/reviews-seed2/run.json").write_text(json.dumps(made))
    asked = (EXPERIMENTS / "readouts.yaml", whole_build(tmp_path), tmp_path / "out", "B", None, 1, None)
    with pytest.raises(UsageFault, match=r"reviews-seed2: trained with recipe other\.yaml, not "):
        run(*asked, seeds=2)


def test_an_arm_may_be_another_ones_checkpoint_read_otherwise(tmp_path: Path) -> None:
    built = whole_build(tmp_path)
    words = [step.words for step in steps(EXPERIMENTS / "readouts.yaml", built, tmp_path / "out", "B", None, 1, None)]
    greedy, choice = (one for one in words if one[1] == "predict")
    assert (
        greedy[greedy.index("--ckpt") + 1] == choice[choice.index("--ckpt") + 1] == str(tmp_path / "out/runs/reviews")
    )
    assert "--readout" not in greedy and choice[choice.index("--readout") + 1] == "choice"
    assert next(one for one in words if one[1] == "compare")[-1] == "--anyway"  # its table reports it


def test_one_arm_asked_in_all_languages_and_in_some_is_two_sets_of_answers(tmp_path: Path) -> None:
    built, out = whole_build(tmp_path), tmp_path / "out"
    asked = {
        name: next(
            step.words
            for step in steps(EXPERIMENTS / f"{name}.yaml", built, out, "B", None, 1, None)
            if step.words[1] == "predict" and str(out / "runs/english") in step.words
        )
        for name in ("languages", "translation")
    }
    folders = [words[words.index("--out") + 1] for words in asked.values()]
    assert folders == [str(out / "eval/english"), str(out / "eval/english-en-es")]
    assert asked["translation"][-2:] == ("--languages", "en,es")


def test_subsets_that_were_not_built_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = Dataset(tmp_path, {"subsets": {"XED": {"test": {}}, "MMS": {"train": {}}}})
    words = [step.words for step in steps(EXPERIMENTS / "overfit.yaml", text, tmp_path, None, None, 1, None)]
    assert {one[one.index("--subsets") + 1] for one in words if "--subsets" in one} == {"XED"}
    assert "MELD_EC" in capsys.readouterr().err
    with pytest.raises(Fault, match=r"none of the subsets that .*transfer\.yaml tests was built"):
        steps(EXPERIMENTS / "transfer.yaml", text, tmp_path, None, None, 1, None)


@pytest.fixture(scope="module")
def data(some_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data with a few reviews only."""
    from data_build.build import build

    folder = tmp_path_factory.mktemp("reviews")
    build(some_raw, folder / "data", load_config(None), choose_subsets("onlineshopping"), jobs=1, limit=60)
    return folder / "data"


EXPERIMENT = """
question: does it run
recipe: recipe.yaml
test: [onlineshopping, XED]
arms:
  base: {}
  trained: {mix: mix.yaml}
compare: [[base, trained]]
diagnose: [trained]
"""


@pytest.mark.slow
def test_an_experiment_runs_to_its_table(
    data: Path,
    base: str,
    tmp_path: Path,
    warm: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.executable", str(warm / "python"))
    recipe_with(tmp_path, save_steps=100)
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    (tmp_path / "mix.yaml").write_text("seed: 1\nmix: {onlineshopping: 64}\n")
    words = [
        "experiment",
        str(tmp_path / "x.yaml"),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--base",
        base,
    ]
    dry = [sys.executable, "-m", "mmafflm", *words, "--share", "0.5", "--limit", "4", "--dry-run"]
    env = os.environ | {"PYTHONPATH": str(RECIPES.parent)}
    listed = subprocess.run(dry, check=True, capture_output=True, text=True, env=env, cwd=tmp_path).stdout.splitlines()
    assert len(listed) == 8 and not (tmp_path / "out").exists()

    monkeypatch.setenv("PYTHONPATH", str(RECIPES.parent))
    asked = (tmp_path / "x.yaml", Dataset.open(data), tmp_path / "out", base, None, 0.5, 4)
    report = run(*asked)
    text, shown = report.read_text(), capfd.readouterr().err
    assert all(f"$ {line.split('  #')[0].strip()}" in shown for line in listed)
    assert "| trained | trained | mix.yaml | 32 | 2 | hf |" in text
    assert text.index("## trained (B) against base (A)") < text.index("## Diagnosis of trained")
    compared = json.loads((tmp_path / "out/eval/trained/comparison.base.json").read_text())
    assert compared["units"][0]["n"] == 4
    with pytest.raises(UsageFault, match=r"trained with recipe .*recipe\.yaml, not .*nano\.yaml"):
        run(*asked[:4], RECIPES / "nano.yaml", 0.5, 4)
