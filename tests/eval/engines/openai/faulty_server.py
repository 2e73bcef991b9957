"""A server of the OpenAI protocol that fails on request, in the ways that an engine must survive."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import answering

KINDS = ("429", "429 ms", "500", "503", "hang", "cut", "cut body", "garbage", "no choices", "no text", "not an object")


def answer_to(prompt: str) -> str:
    """The server's answer, the same as that of tests.eval.score.counting."""
    return str(len(prompt))


def words_of(content: str | list[dict[str, Any]]) -> str:
    """The text of a message, with a mark such as <image_url> for every other part."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", f"<{part['type']}>") for part in content)


class FaultyServer:
    """fault(prompt, attempt) names the fault of the attempt-th (from 0) request with a prompt; None: an answer."""

    def __init__(self, fault: Callable[[str, int], str | None] = lambda prompt, attempt: None) -> None:
        self.fault = fault
        self.attempts, self.answered, self.faults = Counter[str](), Counter[str](), Counter[str]()
        self.bodies: list[dict[str, Any]] = []
        self.lock, self.let_go = threading.Lock(), threading.Event()
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection to a FaultyServer, one after the other."""

    protocol_version = "HTTP/1.1"
    faulty: FaultyServer

    def do_GET(self) -> None:
        self.send(200, {"data": [{"id": "made-up"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = words_of(body["messages"][0]["content"])
        with self.faulty.lock:
            self.faulty.bodies.append(body)
            kind = self.faulty.fault(prompt, self.faulty.attempts[prompt])
            self.faulty.attempts[prompt] += 1
            self.faulty.faults[kind or "none"] += 1
        if kind is None:
            self.send(200, said(answer_to(prompt), body))
            with self.faulty.lock:
                self.faulty.answered[prompt] += 1
        else:
            self.fail(kind, body)

    def fail(self, kind: str, body: dict[str, Any]) -> None:
        match kind:
            case "429":
                self.send(429, {"error": {"message": "slow down"}}, {"Retry-After": "7"})
            case "429 ms":
                self.send(429, {"error": {"message": "slow down"}}, {"retry-after-ms": "1500"})
            case "hang":
                self.faulty.let_go.wait()
                self.close_connection = True
            case "cut":
                self.close_connection = True
                self.connection.close()
            case "cut body":
                self.raw(b'{"choices": [{"mess', length=1000)
                self.close_connection = True
            case "garbage":
                self.raw(b"<html>502 Bad Gateway</html>")
            case "no choices":
                self.send(200, {"choices": []})
            case "no text":
                self.send(200, said(None, body))
            case "not an object":
                self.send(200, ["choices"])
            case "deep":
                self.raw(b"[" * 100_000)
            case "surrogate":
                self.send(200, said("a \ud83d lone \x00", body))
            case "long":
                self.send(200, said("joy " * 50_000, body))
            case "huge":
                self.raw(json.dumps(said("joy " * 13_000_000, body)).encode())
            case "parts":
                self.send(200, said([{"type": "text", "text": "jo"}, {"type": "text", "text": "y"}], body))
            case "thoughts":
                self.send(
                    200, said(None, body) | {"choices": [{"message": {"content": None}, "finish_reason": "length"}]}
                )
            case "odd usage":
                self.send(200, said("joy", body) | {"usage": ["\ud800", 10**400], "model": "\ud800" * 9999})
            case "refusal":
                self.send(200, said(None, body, refusal="I'm sorry, I can't."))
            case "filtered":
                self.send(400, {"error": {"message": "filtered", "code": "content_filter"}})
            case "quota":
                self.send(429, {"error": {"message": "no money", "code": "insufficient_quota"}})
            case "tomorrow":
                self.send(429, {"error": {"message": "enough for today"}}, {"Retry-After": "86400"})
            case "echo":  # some servers repeat the key in their errors
                self.send(500, {"error": {"message": f"bad header {self.headers['Authorization']}"}})
            case status:
                self.send(int(status), {"error": {"message": f"made to fail with {self.headers['Authorization']}"}})

    def send(self, status: int, row: Any, headers: dict[str, str] | None = None) -> None:
        self.raw(json.dumps(row).encode(), status, headers)

    def raw(
        self, data: bytes, status: int = 200, headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # a client that has read enough hangs up
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(server: FaultyServer) -> Iterator[FaultyServer]:
    """Run the server on a free port of this machine."""
    with answering(type("Serving", (Handler,), {"faulty": server})) as url:
        server.url = f"{url}/v1"
        try:
            yield server
        finally:
            server.let_go.set()


def said(text: object, body: dict[str, Any], refusal: str | None = None) -> dict[str, Any]:
    """A chat completion; every prompt has 10 tokens and every answer 2."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    return {
        "model": f"{body['model']}-2026",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }
