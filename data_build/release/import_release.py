"""`mmaffin import`: run the stages of a build on the released JSON or Parquet, and report what was recovered."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from data_build.build import construct, require_free
from data_build.config import Config
from data_build.corpora.find import corpora
from data_build.dataset.inputs import BuildPlan
from data_build.dataset.manifest import Source
from data_build.dataset.typed import TYPED
from data_build.reading.corpus import Corpus, RawPart
from data_build.reading.picture_files import is_picture
from data_build.reading.raw import RawFile, list_raw
from data_build.reading.utterances import MAX_S, is_clip
from data_build.release.import_page import write_page
from data_build.release.names import SubsetSplit, split_of
from data_build.release.read import SCHEMA, read
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import parse_json
from mmafflm.terminal.command import say

REGISTRY = "dataset_info.json"
SUFFIXES = (".json", ".jsonl", ".parquet")


def import_release(
    origins: list[str],
    data: Path,
    config: Config,
    jobs: int | None = None,
    limit: int | None = None,
    replace: bool = False,
) -> bool:
    """Make DATA from the released files in the folders or hub data sets `origins`. False when DATA already has them.

    The rows keep the release's splits, prompts and (where it has them) ids; the config's split sizes do not apply.
    Raises UsageFault when an origin is neither a folder nor a hub id, or no released file is found; Fault when a
    download fails or a file is damaged.
    """
    require_free(data)
    roots = [_folder(origin, data) for origin in origins]
    files = [file for root in roots for file in _named(root, list_raw(root, data / ".listings"), len(roots) > 1)]
    sources = find(files)
    if not sources:
        raise UsageFault(f"--from {', '.join(origins)}: no released file such as XED_train.json was found.")
    config = config.model_copy(update={"splits": {}})
    names = [Path(origin).name if Path(origin).is_dir() else origin for origin in origins]
    finish = partial(write_page, names)
    return construct(BuildPlan(data, sources, config, jobs, limit, origin=names, finish=finish, replace=replace))


def _named(root: Path, files: list[RawFile], several: bool) -> list[RawFile]:
    """If there are several folders, prefix each file's name with the name of its folder."""
    return [replace(file, name=f"{root.name}/{file.name}") for file in files] if several else files


def _folder(origin: str, data: Path) -> Path:
    """The folder `origin`, or the folder below DATA/.hub into which the hub's data set is downloaded or resumed."""
    if Path(origin).is_dir():
        return Path(origin)
    if origin.count("/") != 1 or origin.startswith((".", "/", "~")):
        raise UsageFault(f"--from {origin}: neither a folder nor a hub id such as owner/name.")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise UsageFault(f"--from {origin}: pip install huggingface_hub first, or give a folder.") from None
    folder = data / ".hub" / origin.replace("/", "--")
    try:
        snapshot_download(origin, repo_type="dataset", local_dir=folder)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise Fault(
            f"--from {origin}: {said}. Check the id and the network, or download it and give the folder."
        ) from (None)
    return folder


def find(files: list[RawFile]) -> list[Source]:
    """Group the release's files into a Source for each corpus. Files that belong to no subset are reported."""
    media = {file.name: file for file in files if is_picture(file) or is_clip(file)}
    parts: dict[str, list[RawPart]] = {}
    for split, file, entry in _split_files(files):
        corpus = benchmark()[split.subset].corpus
        about = {"subset": split.subset, "split": split.split, "entry": json.dumps(entry) if entry else ""}
        media_names = dict.fromkeys(media) if benchmark()[split.subset].modality != "text" else {}
        part = RawPart(f"{split.subset}_{split.split}", (file,), about, {name: name for name in media_names})
        parts.setdefault(corpus, []).append(part)
    return [_source(name, of, media) for name, of in parts.items()]


def _source(name: str, parts: list[RawPart], media: dict[str, RawFile]) -> Source:
    card = corpora()[name]
    options = {"max_s": MAX_S if "max_s" in card.options else None}
    corpus = Corpus(
        name=name, licence=card.licence, get="", expected={}, find=lambda files, options: [], read=read,
        options=options, columns=tuple(SCHEMA),
    )  # fmt: skip
    subsets = [benchmark()[subset] for subset in dict.fromkeys(part.about["subset"] for part in parts)]
    led_to = {file for part in parts for file in part.media}
    return Source(corpus, options, subsets, parts, {file: media[file] for file in sorted(led_to)})


def _split_files(files: list[RawFile]) -> list[tuple[SubsetSplit, RawFile, dict[str, Any] | None]]:
    """The file of each split, and its registry entry or None. The split is recognised by the entry's or file's name."""
    entries: dict[str, dict[str, Any]] = {}
    for file in files:
        if file.basename == REGISTRY:
            for name, of in _registry(file).items():
                entries.setdefault(PurePosixPath(str(of.get("file_name"))).name, {"name": name, **of})
    found: dict[SubsetSplit, tuple[RawFile, dict[str, Any] | None]] = {}
    # Parquet comes last, so that JSON of the same split is used instead, which has more fields
    for file in sorted(files, key=lambda file: file.basename.endswith(".parquet")):
        typed = f"/{TYPED}/" in f"/{file.name}"  # a second copy of a build's rows, for the library `datasets`
        if typed or not file.basename.endswith(SUFFIXES) or file.basename == REGISTRY:
            continue
        entry = entries.get(file.basename)
        split = split_of(entry["name"] if entry else file.basename.rpartition(".")[0])
        if split is None:
            say(f"{file.name}: belongs to none of the {len(benchmark())} subsets; left out")
        elif split in found:
            other = found[split][0]
            is_twin = file.basename.endswith(".parquet") and not other.basename.endswith(".parquet")
            if not is_twin and other.sha256() != file.sha256():
                named = f"{split.subset} {split.split}"
                raise Fault(f"{other.name} and {file.name}: two different files of {named}. Remove the wrong one.")
        else:
            found[split] = (file, entry)
    order = list(benchmark())
    return [
        (split, *found[split]) for split in sorted(found, key=lambda split: (order.index(split.subset), split.split))
    ]


def _registry(file: RawFile) -> dict[str, dict[str, Any]]:
    registry = parse_json(file.text(), file.name, "Put back the released file, or remove it.")
    if not isinstance(registry, dict) or not all(isinstance(entry, dict) for entry in registry.values()):
        raise Fault(f"{file.name}: not a registry of data sets. Put back the released file, or remove it.")
    return registry
