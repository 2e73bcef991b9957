"""Which row goes into which split: sizes, strata, leaks, duplicates, caps."""

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from data_build.config import SplitSizes
from data_build.rows.select import CONFLICT, DUPLICATE, LEAK, OVER_CAP, SplitChoice, select, text_key

SCHEMA = {"subset": pl.String, "task": pl.String, "emotion": pl.String, "language": pl.String, "split": pl.String,
          "gold": pl.String, "text": pl.String}  # fmt: skip


def choose(rows: list[tuple[str, ...]], limit: int | None = None, **splits: SplitSizes) -> SplitChoice:
    """rows: (subset, language, split, gold, text)."""
    full = [(subset, "ec", None, language, split, gold, text) for subset, language, split, gold, text in rows]
    frame = pl.DataFrame(full, SCHEMA, orient="row").with_columns(key=text_key(pl.col("text")))
    return select(frame, splits, seed=7, limit=limit)


def pool(n: int, language: str = "de", labels: int = 2) -> list[tuple[str, ...]]:
    return [("XED", language, None, str(i % labels), f"{language} {i}") for i in range(n)]


def test_pool_gets_published_sizes_stratified_by_label() -> None:
    rows = pool(3000, labels=3)
    chosen = choose(rows, XED=SplitSizes(test=500, val=100))
    assert Counter(chosen.to) == {"test": 500, "val": 100, "train": 2400}
    in_test = Counter(gold for (_, _, _, gold, _), to in zip(rows, chosen.to, strict=True) if to == "test")
    assert all(abs(count - 500 / 3) <= 2 for count in in_test.values())


def test_small_pool_keeps_rows_for_training() -> None:
    assert Counter(choose(pool(40), XED=SplitSizes(test=500, val=100)).to) == {"test": 10, "val": 4, "train": 26}


def test_each_language_gets_its_own_sizes() -> None:
    rows = pool(400, "de") + pool(800, "fi")
    chosen = choose(rows, XED=SplitSizes(test=50, val=10, train=100))
    per = Counter((row[1], to) for row, to in zip(rows, chosen.to, strict=True))
    assert per["de", "test"] == per["fi", "test"] == 50
    assert per["de", "train"] == per["fi", "train"] == 100
    assert Counter(chosen.reason)[OVER_CAP] == 1200 - 2 * 160


def test_leak_goes_out_of_training_never_out_of_the_test() -> None:
    rows = [
        ("EWECT_usual", "zh", "train", "a", "Same  TEXT"),
        ("EWECT_usual", "zh", "train", "a", "other"),
        ("EWECT_virus", "zh", "test", "b", "same text"),
        ("EWECT_virus", "zh", "test", "b", "same text"),
        ("EWECT_usual", "zh", "val", "b", "same text"),
    ]
    chosen = choose(rows)
    assert chosen.to.to_list() == [None, "train", "test", "test", "val"]
    assert chosen.reason.to_list() == [LEAK, None, None, None, None]


def test_conflicts_leave_training_and_doubles_leave_one() -> None:
    rows = [
        ("EWECT_usual", "zh", "train", "a", "x"),
        ("EWECT_usual", "zh", "train", "b", "X "),
        ("EWECT_usual", "zh", "train", "a", "y"),
        ("EWECT_usual", "zh", "train", "a", "y"),
        ("EWECT_usual", "zh", "test", "a", "z"),
        ("EWECT_usual", "zh", "test", "b", "z"),
    ]
    chosen = choose(rows)
    assert chosen.reason.to_list() == [CONFLICT, CONFLICT, None, DUPLICATE, None, None]


def test_same_text_in_another_language_is_another_question_but_still_a_leak() -> None:
    rows = [("XED", language, None, "a", f"{language} {i}") for language in ("hr", "sr") for i in range(40)]
    rows += [("XED", "hr", None, "a", "Da."), ("XED", "sr", None, "b", "Da.")]
    chosen = choose(rows, XED=SplitSizes(test=10, val=4))
    assert set(chosen.reason) <= {None, LEAK}  # the one, when the other is drawn into a test
    # once one of them is in a test, the other must not be trained on
    held = [("XED", "hr", "test", "a", "Da."), ("XED", "sr", "train", "b", "da."), ("XED", "sr", None, "b", "DA.")]
    chosen = choose([*rows[:80], *held, ("XED", "sr", "train", "b", "Ne.")], XED=SplitSizes(test=10, val=4))
    assert chosen.to.to_list()[80:] == ["test", None, None, "train"]
    assert chosen.reason.to_list()[80:] == [None, LEAK, LEAK, None]


