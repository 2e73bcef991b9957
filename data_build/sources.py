"""Find which corpora are in RAW, and the parts that the chosen subsets need."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_build.config import Config
from data_build.corpora.find import corpora
from data_build.dataset.manifest import Source
from data_build.reading.corpus import Corpus, RawPart, unrecognised
from data_build.reading.raw import list_raw
from mmafflm.benchmark.benchmark import Subset
from mmafflm.errors import UsageFault
from mmafflm.terminal.command import say


def find_sources(raw: Path, config: Config, subsets: list[Subset], cache: Path | None = None) -> list[Source]:
    """The corpora under RAW that the chosen subsets need. Prints which are left out, and why. cache: see list_raw.

    Raises Fault for a corpus that cannot be read, UsageFault when RAW does not exist or has no such corpus.
    """
    if not raw.is_dir():
        make = shlex.join(["mmaffin", "samples", "--out", str(raw)])
        raise UsageFault(f"{raw}: no such folder. Put the raw corpora there, or make some: {make}")
    sources = []
    for name in dict.fromkeys(subset.corpus for subset in subsets):
        wanted = [subset for subset in subsets if subset.corpus == name]
        corpus, names = corpora().get(name), [subset.name for subset in wanted]
        if corpus is None:
            say(f"{name}: no reader yet; left out ({', '.join(names)})")
            continue
        options = {**corpus.options, **config.corpora.get(name, {})}
        parts, media = find_parts(corpus, raw, options, names, cache)
        if parts:
            sources.append(Source(corpus, options, wanted, parts, media))
        else:
            say(f"{_absent(raw, corpus)}; left out ({', '.join(names)}). {corpus.get}")
    if not sources:
        raise UsageFault(f"{raw}: no corpus found. Expected folders such as {raw}/xed, {raw}/onlineshopping.")
    return sources


def find_parts(
    corpus: Corpus, raw: Path, options: Mapping[str, Any], subsets: list[str], cache: Path | None = None
) -> tuple[list[RawPart], dict[str, Any]]:
    """The parts of those subsets, and the raw files of the pictures and clips that they refer to, by name.

    Both are empty when the corpus has no files. Raises Fault when its folder has files, but none of this corpus.
    """
    folder = corpus_folder(raw, corpus.name)
    files = list_raw(folder, cache) if folder.is_dir() else []
    found = corpus.find(files, options)
    if files and not found:
        raise unrecognised(corpus.name, files, "other files of this corpus")
    parts = [part for part in found if part.subset in (None, *subsets)]
    led_to = {media for part in parts for media in part.media.values()}
    return parts, {file.name: file for file in files if file.name in led_to}


def corpus_folder(raw: Path, name: str) -> Path:
    """RAW/NAME if it exists, or a folder whose name differs only in case, blanks and signs (. - _), such as CH-SIMS."""
    others = sorted(path for path in raw.iterdir() if path.is_dir() and _plain(path.name) == name)
    return raw / name if (raw / name).is_dir() or not others else others[0]


def _absent(raw: Path, corpus: Corpus) -> str:
    """A message why no part of a corpus was found in RAW."""
    folder = corpus_folder(raw, corpus.name)
    if folder.is_dir():
        parts = corpus.find(list_raw(folder), corpus.options)
        return f"{corpus.name}: {folder} has {'no file of these subsets' if parts else 'no files'}"
    if near := sorted(path.name for path in raw.iterdir() if corpus.name in _plain(path.name)):
        return f"{corpus.name}: {raw / near[0]} is not read from there; move it into {folder}"
    return f"{corpus.name}: not in {folder}"


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", name).lower()
