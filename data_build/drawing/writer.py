"""Write made-up corpora: sentences, tables, and archives with the same bytes in every run."""

import csv
import gzip
import io
import tarfile
import zipfile
from itertools import cycle, islice
from random import Random
from typing import TypeVar

from data_build.drawing.words import UNSPACED, WORDS

EPOCH = (1980, 1, 1, 0, 0, 0)  # the time of every member of a zip, so that its bytes do not depend on the clock

Files = dict[str, bytes]
Label = TypeVar("Label")


class Writer:
    """Makes the sentences of one corpus and language; all are different."""

    def __init__(self, seed: int, corpus: str, language: str) -> None:
        self.random = Random(f"{seed} {corpus} {language}")
        self.words = WORDS[language].split()
        self.between = "" if language in UNSPACED else " "
        self.told: set[str] = set()

    def tell(self, signal: str) -> str:
        """A new sentence that ends with `signal`, the words that express its label (may be empty)."""
        while True:
            words = self.random.sample(self.words, k=self.random.randint(4, 7))
            sentence = f"{self.between.join(words)} {signal}".strip()
            if sentence not in self.told:
                self.told.add(sentence)
                return sentence

    def take(self, labels: list[Label], rows: int) -> list[Label]:
        """`rows` labels, each about equally often, in random order."""
        return take(self.random, labels, rows)


def take(random: Random, labels: list[Label], rows: int) -> list[Label]:
    """`rows` labels, each about equally often, in random order."""
    taken = list(islice(cycle(labels), rows))
    random.shuffle(taken)
    return taken


def clock(seconds: float, hour: str, mark: str) -> str:
    """A time as in the corpora's tables; the seconds count from the full hour.

    clock(754.567, "00", ",") is 00:12:34,567.
    """
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{hour}:{whole // 60:02}:{whole % 60:02}{mark}{thousandths:03}"


def csv_bytes(rows: list[list[str]], delimiter: str = ",", end: str = "\n") -> bytes:
    """A table with csv's default quoting."""
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return out.getvalue().encode()


def tsv_bytes(rows: list[list[str]]) -> bytes:
    """A table without quoting."""
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def zipped(members: Files) -> bytes:
    """A zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tarred(members: Files) -> bytes:
    """A tar.gz of these members. TarInfo sets no time or owner; mtime=0 stops gzip from writing the time."""
    out = io.BytesIO()
    packed = gzip.GzipFile("", "wb", compresslevel=6, fileobj=out, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
