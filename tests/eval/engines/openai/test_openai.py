"""The engine openai against a server made to fail: nothing is lost, nothing is asked twice, no file has the key."""

import concurrent.futures
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from eval.ask.predict import predict
from eval.engines import Question, make_engine
from eval.engines.openai.engine import OpenAiEngine, Options
from eval.run.no_answer import no_answer, reason_of
from mmafflm.dataset import Dataset
from mmafflm.endpoint import Endpoint, RequestPace
from mmafflm.errors import Fault, UsageFault
from tests.budget import BUDGET
from tests.command import mmaffben
from tests.eval.engines.openai.clock import Clock
from tests.eval.engines.openai.faulty_server import KINDS, FaultyServer, serving
from tests.eval.score.counting import Counting, content
from tests.eval.tiny_tests import make_tests

ROWS = {"onlineshopping": 30, "XED": 30}
KEY = "sk-made-up-0123456789abcdef"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_tests(tmp_path_factory.mktemp("data"), ROWS)


@pytest.fixture(scope="module")
def whole(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("run")
    predict("m", data, out, engine=Counting())
    return content(out)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    with serving(FaultyServer()) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.url)
        yield started


def engine(data: Dataset, pace: RequestPace | None = None, **options: object) -> OpenAiEngine:
    read = Options.model_validate({"timeout_s": 3, **options})
    return OpenAiEngine("made-up", data.path, BUDGET, read, pace or Clock().pace())


def chance(prompt: str, of: int) -> int:
    return hashlib.sha256(prompt.encode()).digest()[0] % of


def test_every_fault_is_lived_through(
    data: Dataset, whole: dict[str, bytes], server: FaultyServer, tmp_path: Path
) -> None:
    kinds = [kind for kind in KINDS for _ in range(4)][: 4 * len(KINDS) - 3]  # "not an object" occurs once
    clock = Clock()

    def fault(prompt: str, attempt: int) -> str | None:
        kind = kinds.pop() if attempt == 0 and kinds else "500" if attempt == 1 and chance(prompt, 3) == 0 else None
        return "503" if kind == "hang" and server.faults["hang"] >= 2 else kind  # a time-out takes real time

    server.fault = fault
    predict("made-up", data, tmp_path, batch_size=8, engine=engine(data, clock.pace(), price="0.15/0.6"))
    assert content(tmp_path) == whole
    assert set(server.faults) == {*KINDS, "none"}
    assert set(server.answered.values()) == {1} and server.answered.total() == 60
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["spent"] == {
        "requests": 60,
        "retries": server.faults.total() - 60,
        "prompt_tokens": 600,
        "completion_tokens": 120,
        "answers_by made-up-2026": 60,
        "cost_usd": pytest.approx((600 * 0.15 + 120 * 0.6) / 1e6),
    }
    assert max(clock.slept) >= 7 and run["served"] == ["made-up"] and run["endpoint"] == server.url
    assert all(body["temperature"] == 0 and body["model"] == "made-up" for body in server.bodies)


def test_an_endless_fault_ends_and_the_next_call_goes_on(
    data: Dataset, whole: dict[str, bytes], server: FaultyServer, tmp_path: Path
) -> None:
    server.fault = lambda prompt, attempt: "500" if chance(prompt, 10) == 0 else None
    clock = Clock()
    with pytest.raises(Fault, match=r"/chat/completions: failed 4 times, at last with status 500, made to fail"):
        predict("made-up", data, tmp_path, batch_size=4, engine=engine(data, clock.pace(), tries=4))
    assert max(server.attempts.values()) == 4 and clock.slept[:3] != []
    server.fault = lambda prompt, attempt: None
    predict("made-up", data, tmp_path, batch_size=4, engine=engine(data))
    assert content(tmp_path) == whole and set(server.answered.values()) == {1}
    assert json.loads((tmp_path / "run.json").read_text())["spent"]["requests"] == 60


