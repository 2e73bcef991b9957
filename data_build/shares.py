"""`mmaffin build --shard I/N`: open one share of the pictures and clips, on one of several machines with a shared disk.

Each share reads the corpora's tables itself, into its own folder, and has its own journal. A build without --shard
finds all that the shares have opened, and opens the rest. Its files do not depend on the number of shares.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_build.build import SHARES, read_all, require_free
from data_build.config import Config
from data_build.media.extract import extract, media_workers
from data_build.rows.shards import find_shards, wanted_media
from data_build.sources import find_sources
from mmafflm.benchmark.benchmark import Subset
from mmafflm.errors import Fault
from mmafflm.files.inside import require_inside
from mmafflm.files.writing import make_folder
from mmafflm.shard import Shard
from mmafflm.terminal.command import say


def open_share(
    raw: Path, data: Path, config: Config, subsets: list[Subset], shard: Shard, jobs: int | None = None,
    limit: int | None = None, raw_video: bool = False,
) -> None:  # fmt: skip
    """Open this share of the pictures and clips that build() with the same arguments needs.

    Raises Fault for a damaged corpus, for a link that leads out of DATA, and while a build or the same share is running
    there.
    """
    require_free(data)
    require_inside(data, but=())
    own = data / SHARES / shard.folder
    make_folder(own)
    with _at_work(data, own):
        media = [subset for subset in subsets if subset.modality != "text"]
        sources = find_sources(raw, config, media, own / "listings")
        jobs = jobs or os.cpu_count() or 1
        folders = read_all(sources, own, jobs)
        with media_workers(jobs) as workers:
            for source in sources:
                name = source.corpus.name
                wanted = wanted_media(find_shards(folders[name]), config.splits, config.seed, limit)
                taken = extract(name, wanted, source.media, data, workers, config.budget, raw_video, shard=shard)
                say(f"{name}: {len(taken)} of {len(wanted)} pictures and clips are opened by now")


@contextmanager
def _at_work(data: Path, own: Path) -> Iterator[None]:
    """Hold the share's lock alone, and the build's lock together with other shares."""
    with (data / ".lock").open("a") as build, (own / ".lock").open("a") as share:
        try:
            fcntl.flock(build, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fault(f"{data}: a build, or the same share, is running here. Wait until it ends.") from None
        yield
