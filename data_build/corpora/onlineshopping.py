"""online_shopping_10_cats: Chinese reviews of ten kinds of goods, labelled positive or negative.

Home      https://github.com/SophonPlus/ChineseNlpCorpus, datasets/online_shopping_10_cats
Task      sentiment polarity; text; Chinese
Licence   none stated; merged from two corpora found on the web, authors unknown
Files     online_shopping_10_cats.csv, or the zip that holds it
Format    UTF-8, CSV with quoting, header cat,label,review; label 1 positive, 0 negative
Sizes     62,774 rows (31,728 positive), one of them an empty review; no split
Text      U+FEFF is removed at the start of a review and kept elsewhere (20 reviews have one, also the first review)
"""

from collections.abc import Iterator, Mapping
from typing import Any

from data_build.drawing.words import interjections
from data_build.drawing.writer import Files, Writer, csv_bytes, zipped
from data_build.reading.corpus import Bad, Corpus, Example, RawPart, batched, clean, unrecognised
from data_build.reading.raw import RawFile, csv_rows, one_of
from mmafflm.errors import Fault

FILE = "online_shopping_10_cats.csv"
HEADER = ["cat", "label", "review"]
LABELS = {"1": "positive", "0": "negative"}


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    copies = [file for file in files if file.basename.lower() == FILE]
    if files and not copies:
        raise unrecognised("onlineshopping", files, f"{FILE} or online_shopping_10_cats.zip")
    return [RawPart("reviews", (one_of(copies),))] if copies else []


def _rows(part: RawPart) -> Iterator[Example | Bad]:
    file = part.files[0]
    rows = csv_rows(file.name, file.text())
    header = next(rows, None)
    if header is None:
        raise Fault(f"onlineshopping: {file.name}: an empty file. Download it again.")
    if header.fields != HEADER:
        raise Fault(
            f"onlineshopping: {file.name}:1: expected the header {','.join(HEADER)}, "
            f"found {','.join(header.fields)[:80]}. Put back the file as distributed."
        )
    for line, fields in rows:
        yield _row(fields, f"{file.name}:{line}")


def _row(fields: list[str], source: str) -> Example | Bad:
    if len(fields) != 3:
        return Bad(source, "not three fields", ",".join(fields)[:200])
    label, text = LABELS.get(fields[1].strip()), clean(fields[2])
    if label is None:
        return Bad(source, "label is not 0 or 1", fields[1][:200], unknown=fields[1][:200])
    if not text:
        return Bad(source, "empty text", fields[0])
    return Example("onlineshopping", "sp", "zh", None, [label], text, source)


CATEGORIES = ("书籍", "平板", "手机", "水果", "洗发水", "热水器", "蒙牛", "衣服", "计算机", "酒店")


def _samples(scale: int, seed: int) -> Files:
    writer = Writer(seed, "onlineshopping", "zh")
    table = [["cat", "label", "review"]]
    for category in CATEGORIES:
        for label, sign in (("1", "positive"), ("0", "negative")):
            table += ([category, label, writer.tell(interjections(sign))] for _ in range(15 * scale))
    table[1][2] = "\ufeff" + table[1][2]
    table += [["热水器", "1", ""], ["酒店", "0", table[2][2]]]  # an empty review, and a copy with another label
    return {"online_shopping_10_cats.zip": zipped({FILE: csv_bytes(table, ",", "\n")})}


CORPUS = Corpus(
    name="onlineshopping",
    licence="none stated (SophonPlus/ChineseNlpCorpus)",
    get="Download online_shopping_10_cats.zip from https://github.com/SophonPlus/ChineseNlpCorpus.",
    expected={"onlineshopping all": 62_773},
    find=_find,
    read=lambda part, options: batched(_rows(part)),
    terms="no licence is stated, and its authors are not known",
    samples=_samples,
    mix={"onlineshopping": 5_000},
    splits={"onlineshopping": {"test": 2_500, "val": 1_000}},
    cite="online_shopping_10_cats of https://github.com/SophonPlus/ChineseNlpCorpus",
)
