"""SemEval-2018 Task 1, Affect in Tweets: English, Arabic and Spanish tweets with five tasks.

Home      https://competitions.codalab.org/competitions/17751
Tasks     emotion intensity as a score (ei_reg) and as a class (ei_oc) for anger, fear, joy and sadness; valence as a
          class (v_oc) and as a score (v_reg); emotion classification (e_c). Text
Licence   none by name; the data may not be passed on, and the paper must be cited
Files     SemEval2018-Task1-all-data.zip, unpacked or not, or the older zip of each task. Files are recognised by
          name, with or without "2018-", -test-gold, -gold or -test (the last only when it has labels)
Format    UTF-8 (sometimes with a BOM), tabs, a header, no quoting: a tweet may start with an unmatched quotation mark
Sizes     see `expected`
Rows out  16,937 "mystery" rows at the end of each English EI-reg and V-reg test, recognised by their id
Labels    V-reg is 0..1 in the files, and the prompt asks for -1..1: we write 2x - 1 with three decimals (option
          valence_scale: signed), or the value unchanged (raw). Classes are read by their number, because the files
          have "emotional state" and the prompt "mental state". A row with no emotion is neutral
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from data_build.drawing.words import ADVERBS, VALENCE, interjections
from data_build.drawing.writer import Files, Writer, tsv_bytes, zipped
from data_build.reading.corpus import Bad, Corpus, Example, RawPart, batched, clean, unrecognised
from data_build.reading.raw import RawFile, one_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Ordinal
from mmafflm.errors import Fault

TASKS = {"EI-reg": "ei_reg", "EI-oc": "ei_oc", "Valence-oc": "v_oc", "Valence-reg": "v_reg", "E-c": "e_c"}
LANGUAGES = {"En": "english", "Ar": "arabic", "Es": "spanish"}
EMOTIONS = ("anger", "fear", "joy", "sadness")
SPLITS = {"train": "train", "dev": "val", "test-gold": "test", "gold": "test", "test": "test"}
NAME = re.compile(
    r"(?:2018-)?(EI-reg|EI-oc|Valence-reg|Valence-oc|V-reg|V-oc|E-c)-(En|Ar|Es)"
    r"(?:-(anger|fear|joy|sadness))?-(train|dev|test-gold|gold|test)\.txt",
    re.IGNORECASE,
)
SPELLINGS = {name.lower(): name for name in (*TASKS, *LANGUAGES)}
EC_HEADER = [
    "anger",
    "anticipation",
    "disgust",
    "fear",
    "joy",
    "love",
    "optimism",
    "pessimism",
    "sadness",
    "surprise",
    "trust",
]
HEADERS = {
    "reg": ["ID", "Tweet", "Affect Dimension", "Intensity Score"],
    "oc": ["ID", "Tweet", "Affect Dimension", "Intensity Class"],
    "c": ["ID", "Tweet", *EC_HEADER],
}


def _find(files: list[RawFile], options: Mapping[str, Any]) -> list[RawPart]:
    if options["valence_scale"] not in ("signed", "raw"):
        raise Fault(
            f"semeval2018: valence_scale must be signed or raw, not {options['valence_scale']!r}. "
            "Correct the build config."
        )
    named: dict[tuple[str, str, str, str], list[RawFile]] = {}
    for file in files:
        if match := NAME.fullmatch(file.basename):
            task, language, emotion, stem = ((group or "").lower() for group in match.groups())
            task = re.sub(r"^v-", "valence-", task)
            found = (SPELLINGS[language], SPELLINGS[task], emotion, SPLITS[stem])
            named.setdefault(found, []).append(file)
    if files and not named:
        raise unrecognised("semeval2018", files, "2018-EI-reg-En-anger-dev.txt and so on")
    parts = []
    for language, folder in LANGUAGES.items():
        for task, key in TASKS.items():
            for split in ("train", "val", "test"):
                for emotion in EMOTIONS if task.startswith("EI") else ("",):
                    copies = named.get((language, task, emotion, split), [])
                    # -test files were distributed without labels; if there is no other copy, reading it raises Fault
                    if copies := [file for file in copies if _has_labels(file)] or copies:
                        about = {"task": key, "emotion": emotion, "split": split, "folder": folder}
                        name = " ".join(filter(None, (folder, key, emotion, split)))
                        parts.append(RawPart(name, (one_of(copies),), about, subset=f"semeval2018_{folder}"))
    return parts


def _has_labels(file: RawFile) -> bool:
    """Whether a -test file has labels. True for all other files: for them, missing labels are a fault when read."""
    if not file.basename.lower().endswith("-test.txt"):
        return True
    rows = file.text().split("\n")[1:]
    return not all(row.rstrip("\r").endswith("\tNONE") for row in rows if row.strip())


def _rows(part: RawPart, options: Mapping[str, Any]) -> Iterator[Example | Bad]:
    file, task = part.files[0], part.about["task"]
    lines = [line.removesuffix("\r") for line in file.text().split("\n")]
    header = HEADERS[task.partition("_")[2]]
    _check(file, lines, header)
    seen: set[str] = set()
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        fields, source = line.split("\t"), f"{file.name}:{number}"
        if len(fields) != len(header):
            yield Bad(source, f"not {len(header)} fields", line[:200])
        elif "-mystery-" in fields[0]:
            yield Bad(source, "mystery row", fields[0])
        elif fields[0] in seen:
            yield Bad(source, "duplicate id", fields[0])
        else:
            seen.add(fields[0])
            yield _row(fields, source, part.about, options["valence_scale"])


def _check(file: RawFile, lines: list[str], header: list[str]) -> None:
    """Raises Fault when the file is empty, when its header is missing or wrong, or when every label is NONE."""
    where = f"semeval2018: {file.name}"
    rows = [line for line in lines[1:] if line.strip()]
    if not any(line.strip() for line in lines):
        raise Fault(f"{where}: an empty file. Download it again.")
    first = [name.strip() for name in lines[0].split("\t")]
    if re.match(r"\d{4,5}\b|\d{4}-(En|Ar|Es)-", first[0]):
        raise Fault(f"{where}:1: no header, as in the pre-release of 2017. Use SemEval2018-Task1-all-data.zip.")
    if first != header:
        raise Fault(
            f"{where}:1: expected the header {' | '.join(header)}, found {' | '.join(first)[:120]}. "
            "Put back the file as distributed."
        )
    if rows and all(row.split("\t")[-1].strip() == "NONE" for row in rows):
        raise Fault(f"{where}: every label is NONE. Use the test-gold file of SemEval2018-Task1-all-data.zip.")


def _row(fields: list[str], source: str, about: Mapping[str, str], valence_scale: str) -> Example | Bad:
    subset, task = f"semeval2018_{about['folder']}", about["task"]
    text, dimension = clean(fields[1]), about["emotion"] or "valence"
    if not text:
        return Bad(source, "empty text", fields[0])
    if task != "e_c" and fields[2].strip().lower() != dimension:
        return Bad(source, f"affect dimension is not {dimension}", fields[2][:200])
    gold = _gold(subset, task, fields, valence_scale)
    if gold is None:
        label = " ".join(fields[2 if task == "e_c" else 3 :])[:200]
        return Bad(source, "label is not valid for the task", label, unknown=label if task != "e_c" else None)
    language = benchmark()[subset].languages[0]
    # A tweet occurs in the files of several emotions, with other ids in those of 2017, so we group by its text.
    group = f"tweet:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"
    return Example(subset, task, language, about["split"], gold, text, source, about["emotion"] or None, group=group)


def _gold(subset: str, task: str, fields: list[str], valence_scale: str) -> Gold | None:
    """The row's gold; None when its label is not valid for the task."""
    label, grammar = fields[-1].strip(), benchmark()[subset].task(task).grammar
    if isinstance(grammar, Labels):
        marks = [mark.strip() for mark in fields[2:]]
        chosen = [name for name, mark in zip(EC_HEADER, marks, strict=True) if mark == "1"]
        return grammar.sort(chosen or ["neutral"]) if set(marks) <= {"0", "1"} else None
    if isinstance(grammar, Ordinal):
        number = re.match(r"(-?[0-9]): ", label)
        return int(number[1]) if number and grammar.low <= int(number[1]) <= grammar.high else None
    if not re.fullmatch(r"[01](\.[0-9]+)?", label) or float(label) > 1:
        return None
    # + 0.0 turns -0.0 into 0.0
    return round(2 * float(label) - 1, 3) + 0.0 if (task, valence_scale) == ("v_reg", "signed") else float(label)


