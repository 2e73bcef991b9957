"""The names in the released dataset_info.json, with its oddities (published repository, data/dataset_info.json).

Every subset has SUBSET_train, SUBSET_val and SUBSET_test in SUBSET_SPLIT.json, with these exceptions: SemEval's
validation sets are registered as `_dev`, but their files and the published scripts have `_val`; CH-SIMS's intensity is
CHSIMS_EI in the registry and the files, but CHSIMS_SI in the scripts; `weibo` is registered but never used.
"""

import re
from typing import NamedTuple

from mmafflm.benchmark.benchmark import benchmark

SPLIT_NAMES = {"train": "train", "val": "val", "dev": "val", "test": "test"}
SUBSET_NAMES = {"CHSIMS_EI": "CHSIMS_SI"}  # released name -> ours
RELEASED = {ours: theirs for theirs, ours in SUBSET_NAMES.items()}
_NAME = re.compile(r"(.+)_(train|val|dev|test)")


class SubsetSplit(NamedTuple):
    """One split of one subset, under our names."""

    subset: str
    split: str


def split_of(name: str) -> SubsetSplit | None:
    """The split with a released name such as "CHSIMS_EI_val"; None for "weibo_train" and any other name."""
    match = _NAME.fullmatch(name)
    subset = SUBSET_NAMES.get(match[1], match[1]) if match else ""
    return SubsetSplit(subset, SPLIT_NAMES[match[2]]) if match and subset in benchmark() else None


def file_stem(split: SubsetSplit) -> str:
    """The released file's name without .json."""
    return f"{RELEASED.get(split.subset, split.subset)}_{split.split}"


def registered(split: SubsetSplit) -> list[str]:
    """Every name by which the registry or the published scripts refer to a split."""
    names = [file_stem(split)]
    if split.subset in RELEASED:
        names.append(f"{split.subset}_{split.split}")
    if split.split == "val" and split.subset.startswith("semeval2018"):
        names.insert(0, f"{split.subset}_dev")
    return names
