"""A small DATA with pictures, frames and clips, and a server that answers the questions of any harness about it."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from PIL import Image

from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.dataset import MEDIA_INDEX, Dataset, data_hash
from mmafflm.records import Record, sha256_of, write_jsonl, write_text
from tests.data_files import write_data
from tests.eval.report.report_runs import made_data
from tests.loopback import answering

# Labels, several labels, numbers, numbers by emotion, ordinal classes, three dimensions; text, pictures, frames, clips.
SUBSETS = ["XED", "semeval2018_english", "EMOTIC_SI", "FER2013", "CHSIMS_SI", "MELD_SP"]


def data_with_media(path: Path, rows: Callable[[Task], int] = lambda task: 12, names: list[str] = SUBSETS) -> Dataset:
    """DATA with test records of these subsets; pictures and frames are PNG, as in a build, and the index lists them."""
    made = made_data(path, rows, names)
    for file in sorted((path / "media").glob("*.jpg")):
        with Image.open(file) as picture:
            picture.resize((120, 90)).save(file.with_suffix(".png"))
        file.unlink()
    records = {name: [_with_png(one) for one in made.records(name, "test")] for name in names}
    stored = [file for file in sorted((path / "media").iterdir()) if file.name != "index.jsonl"]
    index = [{"file": file.relative_to(path).as_posix(), "bytes": file.stat().st_size} for file in stored]
    write_jsonl(path / MEDIA_INDEX, index)
    written = write_data(path, records)
    files = written.files | {MEDIA_INDEX: {"rows": len(index), "sha256": sha256_of(path / MEDIA_INDEX)}}
    manifest = written.manifest | {"files": files, "data_hash": data_hash(files)}
    write_text(path / "manifest.json", json.dumps(manifest))
    return Dataset.open(path)


def _with_png(record: Record) -> Record:
    row = json.dumps([record.images, record.videos]).replace(".jpg", ".png")
    images, videos = json.loads(row)
    return replace(record, images=images, videos=videos)


def records_of(data: Dataset) -> list[Record]:
    return [one for name in data.subsets("test") for one in data.records(name, "test")]


@contextmanager
def answering_server(data: Dataset) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server of the OpenAI protocol; yields its URL and the bodies of its requests.

    It finds the task by the question's text and answers with the gold answer of one of the task's rows, so answers are
    admissible, and right now and then. The same request always gets the same answer.
    """
    asked: list[dict[str, Any]] = []
    answers: dict[str, list[str]] = {}
    for record in records_of(data):
        task = benchmark()[record.subset].task(record.task)
        beginning = _plain(task.ask("\0", record.emotion or "").partition("\0")[0])
        answers.setdefault(beginning, []).append(record.answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send({"object": "list", "data": [{"id": "made-up", "object": "model"}]})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            body = json.loads(raw)
            asked.append(body)
            content = body["messages"][-1]["content"]
            parts = [{"text": content}] if isinstance(content, str) else content
            text = "".join(part.get("text") or "" for part in parts)
            draw = random.Random(hashlib.sha256(json.dumps(content).encode()).digest())
            known = max((one for one in answers if _plain(text).startswith(one)), key=len)
            said = draw.choice(answers[known]) if draw.random() < 0.9 else "I cannot say."
            message = {"role": "assistant", "content": said}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
            self._send({"id": "1", "object": "chat.completion", "created": 1, "model": "made-up",
                        "choices": [choice], "usage": usage})  # fmt: skip

        def _send(self, row: dict[str, Any]) -> None:
            data = json.dumps(row).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with answering(Handler) as url:
        yield f"{url}/v1", asked


def _plain(question: str) -> str:
    """A question without the marks of media, which some harnesses remove."""
    return question.replace("<image>", "").replace("<video>", "").strip()
