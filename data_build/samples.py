"""`mmaffin samples`: small made-up corpora in the exact raw layouts, so that everything runs without any licence.

The sentences are a few common words of the language and, at the end, interjections that carry the label. They are the
same in every language, so that a small model learns them from a few hundred rows; how strong a feeling is, an adverb
says. A few rows are traps of the real corpora: mystery rows, an empty review, junk rows, decoys, conflicting copies.
The texts are made here, the pictures in sample_pictures.py and the clips in sample_videos.py.
"""

import json
from collections.abc import Callable, Container, Iterator
from itertools import count
from pathlib import Path

from data_build.corpora import xed
from data_build.corpora.onlineshopping import FILE as SHOPPING_FILE
from data_build.corpora.semeval2018 import EC_HEADER as EC_EMOTIONS
from data_build.sample_pictures import cfaps, emotic, fer2013
from data_build.sample_videos import chsims, meld, samsemo
from data_build.sample_words import ADVERBS, VALENCE, interjections
from data_build.sample_writer import Files, Writer, csv_bytes, tsv_bytes, zipped
from mmafflm.benchmark import benchmark
from mmafflm.errors import UsageFault
from mmafflm.records import replacing

EI_EMOTIONS = ("anger", "fear", "joy", "sadness")
EWECT_LABELS = ("happy", "angry", "sad", "fear", "surprise", "neutral")
SHOPPING_CATEGORIES = ("书籍", "平板", "手机", "水果", "洗发水", "热水器", "蒙牛", "衣服", "计算机", "酒店")
SEMEVAL = "SemEval2018-Task1-all-data"


def write_samples(out: Path, scale: int = 1, seed: int = 0, only: Container[str] | None = None) -> None:
    """Write a folder a corpus below `out`: `scale` times some 4,500 texts, 1,060 faces and 1,400 clips.

    `only` names the corpora to write (tests need a few), all by default. Same arguments, same bytes.
    Raises UsageFault when `out` holds files that are not samples.
    """
    makers: dict[str, Callable[[int, int], Files]] = {
        "semeval2018": _semeval,
        "ewect": _ewect,
        "onlineshopping": _onlineshopping,
        "xed": _xed,
        "mms": _mms,
        "emotic": emotic,
        "fer2013": fer2013,
        "cfaps": cfaps,
        "samsemo": samsemo,
        "meld": meld,
        "chsims": chsims,
    }
    chosen = {corpus: make for corpus, make in makers.items() if only is None or corpus in only}
    files = {f"{corpus}/{name}": data for corpus, make in chosen.items() for name, data in make(scale, seed).items()}
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} if out.exists() else set()
    if foreign := sorted(there - set(files)):
        raise UsageFault(f"--out {out}: holds {foreign[0]}, which is not a sample. Give an empty folder.")
    for name, data in files.items():
        with replacing(out / name) as file:
            file.write(data)


def _semeval(scale: int, seed: int) -> Files:
    members: Files = {"__MACOSX/._" + SEMEVAL: b"\0"}
    for folder, code, language in (("English", "En", "en"), ("Arabic", "Ar", "ar"), ("Spanish", "Es", "es")):
        writer = Writer(seed, "semeval2018", language)
        for split, tail, ei, rows in (("train", "train", 48, 60), ("dev", "dev", 4, 12), ("test", "test-gold", 6, 28)):
            place = {"train": "training", "dev": "development", "test": "test-gold"}[split]
            start = "" if (code, split) == ("En", "train") else "2018-"  # so are the real files named
            for emotion in EI_EMOTIONS:
                reg, oc = _intensity(writer, code, split, emotion, ei * scale)
                for task, table in (("EI-reg", reg), ("EI-oc", oc)):
                    stem = f"{task}-{code}-{emotion}-{tail}.txt"
                    members[f"{SEMEVAL}/{folder}/{task}/{place}/{start}{stem}"] = tsv_bytes(table)
            tables = zip(("V-reg", "V-oc"), _valence(writer, code, split, rows * scale), strict=True)
            for task, table in (*tables, ("E-c", _emotions(writer, code, split, rows * scale))):
                stem = f"2018-{task.replace('V-', 'Valence-')}-{code}-{tail}.txt"
                members[f"{SEMEVAL}/{folder}/{task}/{stem}"] = tsv_bytes(table)
    return {f"{SEMEVAL}.zip": zipped(members)}


def _ids(code: str, split: str) -> Iterator[str]:
    """Ids that are unique within a file, and differ between splits."""
    year = "2017" if (code, split) == ("En", "train") else "2018"
    first = {"train": 1, "dev": 20_001, "test": 40_001}[split]
    return (f"{year}-{code}-{number:05}" for number in count(first))


def _mystery(code: str, split: str, dimension: str) -> list[list[str]]:
    if (code, split) != ("En", "test"):
        return []
    text = "The situation makes Leroy feel annoyed."
    return [[f"2018-En-mystery-{number:05}", f"{text} {number}", dimension, "0.000"] for number in range(1, 18)]


