"""The data set card: how the hub and `datasets` read it, and what it says about terms."""

import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from data_build.corpora.find import corpora
from data_build.dataset.card import metadata
from data_build.dataset.card_figures import write_figures
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset


def test_the_hub_reads_the_data_set_card(built: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub belongs to the train tier")
    card = hub.DatasetCard((built / "README.md").read_text(encoding="utf-8"), ignore_metadata_errors=False)
    assert card.data.license == "other" and card.data.size_categories == ["1K<n<10K"]
    assert "semeval2018: free for research" in card.data.license_details
    assert {"no", "pt", "zh"} <= set(card.data.language) and not {"br", "zxx", "und"} & set(card.data.language)
    assert {"text-classification", "image-classification", "video-classification"} <= set(card.data.task_categories)
    configs = {one["config_name"]: one["data_files"] for one in card.data.configs}
    assert list(configs) == ["mmaffin", *Dataset.open(built).manifest["subsets"]] and set(benchmark()) < set(configs)
    assert all([*built.glob(split["path"])] for of in configs.values() for split in of)
    assert hub.DatasetCard(str(card)).data.to_dict() == card.data.to_dict()


def test_datasets_loads_every_configuration_of_the_card(built: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets belongs to the train tier")
    for name in ("mmaffin", "XED", "semeval2018_english", "MELD_EC"):
        found = datasets.load_dataset(str(built), name, cache_dir=str(tmp_path))
        if name != "mmaffin":
            rows = {split: of["rows"] for split, of in Dataset.open(built).manifest["subsets"][name].items()}
            names = {"train": "train", "val": "validation", "test": "test"}
            assert {split: of.num_rows for split, of in found.items()} == {names[s]: n for s, n in rows.items()}


def test_datasets_gives_pictures_and_gold_in_its_own_type(built: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets belongs to the train tier")
    dataset = Dataset.open(built)

    def rows(name: str, split: str = "test") -> Any:
        found = datasets.load_dataset(str(built), name, split=split, cache_dir=str(tmp_path))
        assert "Value('string')" in str(found.features)  # large lists could not be printed
        return found

    xed = rows("XED")
    assert list(xed.features)[:5] == ["id", "language", "task", "emotion", "gold"]
    named = xed.features["gold"].feature.int2str
    assert [(one["id"], named(one["gold"])) for one in xed] == [
        (one.id, one.gold) for one in dataset.records("XED", "test")
    ]
    for one, record in zip(rows("FER2013"), dataset.records("FER2013", "test"), strict=True):
        (picture,) = one["images"]
        assert picture.size == Image.open(built / record.images[0]).size and one["answer"] == record.answer
    for one, record in zip(rows("CHSIMS_SI"), dataset.records("CHSIMS_SI", "test"), strict=True):
        assert one["gold"] == record.gold and [len(clip) for clip in one["videos"]] == [len(record.videos[0])]
        assert isinstance(one["videos"][0][0], Image.Image)
    assert [one["gold"] for one in rows("EMOTIC_SI")] == [one.gold for one in dataset.records("EMOTIC_SI", "test")]
    tweets = rows("semeval2018_english")
    for one, record in zip(tweets, dataset.records("semeval2018_english", "test"), strict=True):
        labels = tweets.features["gold"]["labels"].feature.int2str(one["gold"]["labels"])
        assert record.gold == (one["gold"]["number"] if one["gold"]["number"] is not None else labels)
        assert one["emotion"] == record.emotion
    assert str(rows("mmaffin", "train").features).count("List(") == 4


def test_the_card_says_what_may_be_passed_on(built: Path) -> None:
    text = (built / "README.md").read_text(encoding="utf-8")
    assert "| xed | CC BY 4.0 | yes |" in text and "| **no** |" in text
    free = {name for name, corpus in corpora().items() if corpus.redistribute}
    assert text.count("| **no** |") == len(corpora()) - len(free) and "semeval2018" not in free
    assert all(corpus.terms and corpus.cite for corpus in corpora().values())
    for heading in ("Sources and terms", "Languages", "Labels", "Prompts and answers", "Leakage", "Splits",
                    "Known limits", "How to cite"):  # fmt: skip
        assert f"\n## {heading}\n" in text
    assert benchmark()["XED"].task("ec").prompt in text and "█" in text and "Öhman" in text


def test_the_card_shows_how_labels_and_numbers_are_spread(built: Path, tmp_path: Path) -> None:
    text = (built / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^]]+\]\((figures/\w+\.svg)\)", text)
    assert shown == [f"figures/{one}.svg" for one in ("text_labels", "text_numbers", "image_labels", "image_numbers",
                                                      "video_labels", "video_numbers")]  # fmt: skip
    dataset = Dataset.open(built)
    assert set(shown) == {name for name in dataset.files if name.startswith("figures/")}
    drawn = {name: ElementTree.fromstring((built / name).read_bytes()) for name in shown}
    texts = {name: {one.text for one in of.iter("{http://www.w3.org/2000/svg}text")} for name, of in drawn.items()}
    assert {"XED", "MMS", "anticipation"} <= texts["figures/text_labels.svg"]
    assert {"EMOTIC_SI", "sentiment intensity valence", "-1", "1"} <= texts["figures/image_numbers.svg"]
    assert {"intensity ordinal anger", "3"} <= texts["figures/text_numbers.svg"]
    shutil.copytree(built, tmp_path / "again", ignore=shutil.ignore_patterns("figures", "media"))
    write_figures(tmp_path / "again", dataset.manifest)
    assert all((tmp_path / "again" / name).read_bytes() == (built / name).read_bytes() for name in shown)
    write_figures(tmp_path / "again", {"subsets": {"XED": dataset.manifest["subsets"]["XED"]}})
    assert [path.name for path in (tmp_path / "again/figures").iterdir()] == ["text_labels.svg"]


def test_a_card_of_pictures_alone_names_no_language(built: Path) -> None:
    manifest: dict[str, Any] = dict(Dataset.open(built).manifest)
    manifest["subsets"] = {"FER2013": manifest["subsets"]["FER2013"]}
    head = metadata(built, manifest | {"mix": {**manifest["mix"], "rows": 0}})
    assert "language" not in head and [one["config_name"] for one in head["configs"]] == ["FER2013"]
