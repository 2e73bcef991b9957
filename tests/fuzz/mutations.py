"""Seeded mutations of a small corpus: of one of its files, or of an archive with all of them."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from random import Random
from typing import NamedTuple

from data_build.drawing.writer import Files
from data_build.reading.raw import list_raw
from data_build.samples import write_samples

TABLES = (".txt", ".tsv", ".csv", ".mat", ".json")
MEDIA_KEPT, TABLES_KEPT, LINES_KEPT = 6, 12, 40
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".xlsx", ".csv", ".txt", ".mat", ".parquet", ".jpg", ".mp4", ".gif", "")
# Things that have broken some parser: quotes, ends of lines and files, half characters, long numbers, deep nesting.
TOKENS = (
    b"\0", b'"', b"'", b"\n", b"\r", b"\r\n", b"\t", b",", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1a",
    b"\x80", b'"\\ud83d"', b"[" * 3000, b'{"a":' * 3000, b"9" * 5000, b"-1", b"1e999", b"nan", b"../../", b"!",
    b"<image>", b"\xff" * 8, b"PK\x01\x02", b"PK\x05\x06", b"\x1f\x8b", b"\xe2\x80\xa8",
)  # fmt: skip


class Case(NamedTuple):
    """A mutated corpus. `same_rows`: the mutation touched a picture or clip only, so it has as many rows as before."""

    corpus: str
    what: str
    files: Files
    same_rows: bool


def small_corpus(name: str, folder: Path) -> Files:
    """A few unpacked files of the corpus's sample; the sample is made below `folder`, once."""
    if not (folder / name).is_dir():
        write_samples(folder / ".partial" / name, only={name})
        (folder / ".partial" / name / name).rename(folder / name)
    raw = list_raw(folder / name)
    tables = [file for file in raw if file.basename.lower().endswith(TABLES)]
    step = max(1, len(tables) // TABLES_KEPT)
    media = [file for file in raw if file not in tables]
    streams = [file for file in media if not file.streamed] or media
    kept = [*tables[::step], *streams[:: max(1, len(streams) // MEDIA_KEPT)][:MEDIA_KEPT]]
    return {file.inside: _short(file.basename, file.read()) for file in kept}


def _short(name: str, data: bytes) -> bytes:
    is_lines = name.lower().endswith(TABLES) and data.count(b"\n") > LINES_KEPT
    return b"\n".join(data.split(b"\n")[:LINES_KEPT]) + b"\n" if is_lines else data


def mutated(corpus: str, files: Files, random: Random) -> Case:
    """The corpus with one mutation, or a few of one kind: in a plain file, in a packed file, or in the archive."""
    name = random.choice(sorted(files))
    form = random.choice(("file", "file", "file", "packed file", "archive", "archive"))
    if form == "archive":
        packed, how = _packed(files, random)
        data, what = mutate(next(iter(packed.values())), random, packed)
        return Case(corpus, f"{how}: {what}", {next(iter(packed)): data}, False)
    if form == "file" and random.random() < 0.1:
        renamed = str(PurePosixPath(name).with_suffix("")) + random.choice(SUFFIXES)
        changed = {(renamed if one == name else one): data for one, data in files.items()}
        return Case(corpus, f"{name} named {renamed}", changed, False)
    data, what = mutate(files[name], random, files)
    changed = {**files, name: data}
    if form == "packed file":
        changed, how = _packed(changed, random)
        return Case(corpus, f"{name} in {how}: {what}", changed, False)
    return Case(corpus, f"{name}: {what}", changed, not name.lower().endswith(TABLES))


def mutate(data: bytes, random: Random, others: Files) -> tuple[bytes, str]:
    """The bytes with some damage, and the name of the damage."""
    kind = random.choice(sorted(KINDS))
    place = random.choice((random.randint(0, len(data)), random.randint(0, min(64, len(data))), max(0, len(data) - 40)))
    other = others[random.choice(sorted(others))]
    return KINDS[kind](data, place, random, other), f"{kind} at {place}"


def _flip(data: bytes, place: int, random: Random, other: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 4, 30))):
        where = min(max(0, place + random.randint(-20, 20)), len(changed) - 1)
        if changed:
            changed[where] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut_out(data: bytes, place: int, random: Random, other: bytes) -> bytes:
    return data[:place] + data[place + random.choice((1, 2, 4, 100, 5000)) :]


def _overwrite(data: bytes, place: int, random: Random, other: bytes) -> bytes:
    size = random.choice((1, 2, 4, 8, 600))
    return data[:place] + random.choice((b"\0", b"\xff", b"\x80"))[:1] * size + data[place + size :]


def _splice(data: bytes, place: int, random: Random, other: bytes) -> bytes:
    start = random.randint(0, len(other))
    return data[:place] + other[start : start + random.choice((4, 200, 10_000))] + data[place:]


KINDS: dict[str, Callable[[bytes, int, Random, bytes], bytes]] = {
    "flip bits": _flip,
    "truncate": lambda data, place, random, other: data[:place],
    "cut out": _cut_out,
    "double": lambda data, place, random, other: data[:place] + data[max(0, place - random.choice((1, 64, 4096))) :],
    "insert": lambda data, place, random, other: data[:place] + random.choice(TOKENS) + data[place:],
    "random bytes": lambda data, place, random, other: data[:place] + random.randbytes(40) + data[place:],
    "overwrite": _overwrite,
    "splice": _splice,
    "another file": lambda data, place, random, other: other,
    "empty": lambda data, place, random, other: b"",
}


def _packed(files: Files, random: Random) -> tuple[Files, str]:
    how = random.choice(("stored", "deflated", "bz2", "lzma", "tar", "tar.gz", "zip in zip", "tar.gz in zip"))
    if how in ("tar", "tar.gz"):
        return {f"all.{how}": _tar(files, how)}, how
    if how == "zip in zip":
        files = {"inner.zip": _zip(files, zipfile.ZIP_DEFLATED)}
    if how == "tar.gz in zip":
        files = {"inner.tar.gz": _tar(files, "tar.gz")}
    methods = {"deflated": zipfile.ZIP_DEFLATED, "bz2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    return {"all.zip": _zip(files, methods.get(how, zipfile.ZIP_STORED))}, how


def _zip(files: Files, method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def _tar(files: Files, how: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if how == "tar.gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
