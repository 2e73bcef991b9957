"""Serve the page on loopback: only GET requests, only for this machine's host names, only files that a record has.

We use Python's own server, not gradio: importing gradio 5.50 took 3.0 to 4.5 s here (2 cores, 2026-11-24), as long as
opening a build may take in total. The page also works in an installation without torch.
"""

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import NamedTuple

from mmafflm.browse.files import content, medium
from mmafflm.browse.page import asset, file_of, page
from mmafflm.browse.query import Query
from mmafflm.browse.table import RecordTable
from mmafflm.errors import Fault, UsageFault
from mmafflm.terminal.command import say

HOST = "127.0.0.1"
IDLE_S = 60  # a connection is closed after this many silent seconds
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; "
    "script-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Accept-Ranges": "bytes",
    "Cache-Control": "no-store",  # another build may have the same address tomorrow
}


class HttpReply(NamedTuple):
    """An HTTP reply: status, MIME type, body."""

    status: HTTPStatus
    kind: str
    body: bytes


def reply(table: RecordTable, path: str) -> HttpReply:
    """The reply to GET `path`. For anything missing or forbidden it is status 404 with a sentence."""
    place, _, asked = path.partition("?")
    try:
        match place.split("/"):
            case ["", ""]:
                return _text("text/html", page(table, Query.parse(asked, table)))
            case ["", "browse.css"]:
                return _text("text/css", asset("browse.css"))
            case ["", "browse.js"]:
                return _text("text/javascript", asset("browse.js"))
            case ["", "favicon.ico"]:
                return HttpReply(HTTPStatus.NO_CONTENT, "image/x-icon", b"")
            case ["", "media", row, at] if _number(row) and _number(at):
                found = medium(table.root, file_of(table, int(row), int(at)))
                return HttpReply(HTTPStatus.OK, found.kind, content(found))
    except Fault as fault:
        return _text("text/plain", str(fault), HTTPStatus.NOT_FOUND)
    return _text("text/plain", "this address does not exist", HTTPStatus.NOT_FOUND)


def _text(kind: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> HttpReply:
    # a lone surrogate, as in a broken tweet, has no UTF-8 form
    return HttpReply(status, f"{kind}; charset=utf-8", text.encode(errors="replace"))


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _part(asked: str, found: HttpReply) -> range | None:
    """The bytes of a clip that a Range header asks for; a browser needs them to seek. None: the whole file."""
    wanted = re.fullmatch(r"bytes=([0-9]{1,15})-([0-9]{0,15})", asked)
    if not wanted or not found.kind.startswith("video/") or int(wanted[1]) >= len(found.body):
        return None
    part = range(int(wanted[1]), min(int(wanted[2] or len(found.body)) + 1, len(found.body)))
    return part or None


def _handler(table: RecordTable) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "mmafflm", ""
        timeout = IDLE_S
        disable_nagle_algorithm = True  # otherwise a body sent after its headers waits 40 ms for the browser

        def do_GET(self) -> None:
            # A foreign page can point its own name to 127.0.0.1, but the browser then sends that name as Host.
            port = self.connection.getsockname()[1]
            short = (HOST, "localhost") if port == 80 else ()  # browsers leave port 80 out
            known = self.headers.get("Host") in (f"{HOST}:{port}", f"localhost:{port}", *short)
            found = reply(table, self.path) if known else _text("text/plain", "unknown Host", HTTPStatus.FORBIDDEN)
            part = _part(self.headers.get("Range", ""), found)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if part else found.status)
            body, own = found.body, {"Content-Type": found.kind}
            if part:
                own["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(body)}"
                body = body[part.start : part.stop]
            for name, value in {**HEADERS, **own, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: the page itself shows what went wrong."""

    return Handler


class _Server(ThreadingTCPServer):
    """Used instead of http.server's own server, which asks the network for the name of 127.0.0.1 before it starts."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a browser that disconnects; report anything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def listening(table: RecordTable, port: int) -> Iterator[_Server]:
    """A server on loopback only; port 0 picks a free port. Raises UsageFault for a port that cannot be used."""
    try:
        server = _Server((HOST, port), _handler(table))
    except (OSError, OverflowError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise UsageFault(f"--port {port}: in use, or not permitted. Choose another; 0 picks a free one.") from None
    with server:
        yield server


def serve(table: RecordTable, port: int) -> None:
    """Serve until Ctrl-C; the address is printed to standard output once the server answers."""
    with listening(table, port) as server:
        say(f"{table.rows.height:,} records. Press Ctrl-C to stop.")
        print(f"http://{HOST}:{server.server_address[1]}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("stopped")
