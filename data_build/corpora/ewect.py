"""SMP2020-EWECT: Weibo posts with one of six emotions, on everyday topics (usual) and on the pandemic (virus).

Home      https://smp2020ewect.github.io/
Task      emotion classification, one label; text; Chinese
Licence   none stated (a mirror says: unknown)
Files     {usual,virus}_{train,eval_labeled,test_labeled}.txt anywhere below the folder, or in an archive there.
          Ignored: files in a folder whose path contains `mixed` or 混淆 (at the source, test/mixed has 50,000 decoys);
          the same file without labels or as .xlsx, if the labelled .txt is there; and a copy in a folder `clean`, if
          there is another copy
Format    UTF-8, one JSON array of {"id", "content", "label"}; the label neutral is also spelled neural
Sizes     usual 27,768 / 2,000 / 5,000, virus 8,606 / 2,000 / 3,000 (train / eval / test)
Text      U+FEFF at the start of a post is removed (in usual: 7 posts of test, 1 of eval); Weibo markup is kept
"""

import json
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

from data_build.drawing.words import interjections
from data_build.drawing.writer import Files, Writer
from data_build.reading.corpus import Bad, Corpus, Example, RawPart, batched, clean, label_set, unrecognised
from data_build.reading.raw import RawFile, one_of
from mmafflm.errors import Fault
from mmafflm.files.documents import parse_json

STEMS = {"train": "train", "val": "eval_labeled", "test": "test_labeled"}
FILE_NAME = re.compile(r"(usual|virus)_(train|eval|test)(_labeled)?\.(txt|xlsx)")
LONGEST_ID = 100  # characters; real ids are numbers of up to five digits
DECOYS = re.compile(r"mixed|混淆")


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    named: dict[str, list[RawFile]] = {}
    for file in files:
        if not _is_decoy(file):
            named.setdefault(file.basename.lower(), []).append(file)
    parts = []
    for domain in ("usual", "virus"):
        for split, stem in STEMS.items():
            # without the labelled .txt we take another form of the file, for which _array raises a Fault with the fix
            forms = [f"{domain}_{stem}.txt", f"{domain}_{stem.removesuffix('_labeled')}.txt", f"{domain}_{stem}.xlsx"]
            copies = next((named[form] for form in forms if form in named), [])
            # A well-known mirror has rewritten posts in data/clean, so we prefer any other copy.
            if copies:
                file = one_of(copies, rank=lambda file: "clean" in re.split(r"[/!]", file.name))
                subset = f"EWECT_{domain}"
                parts.append(RawPart(f"{domain} {split}", (file,), {"subset": subset, "split": split}, subset=subset))
    if files and not parts:
        hint = (
            " with labels, outside of folders named mixed"
            if any(FILE_NAME.fullmatch(file.basename.lower()) for file in files)
            else ""
        )
        raise unrecognised("ewect", files, f"usual_train.txt, usual_test_labeled.txt and so on{hint}")
    return parts


def _is_decoy(file: RawFile) -> bool:
    return bool(DECOYS.search(file.name.removesuffix(file.basename)))


def _array(file: RawFile) -> list[Any]:
    if file.basename.lower().endswith(".xlsx"):
        text_name = f"{file.basename[:-5]}.txt"
        raise Fault(
            f"ewect: {file.name}: .xlsx files are not read; use {text_name}, which the source distributes next to it."
        )
    text = file.text()
    if not text.strip():
        raise Fault(f"ewect: {file.name}: an empty file. Download it again.")
    rows = parse_json(text, f"ewect: {file.name}", "Download it again.")
    posts = [row for row in rows if isinstance(row, dict) and "content" in row] if isinstance(rows, list) else []
    if posts and not any("label" in row for row in posts):
        raise Fault(f"ewect: {file.name}: has no labels. Use the labelled file, such as usual_test_labeled.txt.")
    if not isinstance(rows, list) or not rows or not any(_is_row(row) for row in rows):
        raise Fault(
            f'ewect: {file.name}: expected a JSON array of {{"id", "content", "label"}}, found {text[:60]!r}. '
            "Put back the labelled file as distributed."
        )
    return rows


