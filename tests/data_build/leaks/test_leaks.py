"""Training rows that copy a test row are found if a few characters differ, and kept if only the topic is the same."""

import json
import random
import string
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from data_build.build import build
from data_build.config import Config, Leaks
from data_build.leaks.leaks import LeakRow, find_leaks, make_rows
from data_build.leaks.near import jaccard, near_hashes, near_texts
from data_build.media.picture_hash import difference_hash, thumbnail
from data_build.samples import write_samples
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl

RULES = Leaks()
WORDS = [
    "".join(random.Random(n).choices(string.ascii_lowercase, k=random.Random(n).randint(2, 9))) for n in range(3000)
]


def tell(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(WORDS, k=words))


def edit(text: str, edits: int, chance: random.Random) -> str:
    """The text with so many characters replaced, inserted or removed."""
    letters = list(text)
    for _ in range(edits):
        place = chance.randrange(len(letters))
        letters[place : place + chance.randint(0, 1)] = chance.choice(["", *string.ascii_lowercase])
    return "".join(letters)


def test_the_share_of_trigrams_by_hand() -> None:
    """ " ab", "abc", "bc " and " ab", "abc", "bcd", "cd " share two of five."""
    assert jaccard("abc", "abcd") == jaccard("abcd", "abc") == 2 / 5
    assert jaccard("abc", "abc") == 1 and jaccard("abc", "xyz") == 0


def test_edits_of_a_few_characters_are_found_and_unrelated_texts_are_not() -> None:
    chance = random.Random(6)
    tests = [tell(chance, chance.randint(12, 30)) for _ in range(3000)]
    planted = {number: edit(tests[number], chance.randint(1, 3), chance) for number in range(0, 3000, 3)}
    train = [planted.get(number) or tell(chance, chance.randint(12, 30)) for number in range(6000)]
    found = {pair.left: pair for pair in near_texts(train, tests, RULES.similarity)}
    assert len(found.keys() & planted.keys()) >= 0.99 * len(planted)
    assert set(found) <= set(planted)
    assert all(pair.right == left and pair.similarity >= RULES.similarity for left, pair in found.items())


@pytest.mark.parametrize(
    "text", ["物流很快，包装完好，质量不错，下次还会再来买的", "هذا الكتاب جميل جدا وأنصح الجميع بقراءته"]
)
def test_scripts_without_latin_letters(text: str) -> None:
    near = text.replace(text[5], "x", 1)
    assert near_texts([near], [text, text[::-1]], 0.7) == [(0, 0, jaccard(near, text))]


def test_nothing_to_compare() -> None:
    assert near_texts([], ["a"], 0.7) == near_texts(["a"], [], 0.7) == []
    assert len(near_hashes(np.array([], np.uint64), np.array([1], np.uint64))) == 0


def test_hashes_that_differ_in_three_bits_are_found_wherever_they_are() -> None:
    chance = np.random.default_rng(6)
    tests = chance.integers(0, 1 << 63, 500, dtype=np.uint64)
    flips = [sum(1 << int(bit) for bit in chance.choice(64, 3, replace=False)) for _ in tests]
    train = tests ^ np.array(flips, np.uint64)
    assert near_hashes(train, tests).tolist() == [[number, number] for number in range(500)]
    assert len(near_hashes(train, tests, 2)) == 0


def picture(seed: int) -> Image.Image:
    chance = random.Random(seed)
    drawn = Image.new("RGB", (160, 120), tuple(chance.choices(range(256), k=3)))
    pen = ImageDraw.Draw(drawn)
    for _ in range(12):
        x, y = chance.randint(0, 150), chance.randint(0, 110)
        pen.rectangle((x, y, x + 40, y + 30), tuple(chance.choices(range(256), k=3)))
    return drawn


def test_a_picture_is_found_scaled_and_compressed_again(tmp_path: Path) -> None:
    one, other = picture(1), picture(2)
    media = tmp_path / "media"
    media.mkdir()
    one.save(media / "test.png")
    other.save(media / "other.png")
    one.resize((120, 90)).save(tmp_path / "small.jpg", quality=80)
    again = Image.open(tmp_path / "small.jpg")
    again.save(media / "small.png")

    def row(name: str, drawn: Image.Image, words: str = "") -> LeakRow:
        return LeakRow(name, "FER2013", words, False, f"media/{name}.png", difference_hash(drawn))

    leaks = find_leaks([row("small", again), row("other", other)], [row("test", one)], RULES, tmp_path)
    assert [(leak.train.id, leak.test.id, leak.kind) for leak in leaks] == [("small", "test", "near")]
    # the same first frame with other words is another utterance
    assert find_leaks([row("small", again, "no, never")], [row("test", one, "come in")], RULES, tmp_path) == []


