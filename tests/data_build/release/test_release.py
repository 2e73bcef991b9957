"""Import the released JSON as a build, and export a build for other tools; one is the inverse of the other."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_build.config import Config
from data_build.dataset.check import check
from data_build.release.export import export
from data_build.release.form import Form
from data_build.release.import_release import import_release
from data_build.release.names import SubsetSplit as Name
from data_build.release.names import registered, split_of
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import Record, media_files, read_jsonl, sha256_of
from mmafflm.train.plan.plan import plan
from tests.command import mmaffben, mmaffin
from tests.look_alike import look_alike
from tests.paths import ROOT

TEXTS = [name for name, subset in benchmark().items() if subset.modality == "text"]
OTHERS = [name for name in benchmark() if name not in TEXTS]
OURS_ALONE = ("id", "language", "source", "translated_from")  # keys that the released rows do not have


@pytest.fixture(scope="module")
def exported(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export in the form of the release: alpaca for texts, sharegpt for the rest, in one folder."""
    out = tmp_path_factory.mktemp("release") / "MMAFFIn"
    export(Dataset.open(built), "llamafactory-alpaca", out, TEXTS)
    export(Dataset.open(built), "sharegpt", out, OTHERS)
    return out


@pytest.fixture(scope="module")
def bare(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The text subsets of the export, without the keys that the release does not have."""
    out = tmp_path_factory.mktemp("bare") / "MMAFFIn"
    out.mkdir()
    for name in TEXTS:
        for path in exported.glob(f"{name}_*.json"):
            rows = [{key: row[key] for key in row if key not in OURS_ALONE} for row in json.loads(path.read_text())]
            write(out / path.name, rows)
    return out


def write(path: Path, rows: Any) -> None:
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")


def taken(folder: Path, out: Path, config: Config, **options: Any) -> Dataset:
    import_release([str(folder)], out, config, jobs=1, **options)
    dataset = Dataset.open(out)
    assert check(dataset) == []
    return dataset


def rows(dataset: Dataset, subset: str, split: str = "train") -> list[Record]:
    return list(dataset.records(subset, split))


def test_registered_names_are_the_published_ones_and_their_oddities() -> None:
    assert registered(Name("CHSIMS_SI", "val")) == ["CHSIMS_EI_val", "CHSIMS_SI_val"]
    assert registered(Name("semeval2018_arabic", "val")) == ["semeval2018_arabic_dev", "semeval2018_arabic_val"]
    assert registered(Name("XED", "test")) == ["XED_test"]
    assert split_of("weibo_train") is split_of("XED") is split_of("XED_dev2") is None
    for subset in benchmark():
        for split in ("train", "val", "test"):
            assert {split_of(name) for name in registered(Name(subset, split))} == {Name(subset, split)}


def test_export_then_import_is_the_identity(built: Path, exported: Path, config: Config, tmp_path: Path) -> None:
    """Every file of records, every twin, the mix and every picture, byte for byte."""
    dataset = taken(exported, tmp_path / "data", config)
    before = Dataset.open(built)
    for name in before.files:
        if name.startswith(("mmaffin/", "mmaffben/")):
            assert dataset.files[name]["sha256"] == before.files[name]["sha256"], name
    records = (record for name in OTHERS for split in ("train", "test") for record in rows(before, name, split))
    pictures = {name for record in records for name in media_files(record)}
    assert pictures and all(sha256_of(built / name) == sha256_of(tmp_path / "data" / name) for name in pictures)
    assert dataset.manifest["import"]["prompts"] == dataset.manifest["import"]["answers"] == []
    assert not import_release([str(exported)], tmp_path / "data", config)  # nothing to do


def test_parquet_goes_back_too_where_no_json_says_more(built: Path, config: Config, tmp_path: Path) -> None:
    before, out, names = Dataset.open(built), tmp_path / "out", ["semeval2018_arabic", "CFAPS_EI", "CHSIMS_SI"]
    export(before, "parquet", out, names)
    (out / "CFAPS_EI_val.json").write_bytes(b"[]")
    dataset = taken(out, tmp_path / "data", config)
    files = {of["file"] for name in names for of in before.manifest["subsets"][name].values()}
    assert {of["file"] for splits in dataset.manifest["subsets"].values() for of in splits.values()} == files - {
        "mmaffin/CFAPS_EI_val.jsonl"
    }
    same = sorted(files & dataset.files.keys())
    assert [dataset.files[name]["sha256"] for name in same] == [before.files[name]["sha256"] for name in same]


def test_a_builds_own_rows_say_what_they_were_translated_from() -> None:
    told = {"language": "en", "engine": "apertium"}
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    row = {"id": "XED/es<-en/train/1", "messages": messages, "translated_from": told, "images": [], "videos": []}
    assert json.loads(Form.of_row(row).read(row).written["translated_from"]) == told
    assert "translated_from" not in Form.of_row(row).read(row | {"translated_from": None}).written


def test_import_recovers_what_the_released_texts_do_not_say(
    built: Path, bare: Path, config: Config, tmp_path: Path
) -> None:
    dataset, before = taken(bare, tmp_path / "data", config), Dataset.open(built)
    for name in TEXTS:
        for split in ("train", "val", "test"):
            ours, theirs = rows(dataset, name, split), rows(before, name, split)
            for field in ("task", "emotion", "prompt", "answer", "gold", "split", "modality"):
                assert [getattr(row, field) for row in ours] == [getattr(row, field) for row in theirs], (name, field)
            if split == "test" or len(benchmark()[name].languages) == 1:  # training may have lost a leak or two
                assert [row.language for row in ours] == [row.language for row in theirs], name
            assert all(row.language in (other.language, "und") for row, other in zip(ours, theirs, strict=True))
    found = {row["split"]: row["language_from"] for row in dataset.manifest["import"]["recovered"]
             if row["subset"] == "XED"}  # fmt: skip
    assert found["test"] == "blocks of one size in the published order" and "not recovered" in found["train"]


def test_languages_are_not_guessed_when_the_order_is_another(bare: Path, config: Config, tmp_path: Path) -> None:
    release = tmp_path / "release"
    release.mkdir()
    write(release / "XED_test.json", json.loads((bare / "XED_test.json").read_text())[::-1])
    dataset = taken(release, tmp_path / "data", config)
    told = [row.language for row in rows(dataset, "XED", "test")]
    assert set(told) == {"und", "ar", "el", "he"}  # no other language there has their letters
    assert "not recovered" in (tmp_path / "data" / "import.md").read_text()


def semeval(*rows: tuple[str, str]) -> list[dict[str, str]]:
    return [{"instruction": prompt, "input": "", "output": answer} for prompt, answer in rows]


def test_prompts_that_are_not_ours_are_kept_and_listed(config: Config, tmp_path: Path) -> None:
    task = benchmark()["semeval2018_english"].task("ei_oc")
    other = "Rate the tweet. Text: so { angry } now. Emotion E: anger. Intensity Class:"
    release = tmp_path / "release"
    release.mkdir()
    write(release / "semeval2018_english_train.json",
          semeval((other, task.answer(2, "anger")), (task.ask("fine", "joy"), task.answer(0, "joy"))))  # fmt: skip
    dataset = taken(release, tmp_path / "data", config)
    first, second = rows(dataset, "semeval2018_english")
    assert (first.prompt, first.task, first.emotion, first.gold) == (other, task.kind, "anger", 2)
    assert second.prompt == task.ask("fine", "joy")
    (told,) = dataset.manifest["import"]["prompts"]
    assert told["template"] == "Rate the tweet. Text: {text}. Emotion E: {emotion}. Intensity Class:"
    assert told["rows"] == 1 and "+Rate the tweet." in (tmp_path / "data" / "import.md").read_text()


def test_instruction_and_input_are_joined_as_llamafactory_does_and_system_is_said(
    config: Config, tmp_path: Path
) -> None:
    head, text = benchmark()["MMS"].task("sp").prompt.replace("{text}", "|").split("|")[0].rstrip(), "gut"
    release = tmp_path / "release"
    release.mkdir()
    row = {"instruction": head, "input": text, "output": "1.positive", "system": "You are kind."}
    write(release / "MMS_val.json", [row])
    dataset = taken(release, tmp_path / "data", config)
    (record,) = rows(dataset, "MMS", "val")
    assert record.prompt == f"{head}\n{text}" and record.answer == "1. positive" and record.gold == ["positive"]
    assert dataset.manifest["import"]["answers"] == [
        {"subset": "MMS", "task": "sp", "rows": 1, "examples": ["1.positive"]}
    ]
    assert dataset.manifest["import"]["system"] == 1


def test_a_row_that_cannot_be_used_is_in_quarantine_with_its_place(config: Config, tmp_path: Path) -> None:
    ask = benchmark()["XED"].task("ec").ask
    release = tmp_path / "release"
    release.mkdir()
    bad = [
        {"instruction": ask("a"), "input": "", "output": "2. joy"},
        {"instruction": ask("b"), "input": "", "output": "9. boredom"},
        {"instruction": "What is this?", "input": "", "output": "no idea"},
        {"instruction": ask("c"), "input": "", "output": ["1. joy"]},
        ["1. joy"],
    ]
    good = {"instruction": ask("fine"), "input": "", "output": "2. sadness, 1. joy"}
    write(release / "XED_test.json", [good, *bad])
    write(release / "weibo_test.json", [good])
    dataset = taken(release, tmp_path / "data", config)
    assert [record.gold for record in rows(dataset, "XED", "test")] == [["joy", "sadness"]]
    quarantine = [(row["source"], row["reason"]) for row in read_jsonl(tmp_path / "data" / "quarantine.jsonl")]
    assert quarantine == [
        ("XED_test.json:2", "gold cannot be parsed"),
        ("XED_test.json:3", "gold cannot be parsed"),
        ("XED_test.json:4", "the task cannot be determined"),
        ("XED_test.json:5", "not a row in the form of its file"),
        ("XED_test.json:6", "not a row in the form of its file"),
    ]
    assert dataset.manifest["corpora"]["xed"]["rows_read"] == 6


def test_the_order_of_the_published_test_tells_task_and_emotion(config: Config, tmp_path: Path) -> None:
    """All prompts are unknown and all answers numbers: only the place in the file tells task and emotion."""
    subset = benchmark()["semeval2018_arabic"]
    release = tmp_path / "release"
    release.mkdir()
    answers = {"ei_reg": "0.5", "v_oc": subset.task("v_oc").answer(1), "v_reg": "0.5", "e_c": "1. joy"}
    order = [(task, task.emotion_rows or ((None, task.test_rows),)) for task in subset.tasks]
    wanted = [(task, emotion) for task, blocks in order for emotion, count in blocks for _ in range(count)]
    lines = [
        (f"question {number}", answers.get(task.key) or task.answer(1, emotion))
        for number, (task, emotion) in enumerate(wanted)
    ]
    write(release / "semeval2018_arabic_test.json", semeval(*lines))
    dataset = taken(release, tmp_path / "data", config)
    found = [(row.task, row.emotion) for row in rows(dataset, "semeval2018_arabic", "test")]
    assert found == [(task.kind, emotion) for task, emotion in wanted]


def test_pictures_are_found_by_the_end_of_their_path(built: Path, config: Config, tmp_path: Path) -> None:
    record = rows(Dataset.open(built), "FER2013", "test")[0]
    picture = (built / record.images[0]).read_bytes()
    release = tmp_path / "release"
    for name, content in {"fer/test/1.png": picture, "other/1.png": b"no picture", "fer/test/2.png": b"torn"}.items():
        (release / "img" / name).parent.mkdir(parents=True, exist_ok=True)
        (release / "img" / name).write_bytes(content)
    turn = [{"role": "user", "content": record.prompt}, {"role": "assistant", "content": record.answer}]
    paths = ["/home/author/data/fer/test/1.png", "/home/author/data/fer/test/2.png", "fer/test/3.png"]
    registry = {"FER2013_test": {"file_name": "faces.json", "formatting": "sharegpt", "columns":
                {"messages": "messages", "images": "images"}, "tags": {"role_tag": "role", "content_tag": "content",
                "user_tag": "user", "assistant_tag": "assistant"}}}  # fmt: skip
    write(release / "dataset_info.json", registry)
    write(release / "faces.json", [{"messages": turn, "images": [path]} for path in paths])
    dataset = taken(release, tmp_path / "data", config)
    assert [row.images for row in rows(dataset, "FER2013", "test")] == [record.images]  # named by its content
    reasons = {row["source"]: row["reason"] for row in read_jsonl(tmp_path / "data" / "quarantine.jsonl")}
    assert reasons == {
        "faces.json:2": "not a picture: it begins with 'torn'",
        "faces.json:3": "picture or clip not found",
    }


def test_import_says_what_is_wrong(config: Config, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageFault, match=r"no released file such as XED_train\.json"):
        import_release([str(tmp_path / "empty")], tmp_path / "data", config)
    with pytest.raises(UsageFault, match="neither a folder nor a hub id"):
        import_release(["./nowhere"], tmp_path / "data", config)
    (tmp_path / "empty" / "XED_train.json").write_text("[{]")
    with pytest.raises(Fault, match=r"XED_train\.json: not JSON"):
        import_release([str(tmp_path / "empty")], tmp_path / "data", config)


def test_released_data_go_from_json_to_a_plan_and_scores(exported: Path, tmp_path: Path) -> None:
    """The commands of a user without the raw corpora: import, check and plan, then score answers (the gold ones)."""
    pytest.importorskip("tokenizers")
    data = tmp_path / "data"
    typed(mmaffin, "import", "--from", exported, "--out", data, "--jobs", "1", "--limit", "6")
    typed(mmaffin, "check", "--data", data)
    dataset = Dataset.open(data)
    planned = plan(ROOT / "train_configs/nano.yaml", dataset, base=look_alike(tmp_path / "base"))
    assert planned.config["dataset"] == "mmaffin_train" and planned.config["max_steps"] >= 1
    answers = tmp_path / "generated_predictions.jsonl"
    records = rows(dataset, "XED", "test") + rows(dataset, "FER2013", "test")
    answers.write_text("".join(json.dumps({"predict": r.answer, "label": r.answer}) + "\n" for r in records))
    typed(mmaffben, "score", tmp_path / "run", "--data", data, "--import", answers, "--subsets", "XED,FER2013")
    scores = json.loads((tmp_path / "run" / "scores.strict.json").read_text())["subsets"]
    assert scores["XED"]["n"] == 6 and scores["FER2013"]["metrics"]["accuracy"] == 1.0


def typed(command: Callable[..., subprocess.CompletedProcess[str]], *words: object) -> None:
    done = command(*words)
    assert done.returncode == 0, done.stderr
