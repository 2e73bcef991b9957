from collections import Counter
from types import SimpleNamespace

from eval.selection import Selection, first_of


def rows(languages, each):
    return [
        SimpleNamespace(id=f"{language}{n}", task="t", emotion=None, language=language)
        for language in languages
        for n in range(each)
    ]


def test_a_limit_takes_every_language_and_keeps_the_order():
    records = rows([f"l{n:02}" for n in range(25)], 500)
    chosen = first_of(records, 500)
    assert Counter(record.language for record in chosen) == {f"l{n:02}": 20 for n in range(25)}
    assert [record.id for record in chosen] == sorted((r.id for r in chosen), key=[r.id for r in records].index)


def test_languages_are_chosen_before_the_limit_and_kept_in_run_json():
    selection = Selection(limit=3, languages=("b", "c"))
    chosen = selection.of(rows("abc", 9))
    assert [record.id for record in chosen] == ["b0", "b1", "c0"]
    assert Selection.of_run(selection.to_json()) == selection
    assert str(selection) == ", at most 3 rows a subset, b, c only" and str(Selection()) == ""
    assert Selection.of_run({"limit": 5}) == Selection(5)  # a run of before


def test_small_groups_give_way_and_no_limit_takes_all():
    records = rows("a", 3) + rows("b", 100)
    assert Counter(record.language for record in first_of(records, 50)) == {"a": 3, "b": 47}
    assert first_of(records, None) == records == first_of(records, 1000)
    assert first_of(records, 0) == []
