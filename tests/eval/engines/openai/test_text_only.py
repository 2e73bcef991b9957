"""The engine openai in front of a model that takes no pictures: found out at the first one, and never written down."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from eval.ask.predict import predict
from eval.engines import Question, make_engine
from eval.engines.openai.engine import OpenAiEngine, Options
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import MEDIA_INDEX, Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import sha256_of, write_jsonl
from tests.budget import BUDGET
from tests.data_files import write_data
from tests.eval.engines.openai.faulty_server import FaultyServer, serving
from tests.eval.tiny_tests import records_of
from tests.media_files import picture_of


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FaultyServer()) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        yield started


@pytest.fixture
def picture(tmp_path: Path) -> Question:
    (tmp_path / "media").mkdir()
    picture_of(60, 60, 1).save(tmp_path / "media/p.png")
    return Question("<image>Which emotion?", ("media/p.png",))


def engine(root: Path, **options: object) -> OpenAiEngine:
    return OpenAiEngine("made-up", root, BUDGET, Options.model_validate({"timeout_s": 3, **options}))


@pytest.fixture
def film(picture: Question) -> Question:
    return Question("<video>Which emotion?", (), (picture.images * 2,))


@pytest.mark.parametrize("status", ["400", "404", "415", "422"])
def test_the_first_picture_finds_out(status: str, server: FaultyServer, picture: Question, tmp_path: Path) -> None:
    server.fault = lambda prompt, attempt: status if "<image_url>" in prompt else None
    asked = engine(tmp_path)
    with pytest.raises(Fault, match=rf"accepts no pictures: .*status {status}, made to fail.*--subsets .*,XED") as told:
        list(asked.answer([picture] * 900, range(900), 9, 8))
    assert "FER2013" not in str(told.value)
    assert server.attempts.total() == 2  # a grey picture, and the words without it
    assert asked.describe()["accepts"] == ["text"]
    assert list(asked.answer([Question("Joy?")], [0], 9, 1)) == [[(0, "4")]]


def test_a_status_of_500_for_pictures_alone_is_no_passing_fault(
    server: FaultyServer, picture: Question, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmafflm.endpoint.FIRST_WAIT_S", 0.0)
    server.fault = lambda prompt, attempt: "500" if "<image_url>" in prompt else None
    with pytest.raises(Fault, match=r"accepts no pictures: .*failed 3 times, at last with status 500"):
        engine(tmp_path).try_out([picture])
    server.fault = lambda prompt, attempt: "500" if attempt == 0 else None
    server.attempts.clear()
    engine(tmp_path).try_out([picture])
    server.fault = lambda prompt, attempt: "500"
    with pytest.raises(Fault, match="failed 3 times") as told:  # the server is at fault, not the picture
        engine(tmp_path).try_out([picture])
    assert "accepts no" not in str(told.value)


def test_a_model_may_take_one_picture_and_no_clip(
    server: FaultyServer, picture: Question, film: Question, tmp_path: Path
) -> None:
    server.fault = lambda prompt, attempt: "400" if prompt.count("<image_url>") > 1 else None
    engine(tmp_path).try_out([picture])
    with pytest.raises(Fault, match=r"accepts no clips: .*--subsets .*FER2013"):
        engine(tmp_path).try_out([picture, film])
    server.fault = lambda prompt, attempt: "400" if "<video_url>" in prompt else None
    engine(tmp_path).try_out([film])
    with pytest.raises(Fault, match="accepts no clips"):
        engine(tmp_path, clips="mp4").try_out([film])


def test_who_knows_says_so_and_nothing_is_tried(
    server: FaultyServer, picture: Question, film: Question, tmp_path: Path
) -> None:
    asked = engine(tmp_path, accepts="text,image")
    assert asked.accepts() == ("text", "image") and asked.describe()["accepts"] == ["text", "image"]
    with pytest.raises(Fault, match="made-up accepts no clips: --option accepts=text,image"):
        asked.try_out([film])
    assert list(asked.answer([picture], [0], 9, 1)) and server.attempts.total() == 1
    assert engine(tmp_path).accepts() == ("text", "image", "video")
    with pytest.raises(UsageFault, match=r"--option accepts: .*text, or text,image or text,image,video"):
        make_engine("openai", "m", "auto", tmp_path, BUDGET, {"accepts": "image"})


def data_with_pictures(root: Path) -> Dataset:
    """Rows of a text and of a picture task."""
    (root / "media").mkdir(parents=True)
    picture_of(60, 60, 1).save(root / "media/p.png")
    texts = records_of(benchmark()["onlineshopping"].tasks[0], 4)
    seen = [
        replace(
            one,
            modality="image",
            images=["media/p.png"],
            messages=[{**one.messages[0], "content": "<image>" + one.messages[0]["content"]}, one.messages[1]],
        )
        for one in records_of(benchmark()["FER2013"].tasks[0], 12)
    ]
    write_data(root, {"onlineshopping": texts, "FER2013": seen})
    write_jsonl(root / MEDIA_INDEX, [{"file": "media/p.png", "bytes": (root / "media/p.png").stat().st_size}])
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["files"][MEDIA_INDEX] = {"rows": 1, "sha256": sha256_of(root / MEDIA_INDEX)}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return Dataset.open(root)


def test_predict_writes_no_picture_row(server: FaultyServer, tmp_path: Path) -> None:
    server.fault = lambda prompt, attempt: "400" if "<image_url>" in prompt else None
    data = data_with_pictures(tmp_path / "data")
    run = tmp_path / "run"
    with pytest.raises(Fault, match="--subsets"):
        predict("made-up", data, run, ["FER2013"], engine=engine(data.path))
    assert not run.exists() and server.attempts.total() == 2
    predict("made-up", data, run, ["onlineshopping"], engine=engine(data.path))
    assert len((run / "predictions/onlineshopping.jsonl").read_text().splitlines()) == 4
