from collections import Counter

import pytest

from data_build.corpora.find import corpora
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import UsageFault
from tests.data_build.raw_rows import hashes, put, read_all

TEXT = {name: subset for name, subset in benchmark().items() if subset.modality == "text"}
CORPORA = sorted({subset.corpus for subset in TEXT.values()})  # others: drawing/test_sample_media.py


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    root = tmp_path_factory.mktemp("samples") / "raw"
    write_samples(root, only=CORPORA)
    return root


@pytest.fixture(scope="module")
def read(raw):
    return {name: read_all(corpora()[name], raw / name) for name in CORPORA}


def test_every_subset_task_and_language_is_there(read):
    rows = [row for corpus in read.values() for row in corpus.examples]
    assert {(row["subset"], row["task"], row["language"]) for row in rows} == {
        (name, task.key, language)
        for name, subset in TEXT.items()
        for task in subset.tasks
        for language in subset.languages
    }
    found, sizes = Counter(row["subset"].split("_")[0] for row in rows), Counter(semeval2018=2292, EWECT=302)
    sizes |= Counter(onlineshopping=301, XED=1000, MMS=810)
    assert {name: found[name] for name in sizes} == sizes
    assert {row["split"] for row in rows} == {None, "train", "val", "test"}


def test_every_gold_fits_its_grammar_and_every_label_occurs(read):
    seen = Counter()
    for corpus in read.values():
        for row in corpus.examples:
            TEXT[row["subset"]].task(row["task"]).answer(row["gold"], row["emotion"])
            seen.update((row["subset"], label) for label in row["gold"]) if isinstance(row["gold"], list) else None
    for name, subset in TEXT.items():
        for task in subset.tasks:
            for label in getattr(task.grammar, "names", ()):
                assert seen[name, label] >= 3 or (name, label) == ("XED", "neutral")


def test_the_traps_are_there(read):
    traps = {
        "semeval2018": {"mystery row": 5 * 17},
        "ewect": {"empty text": 2},
        "onlineshopping": {"empty text": 1},
        "xed": {"text holds a line break (broken quoting)": 24},
        "mms": {"empty text": 1, "label is not in the label set": 1},
    }
    assert {name: Counter(read[name].reasons) for name in traps} == traps
    assert not any(text.startswith("\ufeff") for text in read["onlineshopping"].texts)


def test_texts_are_distinct_but_for_the_copies_that_disagree(read):
    surplus = {name: len(corpus.texts) - len(set(corpus.texts)) for name, corpus in read.items()}
    # EI-reg and EI-oc share their tweets, and so do V-reg and V-oc
    assert surplus.pop("semeval2018") == 3 * (4 * 58 + 100) and (
        surplus.pop("ewect"),
        surplus.pop("onlineshopping"),
    ) == (2, 1)
    assert not any(surplus.values())


def test_the_same_command_gives_the_same_bytes_and_another_scale_more_rows(raw, tmp_path):
    write_samples(tmp_path, only=CORPORA)
    assert hashes(tmp_path) == hashes(raw)
    write_samples(tmp_path, only=CORPORA)
    assert hashes(tmp_path) == hashes(raw)
    write_samples(tmp_path, scale=2, only=CORPORA)
    assert len(read_all(corpora()["mms"], tmp_path / "mms").texts) == 2 * 810


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    put(tmp_path, "thesis.doc", "x")
    with pytest.raises(UsageFault, match=r"holds thesis\.doc, which is not a sample\. Choose an empty folder"):
        write_samples(tmp_path, only=CORPORA)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
