"""The engine openai against a server on this machine: its requests, its retries, and the faults that end the run."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from data_build.translate.engine import make_engine
from data_build.translate.openai import OpenAi
from mmafflm.endpoint import RequestPace
from mmafflm.errors import Fault, UsageFault
from tests.loopback import answering

KEY = "sk-made-up-key"


class Backwards(BaseHTTPRequestHandler):
    """Answers with the text backwards; the very first request fails with 503."""

    bodies: list[dict[str, Any]]
    keys: set[str]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        self.keys.add(self.headers["Authorization"])
        text = body["messages"][-1]["content"]
        if len(self.bodies) == 1:
            return self.reply(503, {"error": {"message": "busy"}})
        if text == "forbidden":
            return self.reply(401, {"error": {"message": f"bad key {KEY}"}})
        if text == "too long":
            return self.reply(400, {"error": {"message": "too long"}})
        if text == "odd":
            return self.reply(200, {"choices": [{"message": {"content": "\ud800 \x00"}}]})
        if text == "refused":
            return self.reply(200, {"choices": [{"message": {"content": None, "refusal": "no"}}]})
        return self.reply(200, {"choices": [{"message": {"content": f" {text[::-1]}\n"}}]})

    def reply(self, status: int, row: dict[str, Any]) -> None:
        data = json.dumps(row).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Backwards]]:
    fresh: dict[str, Any] = {"bodies": [], "keys": set()}
    serving = type("Serving", (Backwards,), fresh)
    with answering(serving) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield serving


def quick() -> RequestPace:
    """Make waiting take no time."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return RequestPace(now=lambda: now[0], sleep=sleep)


def test_a_line_a_request_tried_again_and_refused(server: type[Backwards]) -> None:
    engine = OpenAi("made-up", quick())
    assert engine.translate(["abc", "refused", "de"], "en", "es") == ["cba", "", "ed"]
    assert [body["messages"][-1]["content"] for body in server.bodies] == ["abc", "abc", "refused", "de"]
    assert all(body["temperature"] == 0 and body["model"] == "made-up" for body in server.bodies)
    assert "from the language en into the language es" in server.bodies[0]["messages"][0]["content"]
    assert server.keys == {f"Bearer {KEY}"}


def test_one_odd_line_stops_nothing_and_ten_rejected_ones_do(server: type[Backwards]) -> None:
    engine = OpenAi("made-up", quick())
    assert engine.translate(["abc", "too long", "odd"], "en", "es") == ["cba", "", "� ␀"]
    assert engine.translate(["too long"] * 20, "en", "es") == [""] * 20
    with pytest.raises(Fault, match=r"status 400, too long\. The first 10 rows were refused alike"):
        OpenAi("made-up", quick()).translate(["too long"] * 20, "en", "es")


def test_a_refused_key_ends_it_without_being_shown(server: type[Backwards]) -> None:
    engine = OpenAi("made-up", quick())
    with pytest.raises(Fault, match="the key is refused") as caught:
        engine.translate(["abc", "forbidden"], "en", "es")
    assert KEY not in str(caught.value)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageFault, match="needs OPENAI_API_KEY"):
        make_engine("openai", "made-up")
    with pytest.raises(UsageFault, match="--engine openai needs a model"):
        make_engine("openai", None)
    with pytest.raises(UsageFault, match="not one of apertium, nllb, openai"):
        make_engine("google", None)
