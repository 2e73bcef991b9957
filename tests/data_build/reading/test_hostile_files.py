"""Files of a DATA folder from someone else: manifest, registry, index and records; and files that we did not write."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from data_build.dataset.manifest import write_seal
from data_build.media.media_index import read_index
from data_build.release.export import export, place
from data_build.release.form import Form
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.records import read_jsonl, read_records, write_jsonl
from tests.media_files import picture_of

ENTRIES: dict[str, Any] = {
    "a script": {"script_url": "evil/loader"},
    "the hub": {"hf_hub_url": "someone/else"},
    "a file outside": {"file_name": "../../secret.parquet"},
    "an absolute file": {"file_name": "/etc/passwd"},
    "no file": {"file_name": None},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_llamafactory_is_led_nowhere_else(name: str, honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest / "mmaffin", tmp_path / "mmaffin")
    path = tmp_path / "mmaffin/dataset_info.json"
    registry = json.loads(path.read_text(encoding="utf-8"))
    assert Dataset(tmp_path, {}).mix_entry() == registry["mmaffin_train"]
    registry["mmaffin_train"] |= ENTRIES[name]
    path.write_text(json.dumps(registry), encoding="utf-8")
    with pytest.raises(Fault, match=r"dataset_info\.json: not the registry"):
        Dataset(tmp_path, {}).mix_entry()


@pytest.mark.parametrize("row", [
    {"images": [3]}, {"images": [["a.png"]]}, {"images": [None]}, {"images": {"path": "a.png"}}, {"images": [""]},
    {"videos": [[]]}, {"videos": [[3]]}, {"videos": [["a.bmp", ["b.bmp"]]]}, {"videos": 7},
    {"translated_from": 5}, {"translated_from": "[]]"}, {"translated_from": {"engine": "x"}},
])  # fmt: skip
def test_a_released_row_of_another_form_is_not_kept(row: dict[str, Any]) -> None:
    good = {"instruction": "<image>What?", "input": "", "output": "1. joy"}
    assert Form({}).read(good).prompt == "<image>What?"
    with pytest.raises(ValueError, match=r"is not a file name|with the key"):
        Form({}).read(good | row)


def test_a_missing_key_of_the_manifest_is_a_sentence(honest: Path) -> None:
    manifest = Dataset.open(honest).manifest
    with pytest.raises(Fault, match=r"manifest\.json has no 'mux'"):
        manifest["mux"]
    with pytest.raises(Fault, match=r"manifest\.json has no 'train2'"):
        manifest["subsets"]["FER2013"]["train2"]
    assert manifest.get("mux") is None and "mux" not in manifest


MANIFESTS: dict[str, dict[str, Any]] = {
    "a file outside": {"files": {"../x": {"rows": 1, "sha256": ""}}},
    "an absolute file": {"files": {"/etc/passwd": {"rows": 1, "sha256": ""}}},
    "a file that is no object": {"files": {"README.md": 1}},
    "a subset outside": {"subsets": {"../../x": {"test": {"rows": 1}}}},
    "a split outside": {"subsets": {"XED": {"../x": {"rows": 1}}}},
    "a split's file outside": {"subsets": {"XED": {"test": {"rows": 1, "file": "../x"}}}},
    "a mix outside": {"mix": {"file": "../x"}},
    "a mix of what is outside": {"mix": {"asked": {"../../x": 3}}},
    "no hash": {"data_hash": None},
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_names_what_it_may_not_is_refused(name: str, honest: Path, tmp_path: Path) -> None:
    shutil.copytree(honest, tmp_path / "data")
    manifest = json.loads((honest / "manifest.json").read_text(encoding="utf-8")) | MANIFESTS[name]
    (tmp_path / "data/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(Fault, match=r"manifest\.json: "):
        Dataset.open(tmp_path / "data")


@pytest.mark.parametrize(
    "row",
    [
        {"file": "../x", "width": 1, "height": 1},
        {"file": "media/x.png", "width": 0, "height": 1},
        {"file": "media/x.png", "width": "1", "height": 1},
        {"file": 3},
        {"file": ["media/x.png"]},
    ],
)  # fmt: skip
def test_an_index_that_is_not_ours_is_a_sentence(row: dict[str, Any], honest: Path, tmp_path: Path) -> None:
    whole = next(iter(read_index(honest).values()))._asdict()
    write_jsonl(tmp_path / "media/index.jsonl", [whole | row])
    with pytest.raises(Fault, match=r"index\.jsonl:1: "):
        read_index(tmp_path)


BROKEN_ROWS: dict[str, dict[str, Any]] = {
    "images is a text": {"images": "media/a.png"},
    "images is nothing": {"images": None},
    "videos holds a number": {"videos": [3]},
    "a clip without frames": {"videos": [[]]},
    "frames within frames": {"videos": [["media/a.bmp", ["media/b.bmp"]]]},
    "an id that is a number": {"id": 3},
    "one turn": {"messages": [{"role": "user", "content": "x"}]},
    "a turn without content": {"messages": [{"role": "user"}, {"role": "assistant"}]},
    "gold is a text": {"gold": "joy"},
    "another key": {"more": 1},
    "translated from a text": {"translated_from": "en"},
}


@pytest.mark.parametrize("name", BROKEN_ROWS)
def test_a_line_that_is_no_record_is_a_sentence(name: str, honest: Path, tmp_path: Path) -> None:
    row = next(read_jsonl(honest / "mmaffben/FER2013_test.jsonl")) | BROKEN_ROWS[name]
    write_jsonl(tmp_path / "mmaffben/FER2013_test.jsonl", [row])
    with pytest.raises(Fault, match=r"FER2013_test\.jsonl:1: "):
        list(read_records(tmp_path / "mmaffben/FER2013_test.jsonl"))


def test_ids_that_are_no_path_do_not_leave_a_tar(honest: Path, tmp_path: Path) -> None:
    for number, name in enumerate(["/etc/cron.d/x", "a//b", "x" * 200, "a\nb"]):
        data = tmp_path / str(number)
        shutil.copytree(honest, data)
        rows = list(read_jsonl(data / "mmaffben/MELD_SP_test.jsonl"))
        write_jsonl(data / "mmaffben/MELD_SP_test.jsonl", [rows[0] | {"id": name}, *rows[1:]])
        write_seal(data, json.loads((data / "manifest.json").read_text(encoding="utf-8")))
        with pytest.raises(Fault, match="cannot be a path in a tar"):
            export(Dataset.open(data), "webdataset", tmp_path / "out", ["MELD_SP"])


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    picture_of(20, 20).save(path)
    return path


@pytest.mark.parametrize("links", [True, False])
def test_place_leaves_what_it_did_not_write(
    links: bool, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr("data_build.release.export.os.link", _no_links)
    out = tmp_path / "out"
    place(picture, out / "a.png")
    place(picture, out / "a.png")
    assert (out / "a.png").read_bytes() == picture.read_bytes() and len(list(out.iterdir())) == 1
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"x" * picture.stat().st_size)
    (out / "link.png").symlink_to(mine)
    (out / "dangling.png").symlink_to(tmp_path / "nothing")
    (out / "folder.png").mkdir()
    (out / "other.png").write_bytes(mine.read_bytes())
    for name in ("link.png", "dangling.png", "folder.png", "other.png"):
        with pytest.raises(Fault, match="another file has this name already"):
            place(picture, out / name)
    (out / ".b.png.partial").symlink_to(mine)
    place(picture, out / "b.png")
    assert mine.read_bytes() == (out / "other.png").read_bytes() == b"x" * picture.stat().st_size
    assert not (tmp_path / "nothing").exists()


def _no_links(*_: object, **__: object) -> None:
    raise OSError(1, "Operation not permitted", os.curdir)
