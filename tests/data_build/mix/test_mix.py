"""The mix: each language's share, translations only where originals run out, every label in proportion, one order."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from data_build.ids import new_id
from data_build.mix.mix import Line, Mix, histogram, make_mix, shares, shares_with_translated
from mmafflm.records import read_jsonl, write_jsonl
from mmafflm.sampling import shuffle_key


@pytest.mark.parametrize(
    ("total", "available", "expected"),
    [
        (9, {"a": 10, "b": 10, "c": 10}, {"a": 3, "b": 3, "c": 3}),
        (10, {"a": 1, "b": 10, "c": 10}, {"a": 1, "b": 4, "c": 5}),
        (11, {"b": 10, "a": 10, "c": 10}, {"a": 3, "b": 4, "c": 4}),  # the rest goes to the last in order
        (100, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (0, {"a": 1}, {"a": 0}),
    ],
)
def test_shares_of_languages(total: int, available: dict[str, int], expected: dict[str, int]) -> None:
    assert shares(total, available) == expected


@pytest.mark.parametrize(
    ("total", "originals", "translated", "most", "expected"),
    [
        (20, {"a": 30, "b": 2}, {"b": 30}, 1.0, {"a": 10, "b": 10}),
        (20, {"a": 30, "b": 2}, {"b": 30}, 0.0, {"a": 18, "b": 2}),
        (20, {"a": 30, "b": 2}, {"b": 30}, 0.25, {"a": 13, "b": 7}),
        (20, {"a": 30, "b": 30}, {"b": 30}, 0.25, {"a": 10, "b": 10}),  # enough originals
        (8, {"a": 8}, {"b": 8, "c": 8}, 0.5, {"a": 4, "b": 2, "c": 2}),
        (20, {"a": 4}, {"b": 8}, 0.5, {"a": 4, "b": 4}),  # half of what there is, not of what was asked for
    ],
)
def test_translations_fill_what_originals_cannot(
    total: int, originals: dict[str, int], translated: dict[str, int], most: float, expected: dict[str, int]
) -> None:
    assert shares_with_translated(total, originals, translated, most) == expected


def lines(rows: int, language: str = "en", gold: bytes = b"1", translated: bool = False, start: int = 0) -> list[Line]:
    return [
        Line(place, shuffle_key(3, f"{language}{place}"), ("ec", "", gold), language, translated)
        for place in range(start, start + rows)
    ]


def test_every_label_gets_its_share_and_the_seed_chooses_the_rows() -> None:
    pool = lines(60, gold=b"1") + lines(30, gold=b"2", start=60) + lines(10, gold=b"3", start=90)
    chosen = Mix({"XED": 50}, seed=3).draw("XED", pool)
    assert Counter(line.stratum[2] for line in chosen) == {b"1": 30, b"2": 15, b"3": 5}
    places = [line.place for line in chosen]
    assert places == sorted(set(places)) and places != list(range(0, 100, 2))
    assert [line.place for line in Mix({"XED": 50}, seed=3).draw("XED", reversed(pool))] == places


def test_a_mix_counts_its_rows_and_translations_by_language() -> None:
    mix = Mix({"XED": 12, "MMS": 5, "EWECT_usual": 0}, seed=3, most_translated=0.25)
    pool = [*lines(20), *lines(2, "es", start=20), *lines(20, "es", translated=True, start=22)]
    chosen = mix.draw("XED", pool)
    assert mix.rows == {"XED": {"en": 7, "es": 5}} and mix.translated == {"XED": {"es": 3}}
    assert Counter((line.language, line.translated) for line in chosen) == {
        ("en", False): 7, ("es", False): 2, ("es", True): 3,
    }  # fmt: skip
    assert mix.draw("EWECT_usual", lines(9)) == [] == mix.draw("FER2013", lines(9))  # not asked for
    assert len(mix.draw("MMS", lines(3, "de"))) == 3 and list(mix.rows) == ["XED", "MMS"]  # all there is
    assert "MMS" not in mix.translated


def test_lengths_are_counted_up_to_powers_of_two() -> None:
    assert histogram(pl.Series([0, 0, 1, 16, 17, 64, 65])) == {"0": 2, "16": 2, "32": 1, "64": 1, "128": 1}


@pytest.fixture
def partly_translated(data: Path) -> Path:
    """A build in which the first ten training rows of XED are Arabic, half of them translations from English."""
    path, twin = data / "mmaffin/XED_train.jsonl", data / "mmaffin/parquet/XED_train.parquet"
    rows = list(read_jsonl(path))
    for number, row in enumerate(rows[:10]):
        english = f"XED/en/train/9{number:05}"
        row |= {"id": english.replace("/en/", "/ar/"), "language": "ar"}
        if number % 2:
            row |= {"id": new_id(english, "en", "ar"), "translated_from": {"language": "en", "id": english}}
    write_jsonl(path, rows)
    pl.read_parquet(twin).with_columns(id=pl.Series([row["id"] for row in rows])).write_parquet(twin)
    return data


def test_a_mix_of_some_languages_and_without_some_rows(partly_translated: Path) -> None:
    data = partly_translated
    language = {row["id"]: row["language"] for row in read_jsonl(data / "mmaffin/XED_train.jsonl")}
    arabic = {one for one in language if language[one] == "ar"}
    made = {one for one in arabic if "<-" in one}
    assert arabic > made and len(made) > 1

    def mixed(languages: list[str] | None, barred: tuple[str, ...] = (), seed: int = 5) -> list[str]:
        told = make_mix(data, {"XED": 1000, "FER2013": 10}, seed, languages, most_translated=1.0, barred=barred)
        ids = [row["id"] for row in read_jsonl(data / "mmaffin/mmaffin_train.jsonl")]
        twin = pl.read_parquet(data / "mmaffin/parquet/mmaffin_train.parquet")
        assert twin["id"].to_list() == ids and told["rows"] == len(ids) == sum(told["vision_tokens"].values())
        assert told.get("only_languages") == languages and list(told["subsets"]) == ["XED"]
        assert ids == sorted(ids, key=lambda one: shuffle_key(seed, one))
        return ids

    assert set(mixed(None)) == language.keys()
    assert set(mixed(["ar"])) == arabic and set(mixed(["ar<-en"])) == made
    assert set(mixed(["ar", "de"])) == arabic | {one for one in language if language[one] == "de"}
    original, translation = min(arabic - made), min(made)
    barred = (original, translation.replace("ar<-en", "en"))
    assert set(mixed(["ar"], barred)) == arabic - {original, translation}
    assert mixed(["ar"]) != mixed(["ar"], seed=6)
