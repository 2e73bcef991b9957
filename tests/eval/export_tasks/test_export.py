"""What `mmaffben export-tasks` writes, and the functions that its code calls; test_harnesses.py runs the harnesses."""

import base64
import csv
import io
import json
import math
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from PIL import Image

from eval.export_tasks.export import HARNESSES, export_tasks
from eval.export_tasks.exported import MOVED, Exported
from eval.run.selection import Selection
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import read_jsonl
from tests.command import mmaffben
from tests.eval.export_tasks.made_exports import data_with_media, records_of
from tests.eval.made_runs import noisy, write_run
from tests.eval.test_killed import KilledError, files, kill_before


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return data_with_media(tmp_path_factory.mktemp("export") / "data")


@pytest.mark.parametrize(("harness", "tasks"), [("lm-eval", 8), ("lmms-eval", 10), ("inspect", 10), ("vlmevalkit", 2)])
def test_the_command_writes_every_row_that_the_harness_can_ask(
    harness: str, tasks: int, data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = mmaffben("export-tasks", "--for", harness, "--data", data.path, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    able = HARNESSES[harness][1]
    wanted = [one for one in records_of(data) if one.modality in able]
    docs = [doc for file in (tmp_path / "out/data").iterdir() for doc in read_jsonl(file)]
    assert sorted(doc["id"] for doc in docs) == sorted(one.id for one in wanted)
    assert len(list((tmp_path / "out/data").iterdir())) == tasks
    readme = (tmp_path / "out/README.md").read_text()
    for subset in data.subsets("test"):
        assert (benchmark()[subset].modality in able) is not (f"{subset}" in readme.partition("Left out")[2])
    before = files(tmp_path / "out")
    export_tasks(harness, data, tmp_path / "out")
    assert "up to date" in capsys.readouterr().err and files(tmp_path / "out") == before
    with pytest.raises(Fault, match="Remove it, or use another folder") as caught:
        export_tasks(harness, data, tmp_path / "out", limit=3)
    assert caught.type is Fault  # exit code 1


def test_scores_of_the_exported_code_are_those_of_score(data: Dataset, tmp_path: Path) -> None:
    export_tasks("lmms-eval", data, tmp_path / "out")
    here = Exported(tmp_path / "out")
    run = write_run(tmp_path / "run", data, data.subsets("test"), noisy(0.4))
    scores = score_run(run, data, "strict")["subsets"]
    said = {row["id"]: row["prediction"] for file in (run / "predictions").iterdir() for row in read_jsonl(file)}
    assert len(here.names()) == 10
    for name in here.names():
        rows = [here.results(doc, said[doc["id"]]) for doc in here.docs(name)]
        about = here.about["tasks"][name]
        found = scores[about["subset"]]
        found = found["tasks"][about["task"]] if "tasks" in found else found
        expected = found["metrics"] | {"unparsed": found["unparsed"] / found["n"]}
        assert set(rows[0]) == set(about["metrics"]) == set(expected)
        for metric, value in expected.items():
            assert math.isclose(here.metrics([row[metric] for row in rows])[metric], value, abs_tol=1e-9)
    part = here.metrics([row["pearson"] for row in [here.results(doc, "0.5") for doc in here.docs("chsims_si")[:1]]])
    assert part["pearson"] == 0  # a harness's own limit may leave one row
    one_emotion = [here.results(doc, "0.5")["mae"] for doc in here.docs("semeval2018_english_ei_reg")
                   if doc["emotion"] == "joy"]  # fmt: skip
    assert math.isnan(here.metrics(one_emotion)["pearson_anger"])


def test_media_are_those_that_our_engines_show(data: Dataset, tmp_path: Path) -> None:
    export_tasks("lmms-eval", data, tmp_path / "out", ["FER2013", "CHSIMS_SI", "MELD_SP"])
    here = Exported(tmp_path / "out")
    picture, frames, film = (here.docs(name)[0] for name in ("fer2013", "chsims_si", "meld_sp"))
    with Image.open(data.path / picture["images"][0]) as stored:
        assert [one.size for one in here.pictures(picture)] == [stored.size]
    assert here.picture_files(picture) == [str(data.path / picture["images"][0])]
    stored = [str(data.path / name) for name in json.loads(frames["videos"])[0]]
    assert here.frame_files(frames) == stored and here.frame_files(picture) == []
    for path, expected in zip(here.frame_files(film), here.frames(film), strict=True):
        with Image.open(path) as read_again:
            assert np.array_equal(np.asarray(read_again), np.asarray(expected))
    assert here.clips(picture) == here.frames(picture) == here.pictures(frames) == []
    assert here.clips(film) == [str(data.path / "media/clip.mp4")]
    shown = here.frames(frames)
    assert len(shown) == 7
    (made,) = here.clips(frames)
    with av.open(made) as clip:
        decoded = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    assert len(decoded) == 8
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(decoded, shown, strict=False))
    assert here.clips(frames) == [made] and Path(made).is_relative_to(tmp_path / "out/clips")


def test_the_folder_moves_with_data_or_is_told(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(data.path, tmp_path / "a/data")
    export_tasks("inspect", Dataset.open(tmp_path / "a/data"), tmp_path / "a/tasks", ["FER2013"])
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "a/tasks").rglob("*.*"))
    (tmp_path / "a").rename(tmp_path / "b")
    doc = Exported(tmp_path / "b/tasks").docs("fer2013")[0]
    assert len(Exported(tmp_path / "b/tasks").pictures(doc)) == 1
    (tmp_path / "b/data").rename(tmp_path / "elsewhere")
    with pytest.raises(Fault, match=r"Move DATA together with .*, or set MMAFFBEN_DATA"):
        Exported(tmp_path / "b/tasks").pictures(doc)
    monkeypatch.setenv(MOVED, str(tmp_path / "elsewhere"))
    assert len(Exported(tmp_path / "b/tasks").pictures(doc)) == 1
    monkeypatch.setenv(MOVED, str(data_with_media(tmp_path / "other", lambda task: 3, ["FER2013"]).path))
    with pytest.raises(Fault, match="not the build from which"):
        Exported(tmp_path / "b/tasks").pictures(doc)