def test_the_same_text_about_another_task_or_emotion_is_another_question() -> None:
    columns = ("XED", "ei", "joy", "en", "train", "a", "x")
    rows = [columns, (*columns[:2], "fear", *columns[3:5], "b", "x"), ("XED", "ec", "joy", "en", "train", "c", "x")]
    frame = pl.DataFrame(rows, SCHEMA, orient="row").with_columns(key=text_key(pl.col("text")))
    assert select(frame, {}, seed=7).to.to_list() == ["train"] * 3


def test_a_text_of_validation_leaves_training_and_three_labels_conflict_as_two_do() -> None:
    rows = [("XED", "de", "val", "a", "x"), ("XED", "de", "train", "a", "X"), ("XED", "de", "train", "a", "y")]
    rows += [("XED", "de", "train", label, "z") for label in "abc"]
    chosen = choose(rows)
    assert chosen.to.to_list() == ["val", None, "train", None, None, None]
    assert chosen.reason.to_list() == [None, LEAK, None, CONFLICT, CONFLICT, CONFLICT]


def test_a_pool_gives_at_most_a_quarter_to_its_test_and_a_tenth_to_its_validation() -> None:
    sizes = SplitSizes(test=500, val=500)
    assert Counter(choose(pool(200), XED=sizes).to) == {"test": 50, "val": 20, "train": 130}
    assert Counter(choose(pool(23), XED=sizes).to) == {"test": 5, "val": 2, "train": 16}


def test_limit_keeps_that_many_of_each_subset_and_split() -> None:
    rows = pool(400) + pool(4000, "fi")
    chosen = choose(rows, limit=20, XED=SplitSizes(test=50, val=10))
    assert Counter(chosen.to) == {"train": 20, "test": 20, "val": 20, None: 4340}
    whole = choose(rows, XED=SplitSizes(test=50, val=10))
    assert all(to in (None, other) for to, other in zip(chosen.to, whole.to, strict=True))
    assert all((to is None) == (why == OVER_CAP) for to, why in zip(*chosen, strict=True))
    languages = Counter((row[1], to) for row, to in zip(rows, chosen.to, strict=True))
    assert languages["de", "train"] == languages["fi", "train"] == 10


def test_a_smaller_limit_keeps_some_of_the_rows_of_a_larger_one_and_sorted_classes_their_shares() -> None:
    rows = [("XED", "de", None, str(i // 400), f"de {i}") for i in range(4000)]
    sizes = SplitSizes(test=1000, val=200)
    kept = {limit: choose(rows, limit=limit, XED=sizes).to.to_list() for limit in (10, 150, 600)}
    for small, large in ((10, 150), (150, 600)):
        assert all(one in (None, other) for one, other in zip(kept[small], kept[large], strict=True))
    labels = Counter(row[3] for row, to in zip(rows, kept[600], strict=True) if to == "train")
    assert len(labels) == 10 and all(40 <= count <= 80 for count in labels.values())


def test_a_corpus_with_its_own_test_gives_only_validation_rows_out_of_training() -> None:
    """FER2013 keeps its whole test, and "test: 0" draws no more rows into it."""
    rows = [("FER2013", "zxx", None, str(i % 7), f"train {i}") for i in range(1000)]
    rows += [("FER2013", "zxx", "test", str(i % 7), f"test {i}") for i in range(300)]
    rows += [("FER2013", "zxx", None, "0", "test 0"), ("FER2013", "zxx", "test", "1", "test 0")]
    chosen = choose(rows, FER2013=SplitSizes(test=0, val=70))
    assert Counter(chosen.to) == {"test": 301, "val": 70, "train": 930, None: 1}
    assert chosen.reason[1300] == LEAK  # a test picture among the training rows
    assert {to for (_, _, split, _, _), to in zip(rows, chosen.to, strict=True) if split} == {"test"}


labels = st.sampled_from(["a", "b"])
row = st.tuples(st.just("XED"), st.sampled_from(["de", "fi"]), st.sampled_from([None, "train", "test", "val"]), labels,
                st.sampled_from([f"t{i}" for i in range(12)]))  # fmt: skip


@given(st.lists(row, max_size=60), st.integers(0, 5), st.integers(0, 3), st.none() | st.integers(0, 5))
def test_every_row_has_a_place_or_a_reason_and_no_text_is_on_both_sides(rows, test, val, train) -> None:  # type: ignore[no-untyped-def]
    chosen = choose(rows, XED=SplitSizes(test=test, val=val, train=train))
    assert all((to is None) != (reason is None) for to, reason in zip(*chosen, strict=True))
    texts = {
        to: {text for (*_, text), at in zip(rows, chosen.to, strict=True) if at == to}
        for to in ("train", "test", "val")
    }
    assert not texts["train"] & (texts["test"] | texts["val"])
    own = [to for (_, _, split, _, _), to in zip(rows, chosen.to, strict=True) if split in ("test", "val")]
    assert None not in own