def test_a_detailed_picture_is_found_in_another_crop_and_contrast(tmp_path: Path) -> None:
    """Copies in FER2013 differ by a pixel of the crop, or in contrast: by more than the 4 levels of the rules."""
    media = tmp_path / "media"
    media.mkdir()
    blocks = Image.frombytes("L", (24, 24), random.Random(3).randbytes(24 * 24))
    drawn = blocks.resize((96, 96), Image.Resampling.BICUBIC)
    made = {
        "test": drawn,
        "crop": drawn.crop((1, 0, 96, 95)).resize((96, 96), Image.Resampling.BICUBIC),
        "grey": drawn.point(lambda level: 128 + (level - 128) * 8 // 10),
        "other": drawn.transpose(Image.Transpose.ROTATE_90),
    }
    rows = {}
    for name, one in made.items():
        one.save(media / f"{name}.png")
        rows[name] = LeakRow(name, "FER2013", "", False, f"media/{name}.png", difference_hash(drawn))
        difference = float(abs(thumbnail(one) - thumbnail(drawn)).mean())
        assert name == "test" or difference > RULES.picture_levels
    found = find_leaks([rows["crop"], rows["grey"], rows["other"]], [rows["test"]], RULES, tmp_path)
    assert [leak.train.id for leak in found] == ["crop", "grey"]
    strict = RULES.model_copy(update={"picture_shift": 0})
    assert find_leaks([rows["crop"], rows["grey"]], [rows["test"]], strict, tmp_path) == []


def test_a_picture_that_only_looks_alike_is_no_copy(tmp_path: Path) -> None:
    """The same shapes in other greys: the difference hashes are equal, the pictures differ by 10 of 255 levels."""
    media = tmp_path / "media"
    media.mkdir()
    one = picture(1).convert("L").point(lambda level: 20 + level * 200 // 255)
    found = {}
    for name, levels in (("test", 0), ("close", 3), ("alike", 10)):
        drawn = one.point(lambda level, levels=levels: level + levels)
        drawn.save(media / f"{name}.png")
        found[name] = LeakRow(name, "FER2013", "", False, f"media/{name}.png", difference_hash(drawn))
    assert len({row.sight for row in found.values()}) == 1
    leaks = find_leaks([found["close"], found["alike"]], [found["test"]], RULES, tmp_path)
    assert [leak.train.id for leak in leaks] == ["close"]


def test_texts_at_the_bound_are_found() -> None:
    """Pairs that share 0.70 to 0.75 of their trigrams; the banding finds each with a probability of at least 0.99."""
    chance, tests, train = random.Random(7), list[str](), list[str]()
    while len(tests) < 400:
        text = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz ", k=80))
        copy = list(text)
        for at in chance.sample(range(80), 4):
            copy[at] = "?"
        if 0.7 <= jaccard(text, "".join(copy)) <= 0.75:
            tests.append(text)
            train.append("".join(copy))
    found = {(pair.left, pair.right) for pair in near_texts(train, tests, 0.7)}
    assert len(found & {(at, at) for at in range(400)}) >= 388


def test_what_counts_as_a_copy() -> None:
    long, short = "I never thought that this would end so well, thank you", "Oh my God!"
    rows = {
        "same": long.upper() + "  ", "near": long.replace("thought", "thougt"), "short": short, "other": "a" * 60,
    }  # fmt: skip
    train = make_rows([(name, "MMS", words, "") for name, words in rows.items()], {}, RULES.shortest)
    tests = make_rows([("test", "XED", long, ""), ("test2", "XED", short, "")], {}, RULES.shortest)
    leaks = find_leaks(train, tests, RULES, Path())
    assert [(leak.train.id, leak.kind) for leak in leaks] == [("same", "exact"), ("near", "near")]
    assert make_rows([("zh", "MMS", "物流很快包装完好物流快", "")], {}, 20)[0].long  # a Chinese character counts as two


def test_build_takes_copies_of_tests_out_of_training(built: Path) -> None:
    dataset = Dataset.open(built)
    told = json.loads((built / "leakage.json").read_text())
    assert told["rules"]["remove"] and told["leaks"] == dataset.manifest["leakage"]["leaks"] > 0
    gone = [row for row in read_jsonl(built / "quarantine.jsonl") if row["reason"].endswith("copies a test row")]
    assert len(gone) == told["leaks"]
    tests = {record.id for name in dataset.subsets("test") for record in dataset.records(name, "test")}
    assert all(row["detail"].split(" ")[0] in tests for row in gone)
    train = {record.id for name in dataset.subsets("train") for record in dataset.records(name, "train")}
    assert all(one["train"]["id"] not in train and one["test"]["id"] in tests for one in told["examples"])
    origins = told["origins"]
    assert origins.keys() == {"EMOTIC_EC", "EMOTIC_SI", "SAMSEMO", "MELD_EC", "MELD_SP", "CHSIMS_SP", "CHSIMS_SI"}
    assert [one["both"] for one in origins["MELD_EC"] if one["of"] == "speaker"] == [3]  # Ada, Ben and Cleo
    assert "| MELD_EC | speaker | 3 | 3 | 3 |" in (built / "leakage.md").read_text(encoding="utf-8")
    assert "| MELD_EC | speaker | 3 | 3 | 3 |" in (built / "README.md").read_text(encoding="utf-8")


def test_a_switch_leaves_them_and_the_report_says_so(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    write_samples(raw, only={"semeval2018"})
    left = config.model_copy(update={"leaks": Leaks(remove=False)})
    subsets = choose_subsets("semeval2018_spanish")
    build(raw, tmp_path / "left", left, subsets, jobs=1)
    build(raw, tmp_path / "gone", config, subsets, jobs=1)
    rows = {name: Dataset.open(tmp_path / name).manifest for name in ("left", "gone")}
    leaks = rows["left"]["leakage"]["leaks"]
    assert leaks == rows["gone"]["leakage"]["leaks"] > 0
    train = {name: of["subsets"]["semeval2018_spanish"]["train"]["rows"] for name, of in rows.items()}
    assert train["left"] - train["gone"] == leaks
    assert "They were left in training" in (tmp_path / "left" / "leakage.md").read_text()
    line = f"leakage: {leaks} of {train['left']} training rows copy a test row, exactly or nearly\n"
    assert capsys.readouterr().err.count(line) == 2


def test_hashes_may_differ_in_as_many_bits_as_the_rules_say(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    for name in ("one", "other"):
        picture(3).save(tmp_path / f"media/{name}.png")
    test = LeakRow("test", "FER2013", "", False, "media/one.png", 0)
    for bits, copies in ((RULES.picture_bits, True), (RULES.picture_bits + 1, False)):
        row = LeakRow("row", "FER2013", "the same long words", True, "media/other.png", (1 << bits) - 1)
        assert bool(find_leaks([row], [test], RULES, tmp_path)) is copies
        assert bool(find_leaks([row], [test._replace(words=row.words, long=True)], RULES, tmp_path)) is copies


def test_of_two_clips_kept_as_files_only_the_hash_is_known() -> None:
    test = LeakRow("test", "MELD_EC", "", False, "test.mp4", 0)
    for sight, copies in ((0, True), (1, False)):
        row = LeakRow("row", "MELD_EC", "", False, "row.mp4", sight)
        assert bool(find_leaks([row], [test], RULES, Path())) is copies


def test_words_alone_are_a_copy_where_one_side_has_no_picture() -> None:
    words = "i never thought that this would end so well"
    text, clip = LeakRow("text", "XED", words, True, "", 0), LeakRow("clip", "MELD_EC", words, True, "a.mp4", 5)
    assert [one.kind for one in find_leaks([text], [clip], RULES, Path())] == ["exact"]
    assert [one.kind for one in find_leaks([clip], [text], RULES, Path())] == ["exact"]
    assert find_leaks([clip], [clip._replace(id="other", picture="b.mp4", sight=~5 & 0xFFFF)], RULES, Path()) == []


def test_the_closest_test_row_is_named() -> None:
    """An exact copy before a near one, and of near ones the more similar, in whichever order the tests come."""
    words = "i never thought that this would end so well, thank you all"
    row = LeakRow("row", "MMS", words, True, "", 0)
    near, nearer = (LeakRow(name, "XED", words.replace(*change), True, "", 0)
                    for name, change in (("near", ("thought", "thougt")), ("nearer", ("all", "al"))))  # fmt: skip
    assert jaccard(words, near.words) < jaccard(words, nearer.words) < 1
    exact = row._replace(id="exact")
    for tests, name in (([near, nearer], "nearer"), ([nearer, near], "nearer"), ([nearer, exact, near], "exact")):
        (leak,) = find_leaks([row], tests, RULES, Path())
        assert leak.test.id == name and leak.similarity == jaccard(words, leak.test.words)
    # found twice, by words and by sight: the clip has no words, so all that both have is the same
    clip = LeakRow("clip", "MELD_EC", "", False, "b.mp4", 7)
    seen = row._replace(picture="a.mp4", sight=7)
    (leak,) = find_leaks([seen], [near, clip], RULES, Path())
    assert (leak.test.id, leak.similarity) == ("clip", 1.0)


def test_texts_exactly_at_the_bounds_are_copies() -> None:
    text = "i never thought that this would end so well, thank you all"
    near = text.replace("thought", "thougt")
    assert near_texts([near], [text], jaccard(near, text)) == [(0, 0, jaccard(near, text))]
    short = "a" * (RULES.shortest - 1)
    rows = make_rows([("short", "MMS", short, ""), ("long", "MMS", f"{short}a", "")], {}, RULES.shortest)
    assert [row.long for row in rows] == [False, True]
