"""Plans of translation: the shipped ones give the numbers in their comments, a wrong one gives a message."""

import json
import shutil
from importlib.resources import files as package_files
from pathlib import Path

import pytest

from data_build import cli
from data_build.config import load_config
from data_build.dataset.check import check
from data_build.mix.mix import shares_with_translated
from data_build.translate.apertium import PACKAGES, Apertium
from data_build.translate.plan import TranslationPlan, load_plan
from data_build.translate.rows import has_text
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import UsageFault
from tests.data_build.translate.translating import files

PLANS = Path(str(package_files("data_build"))) / "plans"
LANGUAGES = {one for subset in benchmark().values() if has_text(subset.name) for one in subset.languages}
PLENTY = 5000  # rows of each language of a subset; every language of XED and MMS has more than its share


def mix_with(plan: TranslationPlan, good: float) -> dict[str, dict[str, int]]:
    """Rows of each text subset and language in the default mix, when so many of the plan's rows are good."""
    config = load_config(None)
    made: dict[str, dict[str, int]] = {}
    for pair in plan.pairs:
        for subset, rows in pair.rows.items():
            made.setdefault(subset, {})[pair.to] = int(rows * good)
    return {
        name: shares_with_translated(
            config.mix.get(name, 0),
            dict.fromkeys(subset.languages, PLENTY * 4),
            made.get(name, {}),
            config.most_translated,
        )
        for name, subset in benchmark().items()
        if has_text(name)
    }


def totals(mix: dict[str, dict[str, int]]) -> dict[str, int]:
    return {one: sum(of.get(one, 0) for of in mix.values()) for one in LANGUAGES}


@pytest.mark.parametrize("good", [0.9, 1])
def test_the_plan_of_nllb_gives_every_language_the_same(good: float) -> None:
    plan = load_plan(PLANS / "nllb.yaml")
    assert plan.engine == "nllb" and {pair.origin for pair in plan.pairs} == {"en"}
    assert {pair.to for pair in plan.pairs} | {"en"} == LANGUAGES and len(plan.pairs) == 34 == len(LANGUAGES) - 1
    mix = mix_with(plan, good)
    assert {min(mix[name].values()) for name in ("XED", "MMS")} == {428, 462}
    assert all(
        len(mix[name]) == 35 and max(mix[name].values()) <= min(mix[name].values()) + 1 for name in ("XED", "MMS")
    )
    of_english = mix["semeval2018_english"]
    assert sum(of_english.values()) == 10_000 and len(of_english) == 35
    assert {one: rows for one, rows in of_english.items() if rows not in (147, 148)} == {"en": 5000}
    before = totals(mix_with(TranslationPlan(engine="nllb", pairs=[{"from": "en", "to": "es", "rows": {"XED": 1}}]), 0))
    after = totals(mix)
    assert sorted(before.values())[:15] == [600] * 15 and min(after.values()) >= 1037 and sum(after.values()) == 89_200


def test_the_plan_of_apertium_lifts_the_languages_that_its_pairs_reach() -> None:
    plan = load_plan(PLANS / "apertium.yaml")
    assert plan.engine == "apertium"
    engine = object.__new__(Apertium)  # with all of Debian's pairs
    engine.modes = {mode: tuple(mode.split("-", 1)) for modes in PACKAGES.values() for mode in modes.split()}
    for pair in plan.pairs:
        engine.require(pair.origin, pair.to)
    assert engine.mode("es", "br") == "es-pt_BR" and engine.mode("es", "pt") == "es-pt"
    assert [engine.mode("en", one) for one in ("hr", "bs", "sr")] == ["eng-hbs_HR", "eng-hbs_BS", "eng-hbs_SR"]
    after = totals(mix_with(plan, 0.92))
    for one in ("bs", "hr", "sr", "fr", "it", "pt", "br"):
        assert 2100 <= after[one] <= 2250, one
    assert after["no"] == 600 + 558 and sum(after.values()) == 89_200


