from collections import Counter
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from eval.run.selection import Selection, split_of
from mmafflm.sampling import sample

FER2013 = {"angry": 958, "disgust": 111, "fear": 1024, "happy": 1774, "sad": 1247, "surprise": 831, "neutral": 1233}


def rows(languages, each, task="t", emotion=None):
    return [
        SimpleNamespace(id=f"{task}/{language}/{emotion}/{n}", task=task, emotion=emotion, language=language)
        for language in languages
        for n in range(each)
    ]


def test_a_limit_takes_every_language_and_keeps_the_order():
    records = rows([f"l{n:02}" for n in range(25)], 500)
    chosen = sample(records, 500)
    assert Counter(record.language for record in chosen) == {f"l{n:02}": 20 for n in range(25)}
    places = [records.index(record) for record in chosen]
    assert places == sorted(places)


def test_a_limit_takes_every_emotion_and_every_task_alike():
    intensity = [row for emotion in ("anger", "fear", "joy", "sadness") for row in rows(["en"], 50, "ei", emotion)]
    chosen = sample(intensity + rows(["en"], 400, "ec"), 50)
    assert Counter((record.task, record.emotion) for record in chosen) == {
        ("ec", None): 10, **{("ei", emotion): 10 for emotion in ("anger", "fear", "joy", "sadness")}
    }  # fmt: skip


def test_a_limit_on_a_sorted_corpus_asks_every_class_in_about_its_share():
    """FER2013's test file is sorted by class; its first 1,000 rows are 958 angry faces and 42 disgusted ones."""
    classes = [name for name, count in FER2013.items() for _ in range(count)]
    records = [
        SimpleNamespace(
            id=f"FER2013/test/{n:06}", task="emotion_classification", emotion=None, language="zxx", gold=name
        )
        for n, name in enumerate(classes)
    ]
    found = Counter(record.gold for record in sample(records, 1000))
    for name, count in FER2013.items():
        share = count / len(classes)
        assert abs(found[name] / 1000 - share) < 4 * (share * (1 - share) / 1000) ** 0.5, name


def test_languages_are_chosen_before_the_limit_and_kept_in_run_json():
    selection = Selection(limit=3, languages=("b", "c"))
    chosen = selection.of(rows("abc", 9))
    assert sorted(Counter(record.language for record in chosen).items()) in ([("b", 1), ("c", 2)], [("b", 2), ("c", 1)])
    assert Selection.of_run(selection.to_json()) == selection
    assert str(selection) == ", a sample of at most 3 rows a subset, b, c only" and str(Selection()) == ""


def test_small_groups_give_way_and_no_limit_takes_all():
    records = rows("a", 3) + rows("b", 100)
    assert Counter(record.language for record in sample(records, 50)) == {"a": 3, "b": 47}
    assert sample(records, None) == records == sample(records, 1000) == sample(records, len(records))
    assert sample(records, 0) == []


groups = st.tuples(
    st.sampled_from("abc"), st.integers(1, 9), st.sampled_from(["t", "u"]), st.sampled_from([None, "joy"])
)


@given(st.lists(groups, max_size=8, unique_by=lambda one: (one[0], one[2], one[3])), st.integers(0, 80), st.randoms())
def test_limits_are_nested_stratified_and_independent_of_the_order(drawn, limit, random):
    records = [record for language, each, task, emotion in drawn for record in rows(language, each, task, emotion)]
    smaller, larger = ({record.id for record in sample(records, most)} for most in (limit, limit + 1))
    assert smaller <= larger and len(smaller) == min(limit, len(records))
    available = Counter((record.task, record.emotion, record.language) for record in records)
    taken = Counter((record.task, record.emotion, record.language) for record in sample(records, limit))
    most = max(taken.values(), default=0)
    assert all(taken[group] >= min(most - 1, rows) for group, rows in available.items())
    shuffled = random.sample(records, len(records))
    assert {record.id for record in sample(shuffled, limit)} == smaller
    seeded = sample(records, limit, seed=1)
    assert [record.id for record in seeded] == [record.id for record in sample(records, limit, seed=1)]


def test_a_run_without_a_split_answers_the_test():
    assert split_of({}) == "test" and split_of({"split": "val"}) == "val"