def _intensity(
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


def _valence(writer: Writer, code: str, split: str, rows: int) -> tuple[list[list[str]], list[list[str]]]:
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


def _emotions(writer: Writer, code: str, split: str, rows: int) -> list[list[str]]:
    table = [["ID", "Tweet", *EC_EMOTIONS]]
    ids = _ids(code, split)
    for chosen in writer.take([*EC_EMOTIONS, ""], rows):
        names = {chosen} - {""}
        if names and writer.random.random() < 0.4:
            names.add(writer.random.choice(EC_EMOTIONS))
        signal = interjections(*(name for name in EC_EMOTIONS if name in names)) or interjections("neutral")
        table.append([next(ids), writer.tell(signal), *(str(int(name in names)) for name in EC_EMOTIONS)])
    return table


def _ewect(scale: int, seed: int) -> Files:
    files = {"readme.txt": b"made up by `mmaffin samples`\n"}
    for domain, sizes in (("usual", (140, 20, 40)), ("virus", (70, 10, 20))):
        writer = Writer(seed, f"ewect {domain}", "zh")
        for split, rows in zip(("train", "eval", "test"), sizes, strict=True):
            labelled = [
                {"id": number, "content": writer.tell(interjections(label)), "label": label}
                for number, label in enumerate(writer.take(list(EWECT_LABELS), rows * scale), 1)
            ]
            if split == "train":  # two copies that disagree, and an empty one
                labelled.append({**labelled[0], "id": len(labelled) + 1, "label": labelled[1]["label"]})
                labelled.append({"id": len(labelled) + 1, "content": "", "label": "sad"})
                files[f"train/{domain}_train.txt"] = _array(labelled)
                continue
            bare = [{"id": row["id"], "content": row["content"]} for row in labelled]
            place = "eval" if split == "eval" else "test/real"
            files[f"{place}/{domain}_{split}.txt"] = _array(bare)
            files[f"{place}/{domain}_{split}_labeled.txt"] = _array(labelled)
        decoys = [{"id": number, "content": writer.tell(""), "label": "neutral"} for number in range(1, 11)]
        files[f"test/mixed/{domain}_test_labeled.txt"] = _array(decoys)
    return files


def _array(rows: list[dict[str, object]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False).encode()


def _onlineshopping(scale: int, seed: int) -> Files:
    writer = Writer(seed, "onlineshopping", "zh")
    table = [["cat", "label", "review"]]
    for category in SHOPPING_CATEGORIES:
        for label, sign in (("1", "positive"), ("0", "negative")):
            table += ([category, label, writer.tell(interjections(sign))] for _ in range(15 * scale))
    table[1][2] = "\ufeff" + table[1][2]
    table += [["热水器", "1", ""], ["酒店", "0", table[2][2]]]  # an empty review, and a copy that disagrees
    return {"online_shopping_10_cats.zip": zipped({SHOPPING_FILE: csv_bytes(table, ",", "\n")})}


def _xed(scale: int, seed: int) -> Files:
    files = {}
    numbers = {name: number for number, name in xed.LABELS.items()}
    junk = ["lost\nda/1954/46672/1.xml.gz\ten/1954/2.xml.gz\t113\t137", "4"]
    for language in benchmark()["XED"].languages:
        writer = Writer(seed, "xed", language)
        rows = []
        for chosen in writer.take([name for name in numbers if name != "neutral"], 40 * scale):
            other = writer.random.choice(list(numbers)[1:]) if writer.random.random() < 0.36 else chosen
            names = [name for name in numbers if name in (chosen, other)]
            rows.append([writer.tell(interjections(*names)), ", ".join(numbers[name] for name in names)])
        if language == "tr":
            text = "\n".join("\t".join(row) for row in [xed.HEADER, *rows])
            files["Projections/tr-projections2.tsv"] = text.encode()
        else:
            rows[0][0] = f'"{rows[0][0]}"'
            rows.insert(2, junk)
            end = "\n" if language == "en" else "\r\n"
            files[f"Projections/{language}-projections.tsv"] = csv_bytes(rows, "\t", end)
    return files


def _mms(scale: int, seed: int) -> Files:
    files = {}
    signs = {"-1": "negative", "0": "neutral", "1": "positive"}
    for language in benchmark()["MMS"].languages:
        writer = Writer(seed, "mms", language)
        rows = [
            [label, writer.tell(interjections(signs[label])), f"{writer.random.random():.6f}"]
            for label in writer.take(list(signs), 30 * scale)
        ]
        rows[0][1] = f'"{rows[0][1]}"'
        if language == "en":  # rows that the corpus's own loader drops
            rows += [["1", "", "0.5"], ["mixed", writer.tell(""), "0.5"]]
        files[f"data/{language}/{language}_sample.tsv"] = csv_bytes(rows, "\t", "\n")
    return files