def _expected() -> dict[str, int]:
    """Rows by subset and split, all tasks together. EI and V rows count twice, once for reg and once for oc."""
    sizes = {  # rows of EI, V and E-c
        "english": {"train": (7_102, 1_181, 6_838), "val": (1_464, 449, 886), "test": (4_068, 937, 3_259)},
        "arabic": {"train": (3_376, 932, 2_278), "val": (661, 138, 585), "test": (1_563, 730, 1_518)},
        "spanish": {"train": (4_544, 1_566, 3_561), "val": (793, 229, 679), "test": (2_616, 648, 2_854)},
    }
    return {
        f"semeval2018_{folder} {split}": 2 * ei + 2 * v + ec
        for folder, splits in sizes.items()
        for split, (ei, v, ec) in splits.items()
    }


ARCHIVE = "SemEval2018-Task1-all-data"


def _samples(scale: int, seed: int) -> Files:
    members: Files = {"__MACOSX/._" + ARCHIVE: b"\0"}
    for folder, code, language in (("English", "En", "en"), ("Arabic", "Ar", "ar"), ("Spanish", "Es", "es")):
        writer = Writer(seed, "semeval2018", language)
        for split, tail, ei, rows in (("train", "train", 48, 60), ("dev", "dev", 4, 12), ("test", "test-gold", 6, 28)):
            place = {"train": "training", "dev": "development", "test": "test-gold"}[split]
            start = "" if (code, split) == ("En", "train") else "2018-"  # the real files are named this way
            for emotion in EMOTIONS:
                reg, oc = _made_intensity(writer, code, split, emotion, ei * scale)
                for task, table in (("EI-reg", reg), ("EI-oc", oc)):
                    stem = f"{task}-{code}-{emotion}-{tail}.txt"
                    members[f"{ARCHIVE}/{folder}/{task}/{place}/{start}{stem}"] = tsv_bytes(table)
            tables = zip(("V-reg", "V-oc"), _made_valence(writer, code, split, rows * scale), strict=True)
            for task, table in (*tables, ("E-c", _made_emotions(writer, code, split, rows * scale))):
                stem = f"2018-{task.replace('V-', 'Valence-')}-{code}-{tail}.txt"
                members[f"{ARCHIVE}/{folder}/{task}/{stem}"] = tsv_bytes(table)
    return {f"{ARCHIVE}.zip": zipped(members)}


