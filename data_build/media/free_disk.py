"""Estimate the disk space that a corpus's pictures and clips will take, from the first ones that are opened.

The space that a picture takes depends on its size, its crop, its noise and the disk's blocks: a face of FER2013 takes
one block of 4 kB, a photograph of EMOTIC a hundred. So we measure: a sample spread evenly over all files is opened
first. Only the members of tar archives are opened in the archive's order.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from mmafflm.errors import Fault
from mmafflm.terminal.command import say

SAMPLE = 100  # pictures and clips that are opened before the space for the rest is estimated
T = TypeVar("T")


def spread(items: Mapping[str, T], first: int = SAMPLE) -> dict[str, T]:
    """Reorder the items so that the first `first` are spread evenly over all and represent the whole corpus."""
    names = list(items)
    ahead = [names[at * len(names) // first] for at in range(first)] if len(names) > first else names
    return {name: items[name] for name in dict.fromkeys([*ahead, *names])}


class Room:
    """Estimate the disk space that the `count` pictures and clips of a corpus will take, while the first are stored."""

    def __init__(self, corpus: str, count: int, data: Path) -> None:
        self.corpus, self.count, self.data = corpus, count, data
        self._seen, self._bytes, self._typed = 0, 0, 0
        self._block = os.statvfs(data).f_frsize
        self._stored: set[str] = set()
        say(f"{corpus}: {count} pictures and clips to open")

    def note(self, files: Iterable[tuple[str, int, str]]) -> None:
        """Count the space of one picture or clip. files: path, bytes and hash of each stored file; empty if it failed.

        The call for picture or clip number SAMPLE raises Fault if the rest will not fit on the disk.
        """
        if self._seen >= SAMPLE:
            return
        self._seen += 1
        names = {name: size for name, size, _ in files if name not in self._stored}
        self._stored |= names.keys()
        self._bytes += sum(-(-size // self._block) * self._block for size in names.values())
        self._typed += sum(size for name, size in names.items() if name.endswith(".png"))  # mmaffin/typed stores a copy
        if len(names) > 1:  # the folder of a clip's frames takes a block
            self._bytes += self._block
        if self._seen == SAMPLE < self.count:
            self._require((self._bytes + self._typed) / SAMPLE)

    def _require(self, each: float) -> None:
        """Raises Fault unless the remaining pictures and clips fit, at `each` bytes per picture or clip."""
        whole, free = each * self.count, shutil.disk_usage(self.data).free
        left = whole - self._bytes
        say(f"{self.corpus}: all will take about {whole / 1e9:.2f} GB, estimated from the first {SAMPLE}")
        if left > free:
            raise Fault(
                f"{self.corpus}: {self.count} pictures and clips take about {whole / 1e9:.2f} GB, "
                f"{left / 1e9:.2f} GB of it still to be stored, and {self.data} has {free / 1e9:.2f} GB free. "
                "Free some space, or build fewer --subsets."
            )
