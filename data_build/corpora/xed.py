"""XED: film subtitles with Plutchik's eight emotions, projected from English and Finnish to other languages.

Home      https://github.com/Helsinki-NLP/XED
Task      emotion classification, one to eight labels; text; 25 languages (those whose projection has over 2,000 rows)
Licence   CC BY 4.0
Files     Projections/LANG-projections.tsv, tr-projections2.tsv; AnnotatedData/{en,fi}-annotated.tsv with the option
          en_fi: annotated (the default is projections, because the paper lists the languages of the projections).
          The neutral sentences of neu_{en,fi}.txt are not part of MMAFFBen and are ignored.
Format    UTF-8, text TAB labels joined by ", ", no header, CSV quoting, CRLF. tr-projections2.tsv was not written by a
          CSV writer: it has a header, plain quotation marks, unsorted labels.
Sizes     2,378 (ru) to 12,285 (br) usable rows per language, 164,416 together; no split
Junk      0 to 11 rows per language hold several lines of the subtitle files, joined by an unbalanced quotation mark
"""

import csv
import re
from collections.abc import Mapping
from typing import Any

from data_build.drawing.words import interjections
from data_build.drawing.writer import Files, Writer, csv_bytes
from data_build.reading.corpus import Bad, Corpus, Example, RawPart, batched, clean, label_set, unrecognised
from data_build.reading.raw import RawFile, csv_rows, one_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault

LABELS = {
    "0": "neutral",
    "1": "anger",
    "2": "anticipation",
    "3": "disgust",
    "4": "fear",
    "5": "joy",
    "6": "sadness",
    "7": "surprise",
    "8": "trust",
}
HEADER = ["phrase", "emotion"]
NAME = re.compile(r"([a-z]{2})-(projections2?|annotated)\.tsv")  # matched in lower case


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    if options["en_fi"] not in ("projections", "annotated"):
        raise Fault(f"xed: en_fi must be projections or annotated, not {options['en_fi']!r}. Correct the build config.")
    names = [(file, match) for file in files if (match := NAME.fullmatch(file.basename.lower()))]
    if files and not names:
        raise unrecognised("xed", files, "Projections/LANG-projections.tsv")
    parts = []
    for language in benchmark()["XED"].languages:
        kind = "annotated" if language in ("en", "fi") and options["en_fi"] == "annotated" else "projections"
        copies = [file for file, match in names if match[1] == language and match[2].startswith(kind)]
        if copies:
            # The first tr-projections.tsv was withdrawn in 2021 in favour of tr-projections2.tsv.
            file = one_of(copies, rank=lambda file: "projections2" not in file.basename.lower())
            parts.append(RawPart(language, (file,), {"language": language}))
    if names and not parts:
        annotated = [file.name for file, match in names if match[2] == "annotated"]
        if annotated and options["en_fi"] == "projections":
            raise Fault(
                f"xed: {annotated[0]} was found; set xed: en_fi: annotated in the build config, or put Projections/ "
                "next to it."
            )
        raise Fault(
            f"xed: {names[0][0].name} is not for a language of the benchmark, or not for en_fi: {options['en_fi']}. "
            "Put the whole repository there."
        )
    return parts


def _rows(part: RawPart) -> list[Example | Bad]:
    file = part.files[0]
    plain = file.basename.lower() == "tr-projections2.tsv"
    text = file.text()
    if not text.strip():
        raise Fault(f"xed: {file.name}: an empty file. Download it again.")
    rows = [
        _row(fields, f"{file.name}:{line}", part.about["language"])
        for line, fields in csv_rows(file.name, text, "\t", csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL)
        if not (line == 1 and fields == HEADER)
    ]
    if not any(isinstance(row, Example) for row in rows):
        raise Fault(
            f"xed: {file.name}:1: expected a text, a tab and labels 1 to 8, found {text.splitlines()[0][:80]!r}, "
            "and no valid row after it. Put back the file as distributed."
        )
    return rows


def _row(fields: list[str], source: str, language: str) -> Example | Bad:
    text = clean(fields[0])
    if re.search(r"[\r\n]", text):
        return Bad(source, "text holds a line break (broken quoting)", text[:200])
    if "\t" in text:
        return Bad(source, "text holds a tab (broken quoting)", text[:200])
    if len(fields) != 2:
        return Bad(source, "not two fields", "\t".join(fields)[:200])
    numbers = [number.strip() for number in fields[1].split(",")]
    if strange := [number for number in numbers if number not in LABELS]:
        return Bad(source, "label is not 0 to 8", fields[1][:200], unknown=strange[0][:200])
    if not text:
        return Bad(source, "empty text", fields[1])
    gold = label_set("XED").sort([LABELS[number] for number in numbers])
    return Example("XED", "ec", language, None, gold, text, source)


def _samples(scale: int, seed: int) -> Files:
    files = {}
    numbers = {name: number for number, name in LABELS.items()}
    junk = ["lost\nda/1954/46672/1.xml.gz\ten/1954/2.xml.gz\t113\t137", "4"]
    for language in benchmark()["XED"].languages:
        writer = Writer(seed, "xed", language)
        rows = []
        for chosen in writer.take([name for name in numbers if name != "neutral"], 40 * scale):
            other = writer.random.choice(list(numbers)[1:]) if writer.random.random() < 0.36 else chosen
            names = [name for name in numbers if name in (chosen, other)]
            rows.append([writer.tell(interjections(*names)), ", ".join(numbers[name] for name in names)])
        if language == "tr":
            text = "\n".join("\t".join(row) for row in [HEADER, *rows])
            files["Projections/tr-projections2.tsv"] = text.encode()
        else:
            rows[0][0] = f'"{rows[0][0]}"'
            rows.insert(2, junk)
            end = "\n" if language == "en" else "\r\n"
            files[f"Projections/{language}-projections.tsv"] = csv_bytes(rows, "\t", end)
    return files


CORPUS = Corpus(
    name="xed",
    licence="CC BY 4.0",
    get="git clone https://github.com/Helsinki-NLP/XED",
    expected={"XED all": 164_416},
    find=_find,
    read=lambda part, options: batched(_rows(part)),
    options={"en_fi": "projections"},
    redistribute=True,
    terms="the CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/) allows it, if source and changes are stated",
    samples=_samples,
    mix={"XED": 15_000},  # 600 per language
    splits={"XED": {"test": 500, "val": 100}},
    choices=("XED English and Finnish come from the projections unless the config says `annotated`.",),
    cite="Öhman, Pàmies, Kajava, Tiedemann (2020): XED: A Multilingual Dataset for Sentiment Analysis and "
    "Emotion Detection. COLING",
)
