"""MMS: 79 sentiment corpora in 27 languages, 6.2 million texts.

Home      https://huggingface.co/datasets/Brand24/mms, arXiv 2306.07902
Task      sentiment polarity, three classes; text; 27 languages
Licence   CC BY-NC 4.0 for the packaging; each text keeps the terms of its own source
Files     either data/LANG/LANG_NAME.tsv (no header: label, text, confidence; CSV quoting), or the built form as Parquet
          shards with columns text, label, language. Give only one of them, and no .arrow files of a local cache
Labels    -1, 0, 1 in the TSV files; 0, 1, 2 (or the names) in the built form. A label -1 or 2 shows which form it is
Sizes     6,164,762 rows, without a split
Rows out  rows with an unknown label, an empty text, broken quoting, or a language that is not one of the 27
Source    the record's number in its file. This is not always the line, because a quoted text may hold line breaks
"""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl

from data_build.drawing.words import interjections
from data_build.drawing.writer import Files, Writer, csv_bytes
from data_build.reading.corpus import (
    BATCH,
    EXAMPLES,
    LEADING,
    QUARANTINE,
    WHITE,
    Corpus,
    PartRows,
    RawPart,
    unrecognised,
)
from data_build.reading.raw import RawFile, one_of, stream_csv
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault

TSV = re.compile(r"([a-z]{2})_.+\.tsv", re.IGNORECASE)
COLUMNS = ("label", "text", "language")
NAMES = ("negative", "neutral", "positive")
ENCODINGS = {
    "signed": dict(zip(("-1", "0", "1"), NAMES, strict=True)),
    "built": dict(zip(("0", "1", "2"), NAMES, strict=True)),
    "names": dict(zip(NAMES, NAMES, strict=True)),
}
MOST_ROWS = 50_000_000  # per shard; the whole corpus has 6.2 million, and a damaged count could fill the memory
# What polars raises for a damaged file. A panic of its Rust code is not an Exception.
UNREADABLE = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError)
HEAD = 1000  # rows of each TSV that are searched first for a label -1; they nearly always have one


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    tables = [file for file in files if file.basename.lower().endswith((".parquet", ".arrow"))]
    tables = [file for file in tables if not file.basename.startswith("cache-")]  # left by datasets.map
    texts = [file for file in files if TSV.fullmatch(file.basename)]
    if files and not tables and not texts:
        raise unrecognised("mms", files, "data/LANG/LANG_NAME.tsv, or .parquet shards")
    if tables and texts:
        raise Fault(
            f"mms: found both {texts[0].name} and {tables[0].name}: the corpus as TSV and in built form. Remove one."
        )
    if texts:
        copies = [[file for file in texts if file.basename == name] for name in {file.basename for file in texts}]
        texts = sorted((one_of(same) for same in copies), key=lambda file: file.name)
        encoding = _encoding_of_texts(texts)
        return [
            RawPart(file.name, (file,), {"encoding": encoding, "language": file.basename[:2].lower()}) for file in texts
        ]
    tables = _without_copies(tables)
    found = [_labels_of_table(file) for file in tables]
    encoding = _encoding(set().union(*found), tables[0]) if tables else ""
    return [RawPart(file.name, (file,), {"encoding": encoding}) for file in tables]


def _without_copies(files: list[RawFile]) -> list[RawFile]:
    """Drop copies of shards: same name and same bytes. Different shards of several configurations may share a name."""
    kept: dict[tuple[str, int], list[RawFile]] = {}
    for file in files:
        same = kept.setdefault((file.basename, file.size), [])
        if not any(file.sha256() == other.sha256() for other in same):
            same.append(file)
    return sorted((file for same in kept.values() for file in same), key=lambda file: file.name)


def _encoding(labels: set[str], file: RawFile) -> str:
    if labels & set(NAMES):
        return "names"
    if "2" in labels:
        return "built"
    if "-1" in labels:
        return "signed"
    raise Fault(
        f"mms: {file.name}: labels {', '.join(sorted(labels)) or 'none'} in the whole corpus. Without -1 or 2, label 0 "
        "may mean neutral or negative. Put all files of the corpus there."
    )


