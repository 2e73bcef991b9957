"""Speakers and films on both sides of a split, and what a clip's own licence permits."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_build.corpora.meld import CORPUS
from data_build.dataset.licences import FORBIDS, NONE, UNKNOWN, fault
from data_build.dataset.origins import Span, count, read_origins, shared_dialogues
from mmafflm.dataset import Dataset
from tests.data_build.raw_rows import put, read_all, real


def spoken(dialogue, speaker, start_s, end_s, episode="6/4"):
    return {"dialogue": dialogue, "speaker": speaker, "episode": episode, "start_s": start_s, "end_s": end_s}


def test_speakers_and_dialogues_on_both_sides_are_counted_with_their_rows():
    train = [
        spoken("train/0", "Joey", 10.0, 12.0),
        spoken("train/0", "Ross", 12.0, 15.0),
        spoken("train/1", "Joey", 100.0, 101.0),
        spoken("train/2", "Barry", 14.0, 16.0, "6/5"),
        spoken("train/3", "Ross", 10.0, 315.0),  # a wrong cut that would cover the whole episode
    ]
    test = [spoken("test/0", "Ross", 14.0, 16.0), spoken("test/0", "Rachel", 16.0, 17.0), spoken("test/1", "Ann", 1, 2)]
    speakers, episodes, dialogues = count(train, test, CORPUS.counted_origins)
    assert (speakers["of"], speakers["train"], speakers["test"], speakers["both"]) == ("speaker", 3, 3, 1)
    assert (speakers["train_rows"], speakers["test_rows"], speakers["examples"]) == (2, 1, ["Ross"])
    assert (episodes["of"], episodes["both"], episodes["train_rows"], episodes["test_rows"]) == ("episode", 1, 4, 3)
    assert dialogues["of"].startswith("dialogue") and (dialogues["train"], dialogues["test"]) == (4, 2)
    assert (dialogues["both"], dialogues["train_rows"], dialogues["test_rows"]) == (1, 2, 2)
    assert dialogues["examples"] == ["train/0"]


def test_a_table_that_says_little_is_counted_as_far_as_it_goes():
    assert count([{"speaker": "Joey"}], [{}], ["speaker"]) == []
    (films,) = count([{"film": "a"}, {"film": "b", "licence": "CC BY"}], [{"film": "b", "start_s": 1.0}], ["film"])
    assert (films["of"], films["both"], films["train_rows"], films["examples"]) == ("film", 1, 1, ["b"])


SPANS = st.lists(
    st.builds(
        lambda episode, start, long, dialogue: Span(episode, start, start + long, dialogue),
        st.sampled_from("ab"), st.integers(0, 40), st.integers(0, 70), st.sampled_from("wxyz"),
    ),
    max_size=12,
)  # fmt: skip


@given(SPANS, SPANS)
def test_shared_dialogues_are_those_of_every_pair(train, test):
    both = [
        (one.dialogue, other.dialogue)
        for one in train
        for other in test
        if one.episode == other.episode and one.start_s < other.end_s and other.start_s < one.end_s
        and all(0 < span.end_s - span.start_s <= 60 for span in (one, other))
    ]  # fmt: skip
    assert shared_dialogues(train, test) == ({ours for ours, _ in both}, {theirs for _, theirs in both})


def test_the_real_tables_of_meld(tmp_path):
    places = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for stem, place in places.items():
        text = (real("meld") / f"{stem}_sent_emo.csv").read_text(encoding="utf-8-sig")
        put(tmp_path, f"{stem}_sent_emo.csv", text)
        for row in csv.DictReader(io.StringIO(text)):
            put(tmp_path, f"{place}/dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4", b"")  # never opened
    read = read_all(CORPUS, tmp_path)
    sides = [
        [json.loads(row["origin"]) for row in read.examples[::2] if row["split"] == split]
        for split in ("train", "test")
    ]
    told = {one["of"].partition(",")[0]: one for one in count(*sides, CORPUS.counted_origins)}
    numbers = ("train", "test", "both", "train_rows", "test_rows")
    assert [told["speaker"][name] for name in numbers] == [260, 100, 69, 9194, 2501]
    assert [told["episode"][name] for name in numbers] == [188, 143, 142, 8259, 2609]
    assert [told["dialogue"][name] for name in numbers] == [1038, 280, 18, 149, 129]


def test_a_build_has_a_line_for_each_row_that_says_where_it_is_from(built):
    dataset, origins = Dataset.open(built), read_origins(built)
    sources = {
        (corpus, record.source)
        for corpus, name in (("samsemo", "SAMSEMO"), ("meld", "MELD_EC"), ("meld", "MELD_SP"))
        for split in dataset.manifest["subsets"][name]
        for record in dataset.records(name, split)
    }
    annotated = {("emotic", one.source) for split in ("val", "test") for one in dataset.records("EMOTIC_EC", split)}
    assert origins.keys() == sources | annotated and "origins.jsonl" in dataset.files
    assert all(list(origins[key]) == ["annotators"] for key in annotated)
    assert all(row.keys() == {"film", "link", "licence"} for (corpus, _), row in origins.items() if corpus == "samsemo")
    assert sum(dataset.manifest["corpora"]["samsemo"]["licences"].values()) == sum(
        corpus == "samsemo" for corpus, _ in origins
    )


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        ("CC BY 4.0", ""),
        ("cc-by-sa", ""),
        ("CC BY-NC-SA 3.0 Unported", ""),
        ("Creative Commons Attribution license (reuse allowed)", ""),
        ("https://creativecommons.org/licenses/by/4.0/deed.en", ""),
        ("https://creativecommons.org/publicdomain/zero/1.0/", ""),
        ("CC0 1.0", ""),
        ("Public Domain", ""),
        ("CC BY-ND 4.0", FORBIDS),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives", FORBIDS),
        ("CC BY-NC - No Derivs", FORBIDS),
        ("", NONE),
        (" - ", NONE),
        ("Standard YouTube License", UNKNOWN),
        ("YouTube licence", UNKNOWN),
        ("not CC BY", UNKNOWN),
        ("no licence", UNKNOWN),
        ("Creative Commons", UNKNOWN),
        ("CC BY 저작권", UNKNOWN),
    ],
)
def test_what_a_clips_own_licence_lets_go(licence, said):
    assert fault(licence) == said
