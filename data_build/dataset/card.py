"""Write DATA/README.md, the data set card, from the manifest and the corpora's cards, and the card's pictures.

The card opens with the metadata that the Hugging Face Hub reads, so that a build can be published as it is. Each subset
is a configuration whose splits are the files of mmaffin/typed/; `datasets.load_dataset(DATA, "XED")` works on the
folder too.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml

from data_build.corpora.find import corpora
from data_build.dataset.card_figures import write_figures
from data_build.dataset.licences import fault
from data_build.dataset.typed import features, mix_features, typed_files
from data_build.media.media_index import read_index
from data_build.twins import TWINS
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MIX
from mmafflm.hub import hub_languages
from mmafflm.records import write_text

BAR = 24  # characters of the longest bar
_SPLITS = {"train": "train", "val": "validation", "test": "test"}  # our name: the hub's name
_TASKS = {
    "text": ("text-classification", "text-generation"),
    "image": ("image-classification", "image-text-to-text"),
    "video": ("video-classification", "video-text-to-text"),
}
_SIZES = [(10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M")]


def write_card(data: Path, manifest: dict[str, Any]) -> None:
    """Write the card and its pictures. Where the paper leaves something open, the card states our choice."""
    text = files("data_build.dataset").joinpath("card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    head = yaml.safe_dump(metadata(data, manifest), sort_keys=False, allow_unicode=True, width=1000)
    about = {"benchmark": benchmark(), "readers": corpora(), "labels": labels(manifest), "fault": fault}
    sizes = [entry.bytes for entry in read_index(data).values()]
    about |= {"figures": write_figures(data, manifest), "stored": (len(sizes), sum(sizes))}
    write_text(data / "README.md", environment.from_string(text).render(**manifest, **about, head=head))


def metadata(data: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The card's metadata under the hub's names. The licence is `other`, because each corpus has its own."""
    subsets: dict[str, Any] = manifest["subsets"]
    languages = hub_languages({code for of in subsets.values() for split in of.values() for code in split["languages"]})
    modalities = dict.fromkeys(benchmark()[name].modality for name in subsets)
    rows = sum(split["rows"] for of in subsets.values() for split in of.values())
    return {
        "pretty_name": "MMAFFIn and MMAFFBen",
        "license": "other",
        "license_name": "by-corpus",
        "license_details": "; ".join(f"{name}: {of['licence']}" for name, of in manifest["corpora"].items()),
        **({"language": languages} if languages else {}),
        "task_categories": [task for modality in modalities for task in _TASKS[modality]],
        "tags": ["emotion-recognition", "sentiment-analysis", "affective-computing", "mmaffin", "mmaffben"],
        "size_categories": [next((name for most, name in _SIZES if rows < most), "1M<n<10M")],
        "configs": (configs := _configs(manifest)),
        "dataset_info": [
            {"config_name": name, "features": mix_features(data) if name == "mmaffin" else features(data, name)}
            for name in (one["config_name"] for one in configs)
        ],
    }


def _configs(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The hub's configurations: the training mix, and each subset with its splits."""
    mix = [("mmaffin", {"train": f"mmaffin/{TWINS}/{MIX}.parquet"})] if manifest["mix"]["rows"] else []
    named = mix + [
        (name, {split: typed_files(name, split) for split in of if of[split]["rows"]})
        for name, of in manifest["subsets"].items()
    ]
    return [
        {
            "config_name": name,
            "data_files": [{"split": _SPLITS[split], "path": path} for split, path in of.items()],
            **({"default": True} if name == "mmaffin" else {}),
        }
        for name, of in named
        if of
    ]


def labels(manifest: dict[str, Any]) -> list[str]:
    """A text line with a bar for each label of each subset and split; the longest bar of a split is BAR wide."""
    lines = []
    for name, of in manifest["subsets"].items():
        for split, about in of.items():
            most = max(about["labels"].values(), default=0)
            for label, rows in sorted(about["labels"].items(), key=lambda item: (-item[1], item[0])):
                bar = "█" * max(1, round(BAR * rows / most))
                lines.append(f"{name:<19} {split:<5} {label:<24} {rows:>7} {rows / about['rows']:>6.1%} {bar}")
    return lines