def test_a_row_that_leads_out_of_data_is_not_opened(data: Dataset, tmp_path: Path) -> None:
    export_tasks("lmms-eval", data, tmp_path / "out", ["FER2013", "MELD_SP"])
    for name, wrong in (("fer2013", {"images": ["../secret.png"]}), ("meld_sp", {"videos": '["/etc/passwd"]'})):
        file = tmp_path / f"out/data/{name}.jsonl"
        rows = [row | wrong for row in read_jsonl(file)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        here = Exported(tmp_path / "out")
        with pytest.raises(Fault, match="a picture or clip must have a relative path below media/"):
            _ = here.pictures(rows[0]) + here.clips(rows[0])


def test_a_limit_exports_the_rows_of_predict(data: Dataset, tmp_path: Path) -> None:
    export_tasks("inspect", data, tmp_path / "out", ["XED"], 5)
    chosen = Selection(5).of(list(data.records("XED", "test")))
    assert [doc["id"] for doc in Exported(tmp_path / "out").docs("xed")] == [one.id for one in chosen]


def test_yaml_names_functions_that_the_python_file_has(data: Dataset, tmp_path: Path) -> None:
    class Loader(yaml.SafeLoader):
        """Reads !function as the function's name."""

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    for harness in ("lm-eval", "lmms-eval"):
        export_tasks(harness, data, tmp_path / harness)
        code = (tmp_path / harness / "mmaffben.py").read_text()
        compile(code, "mmaffben.py", "exec")
        for file in (tmp_path / harness).glob("*.yaml"):
            task = yaml.load(file.read_text(), Loader)
            metrics = task["metric_list"]
            named = [task[key] for key in task if key.startswith(("doc_to", "process", "custom"))]
            for function in [*named, *(one["aggregation"] for one in metrics)]:
                assert f"def {function.removeprefix('mmaffben.')}(" in code
            assert metrics[0]["metric"] in ("macro_f1", "pearson")
            assert [one["metric"] for one in metrics if not one["higher_is_better"]][-1] == "unparsed"


def test_the_table_of_vlmevalkit_has_its_columns(data: Dataset, tmp_path: Path) -> None:
    export_tasks("vlmevalkit", data, tmp_path / "out", ["FER2013"])
    csv.field_size_limit(1 << 30)
    with (tmp_path / "out/MMAFFBen_fer2013.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    records = list(data.records("FER2013", "test"))
    assert [int(row["index"]) for row in rows] == list(range(12)) and [row["id"] for row in rows] == [
        one.id for one in records
    ]
    for row, one in zip(rows, records, strict=True):
        assert base64.b64decode(row["image"]) == (data.path / one.images[0]).read_bytes()
        assert Image.open(io.BytesIO(base64.b64decode(row["image"]))).size == (120, 90)
        assert row["question"] == one.prompt.removeprefix("<image>") and row["answer"] == one.answer


def test_wrong_arguments_and_changed_data_leave_nothing(data: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for wrong, said in (((["MMS"], None), "no test split of MMS"), ((["XED"], 0), "--limit must be 1 or more")):
        with pytest.raises(UsageFault, match=said):
            export_tasks("inspect", data, out, *wrong)
    with pytest.raises(UsageFault, match="vlmevalkit supports only image"):
        export_tasks("vlmevalkit", data, out, ["XED"])
    changed = Dataset.open(Path(shutil.copytree(data.path, tmp_path / "data")))
    (changed.path / "media/3.png").unlink()
    with pytest.raises(Fault, match=r"3\.png: missing"):
        export_tasks("inspect", changed, out)
    assert not out.exists() and not list(tmp_path.glob(".out*"))


def test_a_killed_export_leaves_no_folder_and_starts_over(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_tasks("lm-eval", data, tmp_path / "whole", ["XED", "FER2013"])
    for before in (1, 3, 7):
        kill_before(before, monkeypatch)
        with pytest.raises(KilledError):
            export_tasks("lm-eval", data, tmp_path / "out", ["XED", "FER2013"])
        monkeypatch.undo()
        assert not (tmp_path / "out").exists()
    export_tasks("lm-eval", data, tmp_path / "out", ["XED", "FER2013"])
    assert files(tmp_path / "out") == files(tmp_path / "whole")