def _ids(code: str, split: str) -> Iterator[str]:
    """Ids that are unique within a file and differ between splits."""
    year = "2017" if (code, split) == ("En", "train") else "2018"
    first = {"train": 1, "dev": 20_001, "test": 40_001}[split]
    return (f"{year}-{code}-{number:05}" for number in count(first))


def _mystery(code: str, split: str, dimension: str) -> list[list[str]]:
    if (code, split) != ("En", "test"):
        return []
    text = "The situation makes Leroy feel annoyed."
    return [[f"2018-En-mystery-{number:05}", f"{text} {number}", dimension, "0.000"] for number in range(1, 18)]


def _made_intensity(
    writer: Writer, code: str, split: str, emotion: str, rows: int
) -> tuple[list[list[str]], list[list[str]]]:
    """The EI-reg and EI-oc tables of one emotion: the same tweets under the same ids."""
    classes = ("no {} can be inferred", "low amount of {} can be inferred", "moderate amount of {} can be inferred")
    texts = [text.format(emotion) for text in (*classes, "high amount of {} can be inferred")]
    reg = [["ID", "Tweet", "Affect Dimension", "Intensity Score"]]
    oc = [["ID", "Tweet", "Affect Dimension", "Intensity Class"]]
    ids = _ids(code, split)
    for level in writer.take(["0", "1", "2", "3"], rows):
        tweet = writer.tell(f"{ADVERBS[int(level)]} {interjections(emotion)}")
        score = 0.125 + int(level) * 0.25 + writer.random.uniform(-0.06, 0.06)
        row = [next(ids), tweet, emotion]
        reg.append([*row, f"{score:.3f}"])
        oc.append([*row, f"{level}: {texts[int(level)]}"])
    return reg + _mystery(code, split, emotion), oc


def _made_valence(writer: Writer, code: str, split: str, rows: int) -> tuple[list[list[str]], list[list[str]]]:
    """The V-reg and V-oc tables: the same tweets under the same ids."""
    reg = [["ID", "Tweet", "Affect Dimension", "Intensity Score"]]
    oc = [["ID", "Tweet", "Affect Dimension", "Intensity Class"]]
    ids = _ids(code, split)
    for chosen in writer.take(list(VALENCE), rows):
        level = int(chosen)
        sign = "positive" if level > 0 else "negative"
        tweet = writer.tell(f"{ADVERBS[abs(level)]} {interjections(sign)}" if level else interjections("neutral"))
        row = [next(ids), tweet, "valence"]
        reg.append([*row, f"{0.5 + level / 7 + writer.random.uniform(-0.03, 0.03):.3f}"])
        oc.append([*row, f"{level}: {VALENCE[chosen]} emotional state can be inferred"])
    return reg + _mystery(code, split, "valence"), oc


def _made_emotions(writer: Writer, code: str, split: str, rows: int) -> list[list[str]]:
    table = [["ID", "Tweet", *EC_HEADER]]
    ids = _ids(code, split)
    for chosen in writer.take([*EC_HEADER, ""], rows):
        names = {chosen} - {""}
        if names and writer.random.random() < 0.4:
            names.add(writer.random.choice(EC_HEADER))
        signal = interjections(*(name for name in EC_HEADER if name in names)) or interjections("neutral")
        table.append([next(ids), writer.tell(signal), *(str(int(name in names)) for name in EC_HEADER)])
    return table


CORPUS = Corpus(
    name="semeval2018",
    licence="free for research; no redistribution; cite the paper",
    get="Download http://saifmohammad.com/WebDocs/AIT-2018/AIT2018-DATA/SemEval2018-Task1-all-data.zip",
    expected=_expected(),
    find=_find,
    read=lambda part, options: batched(_rows(part, options)),
    options={"valence_scale": "signed"},
    terms="its README says: Do not redistribute the data",
    samples=_samples,
    mix={"semeval2018_english": 10_000, "semeval2018_arabic": 6_000, "semeval2018_spanish": 8_000},
    choices=(
        "SemEval V-reg: 2x-1 with three decimals, since the prompt asks for -1..1. Pearson does not change.",
        "SemEval EI-oc has no prompt in the paper; ours is worded like those of similar tasks and marked in "
        "`mmafflm/benchmark/prompts.yaml`.",
    ),
    cite="Mohammad, Bravo-Marquez, Salameh, Kiritchenko (2018): SemEval-2018 Task 1: Affect in Tweets. SemEval",
)
