"""The engine openai with LLaMA-Factory's own server gives the answers of the engine hf on the same weights.

The server has one fault that hf must copy here: llamafactory 0.9.5 gives pictures and clips the positions of text
(docs/notebook/experiments.md).
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from eval.ask.predict import predict
from eval.engines import Engine, Question
from eval.engines.hf.batch import PromptRow
from eval.engines.hf.engine import HfEngine
from eval.engines.hf.fast import FastPath
from eval.engines.hf.vision import Pixels
from eval.engines.openai.engine import OpenAiEngine, Options
from tests.budget import BUDGET
from tests.command import mmaffben
from tests.eval.tiny_tests import make_tests
from tests.media_files import picture_of

pytestmark = pytest.mark.slow
MOST = 10


@pytest.fixture(scope="module")
def url(looking: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`llamafactory-cli api` with nano on this machine."""
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        pytest.skip("llamafactory-cli is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "API_HOST": "127.0.0.1", "API_PORT": str(port), "API_MODEL_NAME": "nano", "API_VERBOSE": "0"}
    command = [
        str(cli),
        "api",
        "--model_name_or_path",
        str(looking),
        "--template",
        "qwen2_vl",
        "--infer_dtype",
        "float32",
    ]
    log = tmp_path_factory.mktemp("api") / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(command, env=env, stdout=out, stderr=out)
    try:
        while server.poll() is None and not _answers(f"http://127.0.0.1:{port}/v1/models"):
            time.sleep(0.1)
        assert server.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    (root / "media").mkdir()
    for number in range(4):
        picture_of(100 + 30 * number, 80 + 20 * (number % 3), number).save(root / f"media/p{number}.png")
    picture_of(900, 700, 9).save(root / "media/large.png")
    for clip in range(3):
        for frame in range(clip + 2):
            picture_of(140, 112, 10 * clip + frame).save(root / f"media/c{clip}-{frame}.png")
    return root


def clip(number: int) -> tuple[str, ...]:
    return tuple(f"media/c{number}-{frame}.png" for frame in range(number + 2))


class Flat(FastPath):
    """The fast path with the server's fault: a picture's tokens have the positions of text."""

    def _row(self, ids: list[int], shared: int, look: Pixels | None) -> PromptRow:
        return PromptRow(ids[shared:], torch.arange(shared, len(ids)).expand(3, -1), look)


class AsText(HfEngine):
    """The engine hf with that path."""

    def load(self) -> None:
        self.path = Flat(self.checkpoint, self.dtype, self.root, self.budget)


def answers(engine: Engine, questions: list[Question]) -> list[str]:
    engine.load()
    got = dict(one for batch in engine.answer(questions, range(len(questions)), MOST, 4) for one in batch)
    return [got[position] for position in range(len(questions))]


@pytest.fixture
def ask(url: str, media: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def asked(questions: list[Question], clips: str) -> list[str]:
        return answers(OpenAiEngine("nano", media, BUDGET, Options.model_validate({"clips": clips})), questions)

    return asked


def test_text_pictures_and_clips_are_answered_as_hf_answers_them(ask: object, looking: Path, media: Path) -> None:
    assert callable(ask)
    questions = [
        *(Question(f"Which emotion? {'Really, ' * number}now.") for number in range(3)),
        *(Question(f"<image>Which emotion is it, of {number}?", (f"media/p{number}.png",)) for number in range(4)),
        Question("<image>Which emotion?", ("media/large.png",)),
        Question("First <image>then <image>what?", ("media/p1.png", "media/p2.png")),
        *(Question(f"<video>What is felt in {number}?", (), (clip(number),)) for number in range(3)),
    ]
    expected = answers(AsText(str(looking), BUDGET, "float32", media), questions)
    assert len(set(expected)) > 8
    assert ask(questions, "mp4") == expected
    as_pictures = [
        question._replace(prompt=question.prompt.replace("<video>", "<image>" * len(question.videos[0])),
                          images=tuple(map(str, question.videos[0])), videos=())
        for question in questions[-3:]
    ]  # fmt: skip
    assert ask(questions[-3:], "frames") == answers(AsText(str(looking), BUDGET, "float32", media), as_pictures)


def test_a_whole_predict_over_the_protocol(url: str, looking: Path, tmp_path: Path) -> None:
    class ByBytes(HfEngine):
        """The engine hf with the answer length of a server: in bytes, because a server's tokenizer is not known."""

        def tokens(self, text: str) -> int:
            return len(text.encode())

    data = make_tests(tmp_path / "data", {"XED": 4, "onlineshopping": 4})
    predict(looking, data, tmp_path / "hf", engine=ByBytes(str(looking), BUDGET, "float32"))
    words = ("--ckpt", "nano", "--data", data.path, "--out", tmp_path / "api", "--engine", "openai")
    env = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "", "NO_PROXY": "127.0.0.1"}
    done = mmaffben("predict", *words, "--option", "price=1/2", **env)
    assert done.returncode == 0, done.stderr
    for name in ("XED", "onlineshopping"):
        assert (tmp_path / f"api/predictions/{name}.jsonl").read_bytes() == (
            tmp_path / f"hf/predictions/{name}.jsonl"
        ).read_bytes()
    run = json.loads((tmp_path / "api/run.json").read_text())
    assert run["served"] == ["nano"] and run["checkpoint"] == "nano" and run["spent"]["requests"] == 8
    spent = run["spent"]
    assert spent["cost_usd"] == pytest.approx((spent["prompt_tokens"] + 2 * spent["completion_tokens"]) / 1e6)