def test_a_pair_that_is_not_installed_is_refused_with_its_package(data: Path, tmp_path: Path) -> None:
    engine = object.__new__(Apertium)
    engine.modes = {"eng-spa": ("eng", "spa")}
    for (origin, target), package in {
        ("es", "br"): "apertium-es-pt", ("en", "sr"): "apertium-hbs-eng", ("ro", "es"): "apertium-es-ro",
        ("sv", "no"): "apertium-swe-nor", ("hi", "ur"): "apertium-urd-hin", ("hr", "sl"): "apertium-hbs-slv",
    }.items():  # fmt: skip
        with pytest.raises(UsageFault, match=f"no pair from {origin} to {target}.*apt-get install {package}$"):
            engine.require(origin, target)
    with pytest.raises(UsageFault, match="We know no Debian package"):
        engine.require("es", "ro")  # Debian's pair goes the other way
    if shutil.which("apertium") and not {"es-fr", "spa-ita"} & Apertium().modes.keys():
        before = files(data)
        with pytest.raises(UsageFault, match=r"(?s)es to fr.*apertium-fr-es\n.*es to it.*apertium-spa-ita"):
            cli.translate(data=data, plan=PLANS / "apertium.yaml")
        assert files(data) == before


def test_the_command_takes_a_plan(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not shutil.which("apertium") or "eng-spa" not in Apertium().modes:
        pytest.skip("apertium-eng-spa is not installed")
    plan = tmp_path / "plan.yaml"
    rows = {"XED": 3, "semeval2018_english": 5, "MELD_EC": 4}  # MELD_EC is not in the build
    asked = {"engine": "apertium", "round_trip": 4, "pairs": [{"from": "en", "to": "es", "rows": rows}]}
    plan.write_text(json.dumps(asked))
    cli.translate(data=data, plan=plan)
    dataset = Dataset.open(data)
    assert check(dataset) == []
    about = dataset.manifest["translation"]
    assert 0 < about["rows_kept"] <= about["rows_read"] <= 2 * (3 + 5)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("es<-en, apertium eng-spa: round trip chrF ") and f"n=4 of {about['rows_kept']}" in line
    before = files(data)
    cli.translate(data=data, plan=plan)
    assert files(data) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("engine: google\npairs: [{from: en, to: es, rows: {XED: 1}}]", "engine: google is not one of apertium"),
        ("engine: nllb\npairs: []", "pairs: List should have at least 1 item"),
        ("engine: nllb\npairs: [{from: en, to: es, rows: {FER2013: 1}}]", r"pairs\.0\.rows: FER2013 is not one of sem"),
        ("engine: nllb\npairs: [{from: en, to: es, rows: {XED: 0}}]", r"pairs\.0\.rows\.XED: Input should be greater"),
        ("engine: nllb\npairs: [{from: en, to: xx1, rows: {XED: 1}}]", r"pairs\.0\.to xx1: not a language code"),
        ("engine: nllb\npairs: [{from: en, into: es, rows: {XED: 1}}]", r"pairs\.0\.into: unknown key \(do you mean"),
        ("engine: nllb\nrows: 3\npairs: [{from: en, to: es, rows: {XED: 1}}]", "rows: unknown key. Known keys: eng"),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_a_sentence(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(UsageFault, match=f"plan.yaml: {message}"):
        load_plan(tmp_path / "plan.yaml")


def test_norwegian_is_no_falsehood_and_a_plan_stands_alone(data: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("engine: nllb\npairs: [{from: sv, to: no, rows: {MMS: 7}}]")
    (order,) = load_plan(plan).orders
    assert (order.origins, order.targets, order.subsets, order.limit) == (["sv"], ["no"], ["MMS"], 7)
    with pytest.raises(UsageFault, match="the plan sets engine, pairs and rows"):
        cli.translate(data=data, plan=plan, to="es")
    for flags in ({"to": "es"}, {"engine": "apertium"}, {}):
        with pytest.raises(UsageFault, match="translate needs --to and --engine, or --plan FILE"):
            cli.translate(data=data, **flags)
