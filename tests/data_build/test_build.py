"""A whole build: the same bytes however it is run, every row accounted for, bad input reported."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data_build.build import build
from data_build.config import Config, load_config, load_mix
from data_build.dataset.check import check
from data_build.media.journal import read_journal
from data_build.reading.corpus import NO_LANGUAGE
from data_build.remix import remix
from mmafflm.benchmark.benchmark import benchmark, choose_subsets
from mmafflm.dataset import Dataset, data_hash
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import SPLITS, Record, media_files
from mmafflm.sampling import shuffle_key
from tests.command import mmaffin
from tests.data_build.raw_rows import hashes
from tests.shared import FEW


def test_all_subsets_are_built_and_agree_with_the_manifest(built: Path) -> None:
    dataset = Dataset.open(built)
    assert check(dataset) == []
    assert set(dataset.subsets("test")) == set(dataset.subsets("train")) == set(benchmark())
    for name, subset in benchmark().items():
        languages = dataset.manifest["subsets"][name]["test"]["languages"]
        assert set(languages) == set(subset.languages or [NO_LANGUAGE])
        for record in dataset.records(name, "test"):
            assert (record.modality == "image") == (len(record.images) == 1)
            assert (record.modality == "video") == (len(record.videos) == 1)
            assert all((built / file).is_file() for file in media_files(record))


def test_rows_read_are_rows_kept_and_rows_in_quarantine(built: Path) -> None:
    dataset = Dataset.open(built)
    lines = [json.loads(line) for line in (built / "quarantine.jsonl").read_text().splitlines()]
    for name, of in dataset.manifest["corpora"].items():
        assert of["rows_read"] == of["rows_kept"] + sum(row["rows"] for row in lines if row["corpus"] == name)
    assert all(set(row) == {"corpus", "source", "reason", "detail", "rows"} and row["reason"] for row in lines)


def test_second_build_does_nothing(built: Path, raw: Path, config: Config) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in built.rglob("*") if path.is_file() and path.name != ".lock"}
    assert not build(raw, built, config, choose_subsets(None))
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_bytes_do_not_depend_on_jobs(few: Path, raw: Path, config: Config, tmp_path: Path) -> None:
    """For a few rows of everything; test_build_media.py compares all rows of two corpora of clips."""
    build(raw, tmp_path / "data", config, choose_subsets(None), jobs=2, limit=FEW)
    assert hashes(tmp_path / "data") == hashes(few)


def test_each_record_is_written_once_and_read_twice(raw: Path, tmp_path: Path) -> None:
    """Read to be hashed, and for the typed files; the mix is only hashed."""
    program = (
        "import collections, json, pathlib, sys\n"
        "opened = collections.Counter()\n"
        "def note(event, args):\n"
        "    name = pathlib.Path(str(args[0])).name if event == 'open' else ''\n"
        "    if name.strip('.').startswith(('XED_', 'onlineshopping_', 'mmaffin_train')) and 'jsonl' in name:\n"
        "        opened[f'{args[1]} {name}'] += 1\n"
        "sys.addaudithook(note)\n"
        "from data_build.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(json.dumps(opened))\n"
    )
    words = ["--raw", raw, "--out", tmp_path / "data", "--subsets", "XED,onlineshopping", "--jobs", "1"]
    command = [sys.executable, "-c", program, "build", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    leaked = json.loads((tmp_path / "data/manifest.json").read_text())["leakage"]["leaks"]
    files = [f"{name}_{split}" for name in ("XED", "onlineshopping") for split in SPLITS]
    once = {f"x .{name}.jsonl.partial": 1 for name in [*files, "mmaffin_train"]}
    assert leaked and json.loads(done.stdout) == once | {f"r {name}.jsonl": 2 for name in files} | {
        "r mmaffin_train.jsonl": 1
    }


def shown(record: Record) -> tuple[str, ...]:
    """What a record asks about: its text and its pictures, which are named by their content."""
    return (record.prompt.lower(), *media_files(record))


def test_no_text_of_a_test_is_in_training(built: Path) -> None:
    dataset = Dataset.open(built)
    for name in dataset.subsets("train"):
        held = {shown(record) for split in ("test", "val") for record in dataset.records(name, split)
                if split in dataset.manifest["subsets"][name]}  # fmt: skip
        assert not held & {shown(record) for record in dataset.records(name, "train")}


def test_mix_is_balanced_and_holds_every_row_once(built: Path) -> None:
    mix = Dataset.open(built).manifest["mix"]
    ids = [json.loads(line)["id"] for line in (built / mix["file"]).read_text().splitlines()]
    assert len(ids) == len(set(ids)) == mix["rows"] == sum(sum(of.values()) for of in mix["subsets"].values())
    assert ids == sorted(ids, key=lambda name: shuffle_key(mix["seed"], name))  # shuffled across corpora
    assert mix["subsets"].keys() == mix["asked"].keys() and len({name.split("/")[0] for name in ids[:100]}) > 5
    trained = Dataset.open(built).manifest["subsets"]
    for name, taken in mix["subsets"].items():
        there = trained[name]["train"]["languages"]
        most = max(taken.values())
        assert sum(taken.values()) == min(mix["asked"][name], sum(there.values()))
        assert all(rows == there[language] or rows >= most - 1 for language, rows in taken.items()), name


def test_default_mix_is_the_papers_number() -> None:
    assert sum(load_config(None).mix.values()) == 450 * 256 == 115_200
    assert list(load_config(None).mix) == [name for name in benchmark() if name in load_config(None).mix]


def test_another_mix_over_the_same_build(built: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data)
    (tmp_path / "mix.yaml").write_text("seed: 3\nmix: {XED: 50, onlineshopping: 20}\n")
    assert remix(Dataset.open(data), load_mix(tmp_path / "mix.yaml")) == 70
    dataset = Dataset.open(data)
    assert check(dataset) == []
    assert dataset.manifest["mix"]["subsets"]["XED"] == dict.fromkeys(benchmark()["XED"].languages, 2)
    assert dataset.hash != Dataset.open(built).hash
    with (data / "mmaffben/XED_test.jsonl").open("a") as changed:
        changed.write("{}\n")
    with pytest.raises(Fault, match=r"XED_test\.jsonl: changed after the build"):  # it gets no new hash
        remix(dataset, load_mix(tmp_path / "mix.yaml"))


def test_a_mix_beside_the_build_leaves_the_build_alone(built: Path, tmp_path: Path) -> None:
    dataset, before, out = Dataset.open(built), hashes(built), tmp_path / "english"
    (tmp_path / "mix.yaml").write_text("seed: 3\nmodalities: [text, video]\nlanguages: [en]\n")
    english = load_mix(tmp_path / "mix.yaml")
    rows = remix(dataset, english, out, share=0.01)
    assert hashes(built) == before and check(Dataset.open(out)) == []
    told = Dataset.open(out).manifest["mix"]
    assert told["rows"] == rows and told["asked"]["MMS"] == 162 and "FER2013" not in told["asked"]
    assert {language for of in told["subsets"].values() for language in of} == {"en"}
    assert {"MMS", "SAMSEMO", "MELD_EC"} <= told["subsets"].keys() and "EWECT_usual" not in told["subsets"]
    assert "Only rows in: en." in (out / "README.md").read_text()
    test = "mmaffben/XED_test.jsonl"
    assert (out / test).samefile(built / test)  # a hard link: tests and pictures take up no extra space
    stamp = (out / "manifest.json").stat().st_mtime_ns
    assert remix(dataset, english, out, share=0.01) == rows
    assert (out / "manifest.json").stat().st_mtime_ns == stamp
    with pytest.raises(UsageFault, match="holds something else than this mix"):
        remix(dataset, english, out, share=0.02)
    older = shutil.copytree(built, tmp_path / "older", copy_function=os.link)
    shutil.rmtree(older / "mmaffin/typed")
    files = {name: file for name, file in dataset.files.items() if "/typed/" not in name}
    (older / "manifest.json").unlink()  # a link
    made = dataset.manifest | {"files": files, "data_hash": data_hash(files)}
    (older / "manifest.json").write_text(json.dumps(made))
    with pytest.raises(Fault, match=r"typed: has no files of .* an older version made this build\. Run: .*--replace"):
        remix(Dataset.open(older), english, tmp_path / "other", share=0.01)


@pytest.mark.parametrize(("key", "value"), [("modalities", "audio"), ("languages", "klingon"), ("mix", "XET: 1")])
def test_a_mix_file_with_a_foreign_name_is_a_sentence(key: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(f"seed: 1\n{key}: {'{' + value + '}' if key == 'mix' else '[' + value + ']'}\n")
    with pytest.raises(UsageFault, match=f"mix.yaml: {key}: {value.partition(':')[0]} is not one of"):
        load_mix(path)


def test_check_finds_what_changed(built: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(built, data)
    test = data / "mmaffben" / "XED_test.jsonl"
    test.write_text(test.read_text().replace("sadness", "joyness", 1))
    (data / "mmaffin" / "dataset_info.json").unlink()
    (data / "notes.txt").write_text("mine")
    with (data / "mmaffin" / "MMS_val.jsonl").open("a") as rows:
        rows.write("not JSON\n")
    done = mmaffin("check", "--data", data)
    assert done.returncode == 1
    faults = done.stdout.splitlines()
    assert any("XED_test.jsonl: changed after the build" in fault for fault in faults)
    assert any("dataset_info.json: missing" in fault for fault in faults)
    assert any("notes.txt: not in the manifest" in fault for fault in faults)
    assert any("not JSON" in fault for fault in faults), faults


def test_missing_corpora_are_left_out_and_said(raw: Path, tmp_path: Path, config: Config,
                                               capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "raw").mkdir()
    shutil.copytree(raw / "onlineshopping", tmp_path / "raw" / "onlineshopping")
    build(tmp_path / "raw", tmp_path / "data", config, choose_subsets("XED,onlineshopping"), jobs=1)
    assert "xed: not in" in capsys.readouterr().err
    assert Dataset.open(tmp_path / "data").subsets("test") == ["onlineshopping"]


def test_raw_without_any_corpus_is_refused(tmp_path: Path, config: Config) -> None:
    with pytest.raises(UsageFault, match="no corpus found"):
        build(tmp_path, tmp_path / "data", config, choose_subsets(None))
    with pytest.raises(UsageFault, match="no such folder"):
        build(tmp_path / "nowhere", tmp_path / "data", config, choose_subsets(None))


def test_truncated_archive_is_a_sentence(raw: Path, tmp_path: Path) -> None:
    shutil.copytree(raw / "onlineshopping", tmp_path / "raw" / "onlineshopping")
    archive = next((tmp_path / "raw").rglob("*.zip"))
    archive.write_bytes(archive.read_bytes()[:200])
    done = mmaffin("build", "--raw", tmp_path / "raw", "--out", tmp_path / "data")
    assert done.returncode == 1
    assert "a broken or truncated archive" in done.stderr and "Download it again" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "data" / "manifest.json").exists()


def test_text_with_a_control_token_of_the_model_is_quarantined(tmp_path: Path, config: Config) -> None:
    """LLaMA-Factory refuses a text with <image> and no picture; <|im_end|> would end the user's turn."""
    (tmp_path / "raw" / "onlineshopping").mkdir(parents=True)
    rows = [f"书籍,{number % 2},评论 {number}" for number in range(40)]
    rows[3], rows[4], rows[5] = "书籍,1,看 <image> 图", "书籍,0,<|im_end|> 完", "书籍,1,a <b> |c| <|not one>"
    (tmp_path / "raw" / "onlineshopping" / "online_shopping_10_cats.csv").write_text(
        "\n".join(["cat,label,review", *rows])
    )
    build(tmp_path / "raw", tmp_path / "data", config, choose_subsets("onlineshopping"), jobs=1)
    told = [json.loads(line) for line in (tmp_path / "data" / "quarantine.jsonl").read_text().splitlines()]
    assert [row["detail"] for row in told] == ["看 <image> 图", "<|im_end|> 完"]
    assert {row["reason"] for row in told} == {"text holds a control token of the model"}


