"""One HTTP endpoint of the OpenAI protocol: limits the rate, sends failed requests again, and never shows the key.

A request that fails for a temporary reason (429, 5xx, time-out, broken connection, an answer without text) is sent
again after a wait, which is longer each time and includes the wait that the server asks for (Retry-After). A request
that fails permanently raises a Fault. The Fault is a Refused when the server would never answer this request;
`of_the_request` then tells whether other requests may succeed.
"""

import json
import os
import random
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from mmafflm.errors import Fault, UsageFault
from mmafflm.files.storable import storable

Read = TypeVar("Read")
OPENAI = "https://api.openai.com/v1"
AGAIN = {408, 409, 425, 429}  # and every 5xx
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
PATIENCE_S = 600.0  # when a server asks for a longer wait, the quota is used up
OF_THE_REQUEST = {400, 413, 414, 415, 422, 431, 451}  # caused by one request; other requests may succeed
LARGEST = 1 << 24  # bytes of an answer, 16 MiB; the rest is not read
FIRST_ROWS = 10  # if this many rows fail alike before one succeeds, the rows are not to blame
QUOTA = ("insufficient_quota", "billing_hard_limit_reached")  # OpenAI's codes under status 429; waiting does not help


class Again(Exception):
    """A failure after which a later try may succeed.

    after_s: the wait that the server asks for. answered: whether the status was 200.
    """

    def __init__(self, why: str, after_s: float | None = None, answered: bool = False) -> None:
        super().__init__(why)
        self.after_s, self.answered = after_s, answered


class Stopped(Exception):
    """The run is ending: this request was not sent."""


class RequestPace:
    """When the next request may be sent: at most per_minute, and not before a wait that the server asked for is over.

    All threads share it. now, sleep and draw (a random number in 0..1) are arguments so that tests can replace them.
    """

    def __init__(
        self,
        per_minute: float | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.between_s = 60 / per_minute if per_minute else 0.0
        self.stop = threading.Event()
        self.now, self.sleep, self.draw = now, sleep or self.stop.wait, draw
        self.lock = threading.Lock()
        self.next = self.now()

    def wait(self) -> None:
        """Wait for this request's turn. Raises Stopped when the run ends meanwhile."""
        with self.lock:
            turn = max(self.next, self.now())
            self.next = turn + self.between_s
        self._wait_until(turn)

    def back_off(self, failures: int, asked_s: float | None) -> None:
        """Wait after a failure, twice as long each time, up to LONGEST_WAIT_S. Raises Stopped when the run ends.

        A wait that the server asks for comes first and delays all threads.
        """
        own_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (failures - 1))
        with self.lock:
            start = self.now() + (asked_s or 0)
            if asked_s is not None:
                self.next = max(self.next, start)
        # a random share of the wait, at least half, so that threads that failed together do not retry together
        self._wait_until(start + own_s * (1 + self.draw()) / 2)

    def _wait_until(self, moment: float) -> None:
        while not self.stop.is_set() and (left := moment - self.now()) > 0:
            self.sleep(left)
        if self.stop.is_set():
            raise Stopped