def _is_row(row: Any) -> bool:
    return isinstance(row, dict) and {"id", "content", "label"} <= set(row)


def _rows(part: RawPart) -> Iterator[Example | Bad]:
    file = part.files[0]
    seen: set[str] = set()
    for position, row in enumerate(_array(file), 1):
        if not _is_row(row):
            yield Bad(f"{file.name}:row={position}", "row without an id, a content or a label", reprlib.repr(row)[:200])
            continue
        number = reprlib.repr(row["id"]) if isinstance(row["id"], list | dict) else str(row["id"])
        if len(number) > LONGEST_ID:
            yield Bad(f"{file.name}:row={position}", f"id of more than {LONGEST_ID} characters", number[:200])
            continue
        if number in seen:
            yield Bad(f"{file.name}:row={position}", "duplicate id", number[:200])
            continue
        seen.add(number)
        yield _row(row, f"{file.name}:id={number}", part.about)


def _row(row: Mapping[str, Any], source: str, about: Mapping[str, str]) -> Example | Bad:
    label = label_set(about["subset"]).canonical(str(row["label"]))
    if label is None:
        return Bad(source, "label is not in the label set", str(row["label"])[:200], unknown=str(row["label"])[:200])
    text = clean(row["content"]) if isinstance(row["content"], str) else ""
    if not text:
        return Bad(source, "empty text", str(row["label"])[:200])
    return Example(about["subset"], "ec", "zh", about["split"], [label], text, source)


SAMPLE_LABELS = ("happy", "angry", "sad", "fear", "surprise", "neutral")


def _samples(scale: int, seed: int) -> Files:
    files = {"readme.txt": b"made up by `mmaffin samples`\n"}
    for domain, sizes in (("usual", (140, 20, 40)), ("virus", (70, 10, 20))):
        writer = Writer(seed, f"ewect {domain}", "zh")
        for split, rows in zip(("train", "eval", "test"), sizes, strict=True):
            labelled = [
                {"id": number, "content": writer.tell(interjections(label)), "label": label}
                for number, label in enumerate(writer.take(list(SAMPLE_LABELS), rows * scale), 1)
            ]
            if split == "train":  # add two rows with the same text and different labels, and an empty one
                labelled.append({**labelled[0], "id": len(labelled) + 1, "label": labelled[1]["label"]})
                labelled.append({"id": len(labelled) + 1, "content": "", "label": "sad"})
                files[f"train/{domain}_train.txt"] = _json(labelled)
                continue
            bare = [{"id": row["id"], "content": row["content"]} for row in labelled]
            place = "eval" if split == "eval" else "test/real"
            files[f"{place}/{domain}_{split}.txt"] = _json(bare)
            files[f"{place}/{domain}_{split}_labeled.txt"] = _json(labelled)
        decoys = [{"id": number, "content": writer.tell(""), "label": "neutral"} for number in range(1, 11)]
        files[f"test/mixed/{domain}_test_labeled.txt"] = _json(decoys)
    return files


def _json(rows: list[dict[str, object]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False).encode()


CORPUS = Corpus(
    name="ewect",
    licence="none stated",
    get="Download the six .txt files from https://smp2020ewect.github.io/ "
    "or from data/raw of https://github.com/BrownSweater/BERT_SMP2020-EWECT.",
    expected={
        "EWECT_usual train": 27_768,
        "EWECT_usual val": 2_000,
        "EWECT_usual test": 5_000,
        "EWECT_virus train": 8_606,
        "EWECT_virus val": 2_000,
        "EWECT_virus test": 3_000,
    },
    find=_find,
    read=lambda part, options: batched(_rows(part)),
    terms="no licence is stated",
    samples=_samples,
    mix={"EWECT_usual": 8_000, "EWECT_virus": 4_000},
    cite="SMP2020-EWECT, the evaluation of Weibo emotion classification at SMP 2020, https://smp2020ewect.github.io/",
)