def test_the_command_ends_with_one_sentence_and_no_key(
    data: Dataset, whole: dict[str, bytes], server: FaultyServer, tmp_path: Path
) -> None:
    words = ("predict", "--ckpt", "made-up", "--data", data.path, "--out", tmp_path, "--engine", "openai")
    command = partial(mmaffben, *words, "--option", "tries=1")
    server.fault = lambda prompt, attempt: "echo" if chance(prompt, 5) == 0 else None
    failed = command()
    assert failed.returncode == 1 and failed.stderr.count("error: ") == 1 and "Traceback" not in failed.stderr
    assert "status 500, bad header Bearer ***" in failed.stderr
    server.fault = lambda prompt, attempt: "401"
    refused = command()
    assert refused.returncode == 1 and "the key is refused. Set OPENAI_API_KEY." in refused.stderr
    server.fault = lambda prompt, attempt: None
    done = command()
    assert done.returncode == 0 and content(tmp_path) == whole and set(server.answered.values()) == {1}
    assert "openai: Only the server has the tokenizer" in done.stderr
    assert json.loads((tmp_path / "run.json").read_text())["limits"]
    for one in (failed, refused, done):
        assert KEY not in one.stderr + one.stdout
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("quota", r"status 429, no money\."),
        ("tomorrow", r"a wait of 86400 s\. Run this again later\."),
        ("404", r"status 404, made to fail with Bearer \*\*\*\."),
        ("403", r"status 403, the key is refused\."),
    ],
)
def test_what_waiting_does_not_cure_is_not_tried_again(
    kind: str, said: str, data: Dataset, server: FaultyServer, tmp_path: Path
) -> None:
    server.fault = lambda prompt, attempt: kind
    clock = Clock()
    with pytest.raises(Fault, match=said):
        predict("made-up", data, tmp_path, batch_size=1, engine=engine(data, clock.pace()))
    assert server.attempts.total() == 1 and not clock.slept


def predictions(run: Path, subset: str) -> list[str]:
    return [json.loads(line)["prediction"] for line in (run / f"predictions/{subset}.jsonl").read_text().splitlines()]


def test_a_row_that_the_server_rejects_is_recorded_and_not_asked_again(
    data: Dataset, whole: dict[str, bytes], server: FaultyServer, tmp_path: Path
) -> None:
    server.fault = lambda prompt, attempt: "400" if chance(prompt, 4) == 0 else None
    for _ in range(2):
        predict("made-up", data, tmp_path, batch_size=4, engine=engine(data))
        assert server.attempts.total() == 60
    rejected = server.faults["400"]
    said = [text for subset in ROWS for text in predictions(tmp_path, subset)]
    marked = [text for text in said if reason_of(text) is not None]
    assert 0 < rejected == len(marked) and server.answered.total() == 60 - rejected
    assert set(marked) == {no_answer(f"{server.url}/chat/completions: status 400, made to fail with Bearer ***.")}
    assert json.loads((tmp_path / "run.json").read_text())["spent"]["rejected"] == rejected


@pytest.mark.parametrize("status", ["400", "413", "422"])
def test_ten_first_rows_that_fail_alike_end_the_run(
    status: str, data: Dataset, server: FaultyServer, tmp_path: Path
) -> None:
    server.fault = lambda prompt, attempt: status
    with pytest.raises(Fault, match=f"status {status}, made to fail .* The first 10 rows were refused alike"):
        predict("made-up", data, tmp_path, batch_size=1, engine=engine(data))
    assert server.attempts.total() == 10 and not (tmp_path / "predictions/onlineshopping.jsonl").exists()
    server.fault = lambda prompt, attempt: None
    predict("made-up", data, tmp_path, batch_size=1, engine=engine(data))
    assert set(server.answered.values()) == {1} and server.answered.total() == 60


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("surrogate", "a � lone ␀"),
        ("long", "[cut: 100000 of 200000 characters]"),
        ("huge", "an answer of more than 16,777,216 bytes"),
        ("deep", "failed 2 times, at last with an answer that is not JSON"),
        ("garbage", "failed 2 times, at last with an answer that is not JSON"),
        ("no text", "failed 2 times, at last with an answer without text"),
        ("parts", "joy"),
        ("thoughts", ""),
        ("odd usage", "joy"),
    ],
)
def test_one_odd_answer_stops_nothing(
    kind: str, stored: str, data: Dataset, server: FaultyServer, tmp_path: Path
) -> None:
    odd = list[str]()

    def fault(prompt: str, attempt: int) -> str | None:
        odd.extend([prompt] if not odd and server.answered else [])
        return kind if prompt in odd else None

    server.fault = fault
    predict("made-up", data, tmp_path, ["XED"], batch_size=1, engine=engine(data, tries=2))
    said = predictions(tmp_path, "XED")
    assert len(said) == 30 and sum(not text.isdecimal() for text in said) == 1
    assert stored in next(text for text in said if not text.isdecimal())
    assert max(map(len, said)) < 101_000
    before = server.attempts.total()
    predict("made-up", data, tmp_path, ["XED"], batch_size=1, engine=engine(data, tries=2))
    assert server.attempts.total() == before