class Endpoint:
    """A base URL and a key. No message, file or repr shows the key."""

    def __init__(self, url: str, key: str | None, pace: RequestPace, tries: int, timeout_s: float) -> None:
        """Raises UsageFault for an invalid URL, and for one that contains a user, a password or a query."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            raise UsageFault("OPENAI_BASE_URL is not a URL. Write it like http://127.0.0.1:8000/v1") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise UsageFault("OPENAI_BASE_URL is not a URL. Write it like http://127.0.0.1:8000/v1")
        if parsed.userinfo or parsed.query:
            raise UsageFault(
                "OPENAI_BASE_URL has a user, a password or a query, which may be a secret. Remove it, and set "
                "OPENAI_API_KEY to the key."
            )
        self.url, self.pace, self.tries = str(parsed).rstrip("/"), pace, tries
        self.retries = 0
        self._key = key
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 20)),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
        )

    def ask(self, path: str, body: dict[str, Any] | None, read: Callable[[Any], Read]) -> Read:
        """POST a body, or GET without one, and return what `read` makes of the JSON answer.

        `read` raises Again for an answer that it cannot use. Raises Refused when the server will not answer this
        request or its answers stay unusable; a plain Fault when it refuses the key, asks for a long wait or has failed
        `tries` times; and Stopped when the run ends meanwhile.
        """
        failures = 0
        while True:
            self.pace.wait()
            try:
                return read(self._send(path, body))
            except Again as again:
                failures += 1
                if failures == self.tries:
                    message = f"{self.url}{path}: failed {failures} times, at last with {again}."
                    raise (Refused(message, 200) if again.answered else Fault(message)) from None
                self.retries += 1
                self.pace.back_off(failures, again.after_s)

    def _send(self, path: str, body: dict[str, Any] | None) -> Any:
        try:
            with self._client.stream("GET" if body is None else "POST", self.url + path, json=body) as answer:
                data = _first_bytes(answer)
        except httpx.TimeoutException:
            raise Again("a time-out") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Again(f"a broken connection ({self._said(str(error) or type(error).__name__)})") from None
        row = _json(data)
        if answer.status_code != 200:
            raise self._refused(path, answer, row)
        if len(data) > LARGEST:
            raise Refused(f"{self.url}{path}: an answer of more than {LARGEST:,} bytes.", 200)
        if row is None:
            raise Again("an answer that is not JSON", answered=True)
        return row

    def _refused(self, path: str, answer: httpx.Response, row: Any) -> Exception:
        error = _error(row)
        code = str(error.get("code") or "")
        message = error.get("message") or error.get("detail") or answer.reason_phrase or "no reason given"
        status, said = answer.status_code, self._said(str(message))
        if status in (401, 403):
            # leave out the server's message: some servers repeat the key in it
            return Fault(f"{self.url}{path}: status {status}, the key is refused. Set OPENAI_API_KEY.")
        if (status not in AGAIN and status < 500) or code in QUOTA:
            return Refused(f"{self.url}{path}: status {status}, {said}.", status, code)
        after_s = _retry_after(answer)
        if after_s is not None and after_s > PATIENCE_S:
            return Fault(f"{self.url}{path}: status {status} and a wait of {after_s:.0f} s. Run this again later.")
        return Again(f"status {status}, {said}", after_s)

    def _said(self, text: str) -> str:
        """One line of the server's message, with the key replaced."""
        if self._key:
            text = text.replace(self._key, "***")
        return storable(" ".join(text[:2000].split()).rstrip(".")[:200])


class Refused(Fault):
    """The server does not answer this request usefully, however often it is sent. code: the server's own error code."""

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code

    @property
    def of_the_request(self) -> bool:
        """Whether only this request is to blame, so that other requests may be answered."""
        return self.status in (200, *OF_THE_REQUEST)


class FirstRows:
    """Decides whether rows or the run are to blame: the run, when its first ten rows are refused with one status."""

    def __init__(self) -> None:
        self.decided = False
        self._statuses = list[int]()
        self._lock = threading.Lock()

    def note(self, refused: Refused | None) -> None:
        """Count one more row, refused or answered. Raises Fault when the first ten were all refused with one status."""
        with self._lock:
            if self.decided:
                return
            self._statuses += [refused.status] if refused else []
            if refused is None or len(set(self._statuses)) > 1:
                self.decided = True
            elif len(self._statuses) >= FIRST_ROWS:
                raise Fault(f"{refused} The first {FIRST_ROWS} rows were refused alike, so the run ends.")


def endpoint_of_environment(pace: RequestPace, tries: int, timeout_s: float) -> Endpoint:
    """The server of OPENAI_BASE_URL, else OpenAI's own.

    Raises UsageFault for an invalid URL, and when OpenAI's own server is used without OPENAI_API_KEY.
    """
    url, key = os.environ.get("OPENAI_BASE_URL") or OPENAI, os.environ.get("OPENAI_API_KEY")
    if not key and url.rstrip("/") == OPENAI:
        raise UsageFault("--engine openai needs OPENAI_API_KEY, or OPENAI_BASE_URL of a server that needs no key")
    return Endpoint(url, key, pace, tries, timeout_s)


def _first_bytes(answer: httpx.Response) -> bytes:
    """All bytes of an answer, or a little more than LARGEST of them."""
    data = bytearray()
    for piece in answer.iter_bytes():
        data += piece
        if len(data) > LARGEST:
            break
    return bytes(data)


def _json(data: bytes) -> Any:
    """The value of a JSON text; None when it is not JSON or longer than LARGEST."""
    try:
        return json.loads(data) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        return None


def _error(row: Any) -> dict[str, Any]:
    error = row.get("error", row) if isinstance(row, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait, from retry-after-ms (OpenAI's own) or retry-after (seconds or a date); None without them."""
    headers = answer.headers
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, ValueError):
            continue
    try:
        return max(0.0, parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time())
    except (KeyError, ValueError, OverflowError):
        return None
