"""Translation adds rows and never replaces any; the result does not depend on runs, workers or interruptions."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from data_build.config import load_mix
from data_build.dataset.check import check
from data_build.ids import new_id
from data_build.mix.mix import shares_with_translated
from data_build.remix import remix
from data_build.translate import translate as stage
from data_build.translate.cache import CACHE
from data_build.translate.judge import fault
from data_build.translate.languages import languages, near
from data_build.translate.marks import lost, pieces
from data_build.translate.rows import Order, Wanted, translated, words_in
from data_build.translate.translate import translate
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, read_jsonl, read_records
from tests.data_build.translate.translating import WordByWord, files

ORDER = Order(["XED", "semeval2018_english"], ["en"], ["es"])


def test_rows_are_added_beside_their_originals(two_texts: Path, data: Path) -> None:
    told = translate(data, WordByWord(), ORDER)
    assert told.kept > 20 and told.asked == told.kept + told.quarantined
    before, after = Dataset.open(two_texts), Dataset.open(data)
    assert check(after) == []
    made = 0
    for name, split in (
        ("XED", "train"),
        ("XED", "val"),
        ("semeval2018_english", "train"),
        ("semeval2018_english", "val"),
    ):
        originals, rows = list(before.records(name, split)), list(after.records(name, split))
        assert rows[: len(originals)] == originals
        by_id = {one.id: one for one in originals}
        for row in rows[len(originals) :]:
            made += 1
            origin = by_id[row.id.replace("/es<-en", "/en" if name == "XED" else "")]
            assert row.language == "es" and row.gold == origin.gold and row.answer == origin.answer
            assert (row.source, row.split, row.emotion) == (origin.source, origin.split, origin.emotion)
            assert row.translated_from == {
                "language": "en", "engine": "word-by-word", "model": "en-es", "version": "1",
            }  # fmt: skip
            assert row.prompt == benchmark()[name].task(row.task).ask(words_in(row), row.emotion or "")
            assert words_in(row) != words_in(origin)
    assert made == told.kept
    about = after.manifest["subsets"]["semeval2018_english"]["train"]
    assert about["languages"]["es"] == about["translated"]["es<-en"]
    assert "es<-en" in (data / "README.md").read_text(encoding="utf-8")
    mixed = [row for row in read_jsonl(data / "mmaffin" / "mmaffin_train.jsonl") if row["translated_from"]]
    told_of = after.manifest["mix"]["translated"]["semeval2018_english"]["es"]
    assert told_of == sum(row["subset"] == "semeval2018_english" for row in mixed) > 0


def test_a_clip_keeps_its_frames() -> None:
    task = benchmark()["MELD_EC"].task("emotion_classification")
    messages = [{"role": "user", "content": task.ask("today at home")}, {"role": "assistant", "content": "4. fear"}]
    clip: list[str | list[str]] = [["media/a.png", "media/b.png"]]
    record = Record(
        "MELD_EC/train/000007", "MELD_EC", task.kind, "train", "en", "video", "a.csv:7", messages, [], clip, ["fear"]
    )
    one = Wanted(record, "es", new_id(record.id, "en", "es"), words_in(record))
    row = translated(one, "hoy en casa", WordByWord())
    assert row.id == "MELD_EC/es<-en/train/000007" and row.videos == clip and words_in(row) == "hoy en casa"
    assert row.prompt == record.prompt.replace("today at home", "hoy en casa") and row.gold == ["fear"]


def test_a_test_is_never_translated(two_texts: Path, data: Path) -> None:
    engine = WordByWord()
    translate(data, engine, ORDER)
    tests = [name for name in files(two_texts) if name.startswith("mmaffben/")]
    assert tests and all(files(two_texts)[name] == files(data)[name] for name in tests)
    asked = {line.strip() for name in tests for one in read_records(data / name) for line in pieces(words_in(one))}
    trained = {
        words_in(one)
        for name in ("XED", "semeval2018_english")
        for s in stage.SPLITS
        for one in Dataset.open(two_texts).records(name, s)
    }
    assert not (asked - trained) & set(engine.seen)


def test_no_order_of_runs_shows_and_nothing_is_translated_twice(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "other")
    translate(data, WordByWord(), ORDER)
    engine = WordByWord(batch=3, workers=4)
    other = tmp_path / "other"
    translate(other, engine, Order(["semeval2018_english"], ["en"], ["es"], limit=4))
    with pytest.raises(Fault, match="fell over"):
        translate(other, WordByWord(batch=2, fails=1), ORDER)
    engine.fails = engine.calls + 2
    with pytest.raises(Fault, match="fell over"):
        translate(other, engine, ORDER)
    with (other / CACHE).open("ab") as cache:
        cache.write(b'{"engine": "word-')  # cut off by a kill
    engine.fails = 0
    translate(other, engine, ORDER)
    assert files(other) == files(data)
    assert len(engine.seen) == len(set(engine.seen))
    calls = engine.calls
    assert translate(other, engine, ORDER)[1:4] == (0, 0, 0)
    assert engine.calls == calls and files(other) == files(data)


def test_training_rows_are_read_once_and_those_that_grow_once_more(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, str]] = []
    records = Dataset.records

    def told(self: Dataset, subset: str, split: str) -> Iterator[Record]:
        read.append((subset, split))
        return records(self, subset, split)

    monkeypatch.setattr(Dataset, "records", told)
    every = [(name, split) for split in stage.SPLITS for name in ("semeval2018_english", "XED")]
    translate(data, WordByWord(), Order(["XED"], ["en"], ["es"]))
    assert sorted(read) == sorted([*every, ("XED", "train"), ("XED", "val")])
    read.clear()
    translate(data, WordByWord(), Order(["XED"], ["en"], ["es"]))
    assert sorted(read) == sorted(every)


def test_killed_while_files_are_put_in_place(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(data, tmp_path / "other")
    translate(data, WordByWord(), ORDER)
    with monkeypatch.context() as patch:
        patch.setattr(stage, "make_mix", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            translate(tmp_path / "other", WordByWord(), ORDER)
    engine = WordByWord()
    translate(tmp_path / "other", engine, ORDER)
    assert engine.calls == 0 and files(tmp_path / "other") == files(data)


def test_a_translation_that_stands_in_a_test_is_quarantined(data: Path) -> None:
    tests = Dataset.open(data).records("XED", "test")
    held_out = next(one for one in tests if one.language == "es" and len(words_in(one)) > 25)

    class Parrot(WordByWord):
        def translate(self, texts: Sequence[str], origin: str, target: str) -> list[str]:
            return [words_in(held_out)] * len(texts)

    told = translate(data, Parrot(), Order(["semeval2018_english"], ["en"], ["es"]))
    rows = [row for row in read_jsonl(data / "quarantine.jsonl") if row["corpus"] == "translate"]
    leaked = [row for row in rows if row["reason"] == "copies a test row"]
    assert {row["source"].split("/")[-2] for row in leaked} == {"train", "val"}
    about = json.loads(leaked[0]["detail"])
    assert about["why"] == held_out.id and about["translation"] == words_in(held_out) and about["text"]
    assert len(rows) == told.quarantined and check(Dataset.open(data)) == []


def test_what_cannot_be_done_is_refused_before_the_work(data: Path) -> None:
    before, engine = files(data), WordByWord()
    for order, message in (
        (Order(["XED"], ["en"], ["fr"]), "no pair from en to fr; there are: en-es"),
        (Order(["semeval2018_english"], ["en", "de"], ["es"]), "no pair from de"),
        (Order(["onlineshopping"], ["en"], ["es"]), "no training or validation row"),
    ):
        with pytest.raises(UsageFault, match=message):
            translate(data, engine, order)
    assert engine.calls == 0 and files(data) == before


@pytest.mark.parametrize(
    ("total", "originals", "translated", "most", "expected"),
    [
        (8, {"en": 9, "es": 2}, {"es": 9}, 1, {"en": 4, "es": 4}),
        (8, {"en": 9, "es": 2}, {"es": 9}, 0, {"en": 6, "es": 2}),
        (8, {"en": 9, "es": 2}, {"es": 9}, 0.125, {"en": 5, "es": 3}),
        (8, {"en": 9, "es": 9}, {"es": 9}, 1, {"en": 4, "es": 4}),
        (40, {"en": 6}, {"es": 90}, 0.5, {"en": 6, "es": 6}),
        (9, {"en": 9}, {"es": 9, "fr": 9}, 0.5, {"en": 5, "es": 2, "fr": 2}),
    ],
)
def test_translations_fill_what_originals_cannot(
    total: int, originals: dict[str, int], translated: dict[str, int], most: float, expected: dict[str, int]
) -> None:
    assert shares_with_translated(total, originals, translated, most) == expected


def test_another_mix_takes_no_translations_when_told_so(data: Path, tmp_path: Path) -> None:
    translate(data, WordByWord(), ORDER)
    mixed = data / "mmaffin" / "mmaffin_train.jsonl"
    for most in (1, 0):
        (tmp_path / "mix.yaml").write_text(f"seed: 3\nmost_translated: {most}\n")
        remix(Dataset.open(data), load_mix(tmp_path / "mix.yaml"))
        assert check(Dataset.open(data)) == []
        assert any(row["translated_from"] for row in read_jsonl(mixed)) == bool(most)


def test_a_mix_may_name_the_translations_of_one_pair_alone(data: Path, tmp_path: Path) -> None:
    translate(data, WordByWord(), ORDER)
    asked = "{XED: 2, semeval2018_english: 8}"
    (tmp_path / "mix.yaml").write_text(f'seed: 3\nlanguages: [en, "es<-en"]\nmix: {asked}\n')
    remix(Dataset.open(data), load_mix(tmp_path / "mix.yaml"))
    rows = list(read_jsonl(data / "mmaffin" / "mmaffin_train.jsonl"))
    assert Counter((row["language"], bool(row["translated_from"])) for row in rows) == {
        ("en", False): 5,
        ("es", True): 5,
    }
    (tmp_path / "mix.yaml").write_text('seed: 3\nlanguages: ["es<-xx"]\n')
    with pytest.raises(UsageFault, match=r"languages: xx is not one of"):
        load_mix(tmp_path / "mix.yaml")


@pytest.mark.parametrize(
    ("text", "translation", "reason"),
    [
        ("@ann I love it #happy", "Me encanta esto, @ann #happy", None),
        ("@ann I love it #happy", "Me encanta esto, @ana #happy", "a name, tag, link, emoji or emoticon lost"),
        ("see https://t.co/Ab1_c.", "mira https://t.co/ab1_c", "a name, tag, link, emoji or emoticon lost"),
        ("I love it 😀👍🏽", "Me encanta esto 😀👍🏽", None),
        ("I love it 👨‍👩‍👧", "Me encanta esto 👨", "a name, tag, link, emoji or emoticon lost"),
        ("so good :-) <3", "tan bueno :-)", "a name, tag, link, emoji or emoticon lost"),
        (r"one thing\nand another", r"una cosa\ny otra", None),
        (r"one thing\nand another", "una cosa y otra", "line breaks lost"),
        ("one thing\nand another", "una cosa y otra", "line breaks lost"),
        ("this is sooo good", "esto es tan bueno", "an elongation lost"),
        ("this is sooo good", "esto es taaan bueno", None),
        ("I am VERY happy", "estoy muy contento", "capitals lost"),
        ("I am VERY happy", "estoy MUY contento", None),
        ("I am VERY happy", "我非常高兴的", "wrong language"),
        ("They've got Johnny.", "Tienen Johnny.", None),
        ("Hi, sweetheart.", "Hola, sweetheart.", "wrong language"),
        ("I am happy today", " ", "empty"),
        ("I am happy today", "i am  happy Today", "untranslated"),
        ("I am happy today", "Ich bin heute sehr glücklich und zufrieden", "wrong language"),
        ("I am happy today", "I am very happy with what you did today", "wrong language"),
        ("I am happy today", "hoy estoy contento " * 10, "absurd length"),
    ],
)  # fmt: skip
def test_what_is_rejected(text: str, translation: str, reason: str | None) -> None:
    found = fault(text, translation, "en", "es")
    assert (found and found[0]) == reason


@pytest.mark.parametrize("text", ["", "a", "a\nb", "\n", r"a\nb\r\nc", "a\r\n\r\nb\u2028", "re: d, 10:30, 3/4 & 5 < 6"])
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert lost(text, text) is None


def test_codes_are_one_language() -> None:
    assert languages("eng, spa,es,nb", "--to") == ["en", "es", "no"]
    assert near("por", "br") and near("pt_BR", "br") and not near("br", "br")  # theirs is Breton
    assert near("nob", "no") and near("hr", "bs") and not near("es", "gl")
    with pytest.raises(UsageFault, match="--to xx1"):
        languages("es,xx1", "--to")
