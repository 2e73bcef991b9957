"""Translations that copy a row of a test or of the other split, and originals that are translations of a test row."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data_build.config import Leaks, load_mix
from data_build.dataset.check import check
from data_build.dataset.origins import read_origins
from data_build.ids import new_id, original_id
from data_build.leaks.leak_report import examine, markdown
from data_build.media.media_index import read_index
from data_build.remix import remix
from data_build.translate import translate as stage
from data_build.translate.copies import left_out, on_both_sides, through_translation
from data_build.translate.rows import Brief, Order, words_in
from data_build.translate.translate import translate
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import Record, read_jsonl
from tests.data_build.translate.translating import WordByWord

ENGLISH = "semeval2018_english"


def mixed(data: Path) -> set[str]:
    return {row["id"] for row in read_jsonl(data / "mmaffin" / "mmaffin_train.jsonl") if row["subset"] == ENGLISH}


def test_what_is_a_test_rows_translation_is_kept_out_of_every_mix(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate(data, WordByWord(), Order([ENGLISH], ["en"], ["es"]))
    dataset = Dataset.open(data)
    held_out = next(one for one in dataset.records("XED", "test") if one.language == "es" and len(words_in(one)) > 25)
    before, rows_before = mixed(data), list(dataset.records(ENGLISH, "train"))
    assert any("es<-en" in name for name in before)

    class Parrot(WordByWord):
        def require(self, origin: str, target: str) -> None:
            pass

        def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
            return [words_in(held_out)] * len(texts)

    monkeypatch.setattr(stage, "fault", lambda *_: None)  # it is not Italian
    translate(data, Parrot(), Order([ENGLISH], ["en"], ["it"], limit=6), round_trip=0)
    dataset = Dataset.open(data)
    lines = [row for row in read_jsonl(data / "quarantine.jsonl") if row["reason"] == "copies a test row"]
    assert {row["source"].split("/")[-2] for row in lines if row["corpus"] == "translate"} == {"train", "val"}
    out = left_out(data / "quarantine.jsonl")
    assert len(out) == 6 == dataset.manifest["translation"]["left_out"]
    assert list(dataset.records(ENGLISH, "train")) == rows_before and out < {one.id for one in rows_before}
    assert mixed(data) == before - out - {new_id(name, "en", "es") for name in out} != before
    assert check(dataset) == []
    (tmp_path / "mix.yaml").write_text("seed: 3\nmost_translated: 1\n")
    remix(Dataset.open(data), load_mix(tmp_path / "mix.yaml"))
    assert not out & {original_id(name) for name in mixed(data)}
    assert f"{len(out)} training rows are translations of a test row" in (data / "README.md").read_text()

    told = through_translation(data)
    assert told["rows"] == len(out) and told["in_mix"] == 0
    assert all(one["train"] in out and one["test"] == held_out.id for one in told["examples"])
    rows = {name: {split: of["rows"] for split, of in splits.items()}
            for name, splits in dataset.manifest["subsets"].items()}  # fmt: skip
    _, found = examine(data, rows, Leaks(remove=False), read_index(data), read_origins(data))
    text = markdown(found | {"through_translation": told})
    assert f"{len(out)} training rows have a translation that copies a test row" in text and held_out.id in text


def test_ids_of_translations_lead_back() -> None:
    for name, origin in (("XED/en/train/000123", "en"), (f"{ENGLISH}/ei_reg/anger/train/000001", "en"),
                         ("MELD_EC/val/000007", "en"), ("SAMSEMO/ko/train/000001", "ko")):  # fmt: skip
        made = new_id(name, origin, "es")
        assert f"es<-{origin}" in made and original_id(made) == name and original_id(name) == name


def row(name: str, text: str, source: dict[str, Any] | None = None) -> Record:
    subset, language, split, _ = name.split("/")
    task = benchmark()[subset].tasks[0]
    messages = [{"role": "user", "content": task.ask(text, "")}, {"role": "assistant", "content": "1. joy"}]
    return Record(name, subset, task.kind, split, language.split("<")[0], "text", "", messages, [], [], [], source)


def test_no_text_stands_on_both_sides() -> None:
    standing = [Brief.of(one) for one in (
        row("XED/es/train/000001", "Gracias."), row("XED/es/val/000001", "¡Hola!"), row("XED/fr/val/000001", "Merci."),
        row("XED/es<-en/val/000009", "Adiós.", {"language": "en"}), row("MMS/es/val/000001", "¿Qué?"),
    )]  # fmt: skip
    made = [
        row("XED/es<-en/train/000001", "¡hola!  "), row("XED/es<-en/train/000002", "Gracias."),
        row("XED/es<-en/val/000001", "gracias."), row("XED/es<-en/val/000002", "¡Hola!"),
        row("XED/es<-en/train/000003", "Adiós."), row("XED/es<-en/train/000004", "¿Qué?"),
        row("XED/es<-en/train/000005", "Merci."),
    ]  # fmt: skip
    assert on_both_sides(standing, made) == {
        "XED/es<-en/train/000001": ("copies a validation row", "XED/es/val/000001"),
        "XED/es<-en/val/000001": ("copies a training row", "XED/es/train/000001"),
    }
    assert on_both_sides(standing, []) == {}
