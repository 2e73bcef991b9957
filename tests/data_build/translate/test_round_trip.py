"""The report's figure for translations that were translated back."""

import shutil
from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF

from data_build.dataset.check import check
from data_build.translate.round_trip import chrf, in_words
from data_build.translate.rows import Order, words_in
from data_build.translate.translate import translate
from mmafflm.dataset import Dataset
from mmafflm.records import Record
from mmafflm.sampling import shuffle_key
from tests.data_build.translate.translating import ThereAndBack, WordByWord, files

ORDER = Order(["XED", "semeval2018_english"], ["en"], ["es"])


def records(data: Path) -> list[Record]:
    dataset = Dataset.open(data)
    return [
        one for split in ("train", "val") for name in dataset.subsets(split) for one in dataset.records(name, split)
    ]


def test_it_is_of_rows_drawn_by_the_seed_and_nothing_is_translated_twice(data: Path) -> None:
    engine = ThereAndBack()
    told = translate(data, engine, ORDER, round_trip=8)
    dataset, (figure,) = Dataset.open(data), told.round_trips
    assert dataset.manifest["translation"]["round_trip"] == [figure] and check(dataset) == []
    assert (figure["from"], figure["to"], figure["model"]) == ("en", "es", "en-es")
    assert (figure["rows"], figure["of"]) == (8, told.kept)
    by_id = {one.id: one for one in records(data)}
    made = [one for one in by_id.values() if one.translated_from]
    drawn = sorted(made, key=lambda one: shuffle_key(dataset.manifest["seed"], one.id))[:8]
    before = [words_in(by_id[one.id.replace("/es<-en", "/en" if one.subset == "XED" else "")]) for one in drawn]
    after = [" ".join("street" if word == "road" else word for word in text.split(" ")) for text in before]
    assert figure["chrf"] == round(CHRF().corpus_score(after, [before]).score, 2) < 100
    assert figure["ci95"][0] <= figure["chrf"] <= figure["ci95"][1] and "version:" in figure["signature"]
    card = (data / "README.md").read_text(encoding="utf-8")
    assert f"| 8 of {told.kept} | {figure['chrf']:.1f} [" in card and figure["signature"] in card
    assert in_words(figure).startswith("es<-en, word-by-word en-es: round trip chrF ")
    calls, before_again = engine.calls, files(data)
    assert translate(data, engine, ORDER, round_trip=8).round_trips == [figure]
    assert engine.calls == calls and files(data) == before_again
    (all_of_them,) = translate(data, engine, ORDER, round_trip=1000).round_trips
    assert all_of_them["rows"] == all_of_them["of"] == told.kept
    assert len(engine.asked) == len(set(engine.asked)) and any(pair[:2] == ("es", "en") for pair in engine.asked)


def test_no_order_of_runs_shows(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "other")
    translate(data, ThereAndBack(), ORDER, round_trip=5)
    for name in reversed(ORDER.subsets):
        translate(tmp_path / "other", ThereAndBack(batch=7), Order([name], ["en"], ["es"]), round_trip=5)
    assert files(tmp_path / "other") == files(data)


def test_a_figure_that_no_longer_holds_goes_and_one_way_alone_is_said(data: Path) -> None:
    (figure,) = translate(data, ThereAndBack(), Order(["XED"], ["en"], ["es"]), round_trip=5).round_trips
    (kept,) = translate(data, ThereAndBack(), Order(["XED"], ["en"], ["es"]), round_trip=0).round_trips
    assert kept == figure
    assert translate(data, ThereAndBack(), ORDER, round_trip=0).round_trips == []
    assert Dataset.open(data).manifest["translation"]["round_trip"] == []
    (one_way,) = translate(data, WordByWord(), ORDER).round_trips
    assert one_way["rows"] == 0 and "chrf" not in one_way
    assert in_words(one_way).endswith("round trip not made: the engine has no pair from es to en")
    assert "the engine has no pair from es to en" in (data / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("texts", "references", "least", "most"),
    [
        (["the same"] * 3, ["the same"] * 3, 100, 100),
        (["xyz"], ["abc"], 0, 0),
        (["a cat sat"], ["the cat sat"], 40, 90),
    ],
)
def test_chrf(texts: list[str], references: list[str], least: float, most: float) -> None:
    told = chrf(texts, references)
    assert least <= told["chrf"] <= most and least <= told["ci95"][0] <= told["ci95"][1] <= most
    assert told["signature"].startswith("nrefs:1|bs:1000|seed:12345|")