def _encoding_of_texts(files: list[RawFile]) -> str:
    for rows in (HEAD, None):
        labels: set[str] = set()
        for file in files:
            labels |= {row[0].strip().removesuffix(".0") for row in islice(_records(file), rows)}
            if "-1" in labels:
                return "signed"
    return _encoding(labels, files[0])


def _labels_of_table(file: RawFile) -> set[str]:
    labels: set[str] = set()
    for frame in _frames(file, ["label"]):
        labels |= set(frame["label"].unique().cast(pl.String).drop_nulls().str.strip_suffix(".0"))
    return labels


def _records(file: RawFile) -> Iterator[Sequence[str]]:
    """The rows of a TSV without blank lines."""
    return (row.fields for row in stream_csv(file, "\t"))


def _frames(file: RawFile, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield a parquet or arrow shard in batches, with the row number (from 1) in the column "row". May raise Fault."""
    source = file.path if file.member is None else io.BytesIO(file.read())
    try:
        is_parquet = file.basename.lower().endswith(".parquet")
        table = pl.scan_parquet(source, glob=False) if is_parquet else _arrow(source).lazy()
        there = table.collect_schema().names()
        if missing := [name for name in COLUMNS if name not in there]:
            raise Fault(
                f"mms: {file.name}: no column {', '.join(missing)} in {', '.join(there[:8])}. "
                "Remove the file if it belongs to another corpus."
            )
        if (rows := table.select(pl.len()).collect().item()) > MOST_ROWS:
            raise Fault(f"mms: {file.name}: {rows:,} rows, but at most {MOST_ROWS:,} can be read. Download it again.")
        words = (pl.col(name).cast(pl.String) for name in columns)
        chosen = table.with_row_index("row", 1).select(*words, "row")
        yield from chosen.collect_batches(chunk_size=BATCH, maintain_order=True)
    except UNREADABLE as error:
        what = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise Fault(f"mms: {file.name}: cannot be read ({what[:200]}). Download it again.") from None


def _arrow(source: Any) -> pl.DataFrame:
    """Read Arrow's stream form, which `save_to_disk` writes, or its file form, which other tools write."""
    try:
        return pl.read_ipc_stream(source)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        if isinstance(source, io.BytesIO):
            source.seek(0)
        return pl.read_ipc(source)


def _read(part: RawPart) -> Iterator[PartRows]:
    if "language" in part.about:
        return _read_text(part)
    shard = _frames(part.files[0], COLUMNS)
    return (_rows(frame.with_columns(fault=pl.lit(None, pl.String)), part) for frame in shard)


def _read_text(part: RawPart) -> Iterator[PartRows]:
    file, first, usable = part.files[0], 1, False
    records = _records(file)
    while batch := list(islice(records, BATCH)):
        frame = pl.DataFrame(
            {
                "label": [row[0] for row in batch],
                "text": [row[1] if len(row) > 1 else None for row in batch],
                "more": [len(row) > 3 for row in batch],  # more fields than label, text and confidence
            },
            {"label": pl.String, "text": pl.String, "more": pl.Boolean},
        )
        rows = _rows(
            frame.with_columns(
                row=pl.int_range(first, first + len(batch)),
                language=pl.lit(part.about["language"]),
                fault=pl.when("more").then(pl.lit("more than three fields")),
            ),
            part,
        )
        usable = usable or rows.examples.height > 0 or bool(set(rows.bad["reason"]) - {"label is not in the label set"})
        first += len(batch)
        yield rows
    if not usable:
        raise Fault(
            f"mms: {file.name}: {first - 1} rows, none with a label -1, 0 or 1, a tab and a text. "
            "Download it again, or remove it if it belongs to another corpus."
        )


def _rows(frame: pl.DataFrame, part: RawPart) -> PartRows:
    """Split a frame into examples and bad rows. Columns: label, text, language, row, fault (null unless known)."""
    known = _with_faults(frame, part)
    examples = known.filter(pl.col("fault").is_null()).select(
        subset=pl.lit("MMS"),
        task=pl.lit("sp"),
        language="language",
        split=pl.lit(None, pl.String),
        emotion=pl.lit(None, pl.String),
        gold="gold",
        text="clean",
        media=pl.lit(None, pl.String),
        source="source",
        origin=pl.lit(None, pl.String),
        group=pl.lit(None, pl.String),
    )
    told = pl.concat_str(pl.col("language", "label", "text").fill_null("null"), separator=" | ").str.slice(0, 200)
    # MMS has one subset and no split. `unknown` stays empty: unknown labels are expected and must not stop the build
    nothing = {name: pl.lit(None, pl.String) for name in ("subset", "split", "unknown")}
    bad = known.filter(pl.col("fault").is_not_null()).select("source", reason="fault", detail=told, **nothing)
    return PartRows(examples.match_to_schema(EXAMPLES), bad.match_to_schema(QUARANTINE))


def _with_faults(frame: pl.DataFrame, part: RawPart) -> pl.DataFrame:
    """The rows with source, gold and cleaned text, and the first fault of each (null for a usable row)."""
    languages, labels = benchmark()["MMS"].languages, ENCODINGS[part.about["encoding"]]
    gold = {number: f'["{name}"]' for number, name in labels.items()}
    label, text = pl.col("label").cast(pl.String).str.strip_chars(), pl.col("text")
    swallowed = text.str.contains(r"\n(-1|0|1)\t") if "language" in part.about else pl.lit(False)
    return frame.select(
        label.alias("label"),
        "text",
        "language",
        source=pl.lit(part.files[0].name + ":") + pl.col("row").cast(pl.String),
        gold=label.str.strip_suffix(".0").replace_strict(gold, default=None, return_dtype=pl.String),
        clean=text.str.strip_chars_start(LEADING).str.strip_chars_end(WHITE),  # as reading.corpus.clean does
        fault=pl.coalesce(
            "fault",
            pl.when(~pl.col("language").is_in(languages).fill_null(False)).then(
                pl.lit("language is not in the benchmark")
            ),
            pl.when(swallowed).then(pl.lit("text holds whole rows (broken quoting)")),
        ),
    ).with_columns(
        fault=pl.coalesce(
            "fault",
            pl.when(pl.col("gold").is_null()).then(pl.lit("label is not in the label set")),
            pl.when(pl.col("clean").fill_null("") == "").then(pl.lit("empty text")),
        )
    )


def _samples(scale: int, seed: int) -> Files:
    files = {}
    signs = {"-1": "negative", "0": "neutral", "1": "positive"}
    for language in benchmark()["MMS"].languages:
        writer = Writer(seed, "mms", language)
        rows = [
            [label, writer.tell(interjections(signs[label])), f"{writer.random.random():.6f}"]
            for label in writer.take(list(signs), 30 * scale)
        ]
        rows[0][1] = f'"{rows[0][1]}"'
        if language == "en":  # add rows that the corpus's own loader drops
            rows += [["1", "", "0.5"], ["mixed", writer.tell(""), "0.5"]]
        files[f"data/{language}/{language}_sample.tsv"] = csv_bytes(rows, "\t", "\n")
    return files


CORPUS = Corpus(
    name="mms",
    licence="CC BY-NC 4.0 (packaging); the texts keep the licences of their 79 sources",
    get="git clone https://huggingface.co/datasets/Brand24/mms (with git-lfs)",
    expected={"MMS all": 6_164_762},
    find=_find,
    read=lambda part, options: _read(part),
    terms="each text keeps the licence of its source, one of 79, and a record does not say which",
    samples=_samples,
    mix={"MMS": 16_200},  # 600 per language
    splits={"MMS": {"test": 500, "val": 100, "train": 5_000}},
    cite="Augustyniak et al. (2023): Massively Multilingual Corpus of Sentiment Datasets and Multi-faceted "
    "Sentiment Classification Benchmark. arXiv 2306.07902",
)
