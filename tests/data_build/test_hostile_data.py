"""A DATA folder from someone else, with all hashes correct: nothing outside it is read, packed or overwritten."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from data_build.build import build
from data_build.config import Config, load_mix
from data_build.dataset.check import check
from data_build.dataset.manifest import write_seal
from data_build.dataset.stats import count
from data_build.dataset.stats_page import page
from data_build.publish.publish import publish
from data_build.release.export import FORMS, export
from data_build.remix import remix
from data_build.translate.rows import Order
from data_build.translate.translate import translate
from eval.ask.predict import chosen_records
from eval.engines import Question
from eval.engines.media import MediaReader
from eval.engines.openai.message import content
from eval.run.selection import Selection
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.browse.server import reply
from mmafflm.browse.table import open_table
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault
from mmafflm.media.thumbnails import Thumbnails
from mmafflm.records import Record, read_jsonl, read_records, write_jsonl
from mmafflm.train.plan.token_counts import media_of_mix
from tests.budget import BUDGET
from tests.command import mmaffin
from tests.data_build.translate.translating import WordByWord
from tests.media_files import picture_of

SECRET = "secret.png"  # next to DATA
# Names that a record has in place of its picture; OUTSIDE is replaced by the absolute path of the secret.
BAD: dict[str, Any] = {
    "up": f"../{SECRET}",
    "up from media": f"media/../../{SECRET}",
    "absolute": "OUTSIDE",
    "a link": "media/link.png",
    "below a link": f"media/away/{SECRET}",
    "a drive": f"C:/{SECRET}",
    "backslashes": f"media\\..\\..\\{SECRET}",
    "a NUL": "media/a\0.png",
    "two lines": "media/a\n.png",
    "media itself": "media",
    "beside media": "mmaffin/mmaffin_train.jsonl",
    "a folder": "media/fer2013",
    "a dot": "./media/a.png",
    "empty": "",
}


class Hostile:
    """A copy of the build, next to the secret: one picture of every file has another name, and the hashes fit."""

    def __init__(self, honest: Path, folder: Path, bad: Any, frame: bool = False) -> None:
        self.secret, self.data = folder / SECRET, folder / "data"
        picture_of(48, 48, 7).save(self.secret)
        self.before = self.secret.read_bytes()
        shutil.copytree(honest, self.data)
        (self.data / "media/link.png").symlink_to(self.secret)
        (self.data / "media/away").symlink_to(folder)
        self.bad = str(self.secret) if bad == "OUTSIDE" else bad
        subset = "MELD_SP" if frame else "FER2013"
        for path in (*self.data.glob(f"mmaff*/{subset}_*.jsonl"), self.data / "mmaffin/mmaffin_train.jsonl"):
            self._poison(path, subset)
        manifest = json.loads((self.data / "manifest.json").read_text(encoding="utf-8"))
        write_seal(self.data, manifest)

    def _poison(self, path: Path, subset: str) -> None:
        rows = list(read_jsonl(path))
        row = next(one for one in rows if one["subset"] == subset)
        if row["videos"]:
            row["videos"][0][-1] = self.bad
        else:
            row["images"][0] = self.bad
        write_jsonl(path, rows)
        twin = self.data / "mmaffin/parquet" / f"{path.stem}.parquet"
        table = pl.read_parquet(twin)
        both = {kind: pl.Series([one[kind] for one in rows], dtype=table.schema[kind]) for kind in ("images", "videos")}
        table.with_columns(**both).write_parquet(twin)

    def untouched(self, *outputs: Path) -> bool:
        """Whether the secret is unchanged, has one name, and is in no output."""
        written = [path for out in outputs for path in out.rglob("*") if path.is_file() and not path.is_symlink()]
        return (
            self.secret.read_bytes() == self.before
            and self.secret.stat().st_nlink == 1
            and not any(self.before in path.read_bytes() for path in written)
        )


def _form(form: str) -> Callable[[Path, Path], object]:
    return lambda data, out: export(Dataset.open(data), form, out, ["FER2013", "MELD_SP"])


def _predict(data: Path, out: Path) -> object:
    return chosen_records(Dataset.open(data), "test", None, Selection())


def _mix(data: Path, out: Path) -> object:
    out.mkdir(exist_ok=True)
    (out / "mix.yaml").write_text("seed: 1\n")
    return remix(Dataset.open(data), load_mix(out / "mix.yaml"), out / "mixed")


def _stats(data: Path, out: Path) -> object:
    dataset = Dataset.open(data)
    return page(dataset, count(dataset), 1)


def _train(data: Path, out: Path) -> None:
    dataset = Dataset.open(data)
    dataset.require_media(media_of_mix(dataset))


COMMANDS: dict[str, Callable[[Path, Path], object]] = {
    **{form: _form(form) for form in FORMS},
    "publish": lambda data, out: publish(Dataset.open(data), "o/n", ["fer2013", "meld"], dry_run=True),
    "predict": _predict,
    "train": _train,
    "mix": _mix,
    "stats": _stats,
    "translate": lambda data, out: translate(data, WordByWord(), Order(["MELD_SP"], ["en"], ["es"])),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", BAD)
def test_no_command_follows_a_bad_name(name: str, command: str, honest: Path, tmp_path: Path) -> None:
    hostile = Hostile(honest, tmp_path, BAD[name], frame=command == "translate")
    if (name, command) in {("a folder", "stats"), ("a folder", "mix"), ("a folder", "translate")}:
        pytest.skip("a folder in the place of a picture leads nowhere: it is not opened here")
    with pytest.raises(Fault) as fault:
        COMMANDS[command](hostile.data, tmp_path / "out")
    assert str(hostile.data) in str(fault.value) and "Traceback" not in str(fault.value)
    assert hostile.untouched(tmp_path / "out")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("frame", [False, True])
def test_check_says_each_file_and_row(name: str, frame: bool, honest: Path, tmp_path: Path) -> None:
    hostile = Hostile(honest, tmp_path, BAD[name], frame)
    subset = "MELD_SP" if frame else "FER2013"
    said = [line for line in check(Dataset.open(hostile.data)) if f"{subset}_test.jsonl:1: " in line]
    assert len(said) == 1 and ("relative path below media/" in said[0] or "leads out" in said[0] or "not in" in said[0])
    assert hostile.untouched()


def test_the_commands_end_with_a_sentence(honest: Path, tmp_path: Path) -> None:
    hostile = Hostile(honest, tmp_path, f"../{SECRET}")
    done = mmaffin("export", "--data", hostile.data, "--form", "sharegpt", "--out", tmp_path / "out")
    assert done.returncode == 1 and "FER2013_train.jsonl:1: '../secret.png'" in done.stderr
    assert "Traceback" not in done.stderr and hostile.untouched(tmp_path / "out")


@pytest.mark.parametrize("name", BAD)
def test_engines_and_pages_open_nothing_outside(name: str, honest: Path, tmp_path: Path) -> None:
    hostile = Hostile(honest, tmp_path, BAD[name])
    shown = MediaReader(hostile.data, BUDGET)
    for question in (Question("<image>", (hostile.bad,)), Question("<video>", (), ((hostile.bad,) * 2,))):
        with pytest.raises(Fault):
            content(question, shown, "frames")
    with pytest.raises(Fault):
        content(Question("<video>", (), (hostile.bad,)), shown, "mp4")
    row = next(read_records(honest / "mmaffben/FER2013_test.jsonl")).to_json() | {"images": [hostile.bad]}
    with pytest.raises(Fault):
        Thumbnails(hostile.data).of(Record(**row))
    table = open_table(Dataset.open(hostile.data))
    assert reply(table, "/?subset=FER2013").status == 200
    bad = next(at for at in range(table.rows.height) if hostile.bad in table.record(at).images)
    assert reply(table, f"/media/{bad}/0").status == 404


@pytest.mark.parametrize("link", ["mmaffben/FER2013_test.jsonl", "quarantine.jsonl", ".publish", ".lock", "mmaffin"])
def test_nothing_but_media_may_be_a_link_that_leads_out(link: str, honest: Path, tmp_path: Path) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    shutil.copytree(honest, data)
    away.mkdir()
    path = data / link
    if path.is_dir():
        shutil.move(path, away / "moved")
        path.symlink_to(away / "moved")
    else:
        (away / "moved").write_bytes(path.read_bytes() if path.exists() else b"mine")
        path.unlink(missing_ok=True)
        path.symlink_to(away / "moved")
    with pytest.raises(Fault, match="leads out of the folder"):
        Dataset.open(data)


def test_a_folder_that_is_itself_a_link_is_data_too(honest: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(honest)
    assert check(Dataset.open(tmp_path / "link")) == []


def test_a_build_into_a_folder_with_links_removes_nothing(some_raw: Path, config: Config, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "letters").mkdir(parents=True)
    (home / "letters/one.txt").write_text("dear")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/media").symlink_to(home)
    with pytest.raises(Fault, match=r"media.* leads out"):
        build(some_raw, tmp_path / "data", config, choose_subsets("FER2013"), jobs=1, limit=2)
    assert [path.name for path in home.rglob("*")] == ["letters", "one.txt"]