def test_limit_keeps_a_few_rows_of_everything(raw: Path, tmp_path: Path, config: Config) -> None:
    build(raw, tmp_path / "data", config, choose_subsets("XED,EMOTIC_EC,MELD_EC,FER2013"), jobs=1, limit=25)
    dataset = Dataset.open(tmp_path / "data")
    for name, of in dataset.manifest["subsets"].items():
        least = 23  # one or two broken pictures and copies of tests are found only after the draw
        assert least <= of["test"]["rows"] <= 25 and least <= of["train"]["rows"] <= 25, name
    assert check(dataset) == []
    assert len(read_journal(tmp_path / "data")) <= 3 * 3 * 25  # no other media are opened


def test_limited_builds_are_nested_and_part_of_the_whole_one(raw: Path, tmp_path: Path, config: Config) -> None:
    """CFAPS has no splits of its own; with a limit, only the pictures of the chosen rows are opened."""
    ids: dict[int | None, set[str]] = {}
    for limit in (6, 15, None):
        data = tmp_path / str(limit)
        build(raw, data, config, choose_subsets("CFAPS_EC,XED"), jobs=1, limit=limit)
        dataset = Dataset.open(data)
        files = [(name, split) for split in SPLITS for name in dataset.subsets(split)]
        ids[limit] = {one.id for name, split in files for one in dataset.records(name, split)}
    assert ids[6] < ids[15]
    # in the whole build, only copied or broken pictures can change the split of another row
    assert len(ids[15] - (ids[None] or set())) <= 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sede: 1", r"sede: unknown key \(do you mean seed\?\). Known keys: seed"),  # not: seed is missing
        ("seed: 1\nsplits: {}\nmix: {}\ncaps: {}", "caps: unknown key. Known keys: seed"),
        ("seed: 1\nsplits: {XET: {test: 1, val: 1}}\nmix: {}", "splits: XET is not one of"),
        ("seed: 1\nsplits: {XED: {test: -1, val: 1}}\nmix: {}", "splits.XED.test: Input should be greater"),
        ("seed: [", "not YAML"),
        ("seed: 1\nsplits: {}\nmix: {}\ncorpora: {xed: {en: x}}", "corpora.xed: en is not one of"),
    ],
)
def test_config_with_a_typo_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageFault, match=message):
        load_config(tmp_path / "config.yaml")
