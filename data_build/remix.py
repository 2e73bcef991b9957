"""Another training mix over the same build: only the mix, its twin, the card and the manifest change."""

from typing import Any

from data_build.card import write_card
from data_build.config import MixFile
from data_build.manifest import write_seal
from data_build.media_index import read_index
from data_build.mix import make_mix
from mmafflm.dataset import MANIFEST, Dataset, split_file


def remix(dataset: Dataset, mix: MixFile) -> int:
    """Write the mix anew; returns its rows. Raises Fault when the build has changed on disk since."""
    sources = [split_file(name, "train") for name in mix.mix if name in dataset.subsets("train")]
    dataset.require_unchanged(sources)
    data = dataset.path
    (data / MANIFEST).unlink()  # unfinished until the new manifest stands
    manifest: dict[str, Any] = dict(dataset.manifest)
    manifest["mix"] = make_mix(data, mix.mix, mix.seed, read_index(data))
    write_card(data, manifest)
    write_seal(data, manifest)
    return int(manifest["mix"]["rows"])