def test_a_server_that_is_not_there_leaves_nothing_behind(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(FaultyServer()) as gone:
        monkeypatch.setenv("OPENAI_BASE_URL", gone.url)
    with pytest.raises(Fault, match="failed 3 times, at last with a broken connection"):
        predict("made-up", data, tmp_path / "run", engine=engine(data, tries=3))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("kind", "said"), [("refusal", "I'm sorry, I can't."), ("filtered", "")])
def test_a_refusal_is_the_answer(kind: str, said: str, data: Dataset, server: FaultyServer, tmp_path: Path) -> None:
    server.fault = lambda prompt, attempt: kind
    predict("made-up", data, tmp_path, ["XED"], limit=3, engine=engine(data))
    rows = [json.loads(line) for line in (tmp_path / "predictions/XED.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == [said] * 3
    assert json.loads((tmp_path / "run.json").read_text())["spent"]["refused"] == 3


def test_ctrl_c_keeps_what_is_under_way(data: Dataset, server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [Question(f"Question {'and ' * number}?") for number in range(40)]
    calls = iter(range(99))

    def wait(*given: object, **named: object) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*given, **named)  # type: ignore[arg-type]

    real: Callable[..., object] = concurrent.futures.wait
    monkeypatch.setattr("eval.engines.openai.engine.wait", wait)
    got = list[int]()

    def ask() -> None:
        for batch in engine(data).answer(questions, range(40), 9, 4):
            got.extend(position for position, _ in batch)

    with pytest.raises(KeyboardInterrupt):
        ask()
    assert sorted(questions[position].prompt for position in got) == sorted(server.answered)
    assert 0 < len(got) < 40


def test_the_pace_is_kept() -> None:
    clock = Clock()
    pace = clock.pace(per_minute=30)
    for _ in range(4):
        pace.wait()
    assert clock.now() == 6
    waits = []
    for failures in range(1, 9):
        before = clock.now()
        pace.back_off(failures, None)
        waits.append(clock.now() - before)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    before = clock.now()
    pace.back_off(1, 20)
    pace.wait()
    assert clock.now() - before >= 21


def test_wrong_use_is_a_sentence(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(**options: str) -> object:
        return make_engine("openai", "m", "auto", data.path, BUDGET, options)

    with pytest.raises(
        UsageFault, match=r"--option speed: .*The options of the engine openai are per_minute, tries, timeout_s"
    ):
        made(speed="9")
    with pytest.raises(UsageFault, match="--option price"):
        made(price="cheap")
    with pytest.raises(UsageFault, match="--readout greedy"):
        engine(data).likelihoods([], [], ["a"], 1)
    for url in ("127.0.0.1:8000", "http://", "ftp://x/v1"):
        with pytest.raises(UsageFault, match="is not a URL"):
            Endpoint(url, None, RequestPace(), 1, 1)
    for url in ("http://me:hunter2@x/v1", "http://x/v1?key=hunter2"):
        with pytest.raises(UsageFault, match="may be a secret") as told:
            Endpoint(url, None, RequestPace(), 1, 1)
        assert "hunter2" not in str(told.value)
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageFault, match="needs OPENAI_API_KEY, or OPENAI_BASE_URL"):
        made()
