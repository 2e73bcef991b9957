"""The engine openai in front of vLLM's own server, started as docs/reference/evaluation.md says: its answers are hf's.

It needs vLLM's environment, see conftest.py. One server answers all tests of this file.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from eval.ask.ablation import questions
from eval.engines import Engine, Question
from eval.engines.hf.engine import HfEngine
from eval.engines.openai.engine import OpenAiEngine, Options
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl
from mmafflm.sampling import sample
from tests.budget import BUDGET
from tests.command import mmaffben
from tests.eval.engines.vllm.vllm_side import in_order

pytestmark = pytest.mark.slow
ROWS = 3  # of each of the 18 subsets
MOST = 24  # tokens
HALF = "\ufffd"
SERVE = (  # of docs/reference/evaluation.md, and what keeps a CPU's start short
    *("--served-model-name", "nano", "--host", "127.0.0.1", "--dtype", "float32", "--generation-config", "vllm"),
    *("--max-model-len", "8192", "--media-io-kwargs", json.dumps({"video": {"num_frames": -1}})),
    *("--enforce-eager", "--skip-mm-profiling", "--kv-cache-memory-bytes", str(1 << 30), "--block-size", "32"),
)


@pytest.fixture(scope="module")
def url(python: str, looking: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's server with nano on a free port of this machine; it ends with its process group."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"TORCHDYNAMO_DISABLE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1"}
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", looking, "--port", port, *SERVE]
    log = tmp_path_factory.mktemp("server") / "log"
    begun = time.perf_counter()
    with log.open("wb") as out:
        env = {**os.environ, **own, "HF_HUB_OFFLINE": "1"}
        server = subprocess.Popen(list(map(str, command)), env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        while server.poll() is None and not _answers(f"http://127.0.0.1:{port}/v1/models"):
            time.sleep(0.2)
        assert server.poll() is None, log.read_text()[-3000:]
        print(f"\nvLLM's server answered after {time.perf_counter() - begun:.0f} s")
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        _end(server)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _end(server: subprocess.Popen[bytes]) -> None:
    """Stop the server and the processes that it started, which are in its group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(timeout=30)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture
def server(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return url


@pytest.fixture(scope="module")
def asked(data: Dataset) -> list[Question]:
    return [question for name in benchmark() for question in questions(sample(list(data.records(name, "test")), ROWS))]


@pytest.fixture(scope="module")
def hf(looking: Path, data: Dataset) -> HfEngine:
    engine = HfEngine(str(looking), BUDGET, "float32", data.path)
    engine.load()
    return engine


def answers(engine: Engine, asked: list[Question]) -> list[str]:
    return in_order(engine.answer(asked, range(len(asked)), MOST, 8))


def compare(kind: str, hf: list[str], served: list[str]) -> None:
    """vLLM's server leaves out half a character at the end of an answer that was cut; hf writes it as U+FFFD."""
    pairs = list(zip(hf, served, strict=True))
    same = sum(ours == theirs for ours, theirs in pairs)
    apart = [(ours, theirs) for ours, theirs in pairs if ours.rstrip(HALF) != theirs.rstrip(HALF)]
    cut = len(hf) - same - len(apart)
    print(
        f"\n{kind}: of {len(hf)} answers {same} are the same, {cut} but for half a character at the end; not: {apart}"
    )
    # in float32 an answer differs only where two tokens are equally likely within rounding
    assert len(apart) <= 0.05 * len(hf) and len(set(hf)) > len(hf) / 2


def test_clips_as_films_are_answered_as_hf_answers_them(
    server: str, hf: HfEngine, data: Dataset, asked: list[Question]
) -> None:
    engine = OpenAiEngine("nano", data.path, BUDGET, Options.model_validate({"clips": "mp4"}))
    engine.load()
    engine.try_out(asked)
    assert engine.served == ["nano"]
    compare("mp4", answers(hf, asked), answers(engine, asked))


def test_clips_as_frames_are_answered_as_hf_answers_pictures(
    server: str, hf: HfEngine, data: Dataset, asked: list[Question]
) -> None:
    """Without times: a server cannot know that several pictures are a clip."""
    films = [question for question in asked if question.videos]
    pictures = [
        question._replace(
            prompt=question.prompt.replace("<video>", "<image>" * len(question.videos[0])),
            images=tuple(map(str, question.videos[0])),
            videos=(),
        )
        for question in films
    ]
    engine = OpenAiEngine("nano", data.path, BUDGET)
    engine.load()
    found = answers(engine, films)
    compare("frames", answers(hf, pictures), found)
    apart = sum(ours != theirs for ours, theirs in zip(answers(hf, films), found, strict=True))
    print(f"\n{apart} of {len(films)} answers to frames differ from those to the clip")


def test_predict_asks_every_kind(server: str, data: Dataset, tmp_path: Path) -> None:
    words = ("--ckpt", "nano", "--data", data.path, "--out", tmp_path, "--engine", "openai")
    chosen = ("--subsets", "XED,FER2013,SAMSEMO", "--limit", "2")
    env = {"OPENAI_BASE_URL": server, "OPENAI_API_KEY": "", "NO_PROXY": "127.0.0.1"}
    done = mmaffben("predict", *words, *chosen, **env)
    assert done.returncode == 0, done.stderr
    rows = [row for path in (tmp_path / "predictions").iterdir() for row in read_jsonl(path)]
    assert len(rows) == 6 and not any("no answer" in row["prediction"] for row in rows)
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["served"] == ["nano"] and "rejected" not in run["spent"]
