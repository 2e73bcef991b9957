"""`mmaffin samples`: small made-up corpora in the exact raw layouts, to run everything without any licensed corpus.

Each corpus makes its own sample in its file in corpora/. A sentence is a few common words of the language, followed by
interjections that carry the label. The interjections are the same in every language, so that a small model learns them
from a few hundred rows; an adverb expresses intensity. A face shows its emotion by colour and mouth, in a clip also by
its movement; a clip's transcript alone does not show it. Some rows, pictures and clips imitate the difficulties of
the real corpora: mystery rows, an empty review, junk rows, decoys, conflicting copies, truncated or missing files.
"""

from collections.abc import Container
from pathlib import Path

from data_build.corpora.find import corpora
from mmafflm.errors import UsageFault
from mmafflm.records import replacing
from mmafflm.terminal.progress_bar import progress


def write_samples(out: Path, scale: int = 1, seed: int = 0, only: Container[str] | None = None) -> None:
    """Write a folder for each corpus below `out`: `scale` times some 4,500 texts, 1,060 faces and 1,400 clips.

    only: the corpora to write (tests need a few); None: all. The same arguments give the same bytes.
    Raises UsageFault when `out` holds files that are not samples.
    """
    drawn = {name: corpus.samples for name, corpus in corpora().items() if only is None or name in only}
    files: dict[str, bytes] = {}
    with progress("samples: corpora", len(drawn)) as advance:
        for name, samples in drawn.items():
            files |= {f"{name}/{file}": data for file, data in samples(scale, seed).items()} if samples else {}
            advance(1)
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} if out.exists() else set()
    if foreign := sorted(there - set(files)):
        raise UsageFault(f"--out {out}: holds {foreign[0]}, which is not a sample. Choose an empty folder.")
    for name, data in files.items():
        with replacing(out / name) as file:
            file.write(data)
