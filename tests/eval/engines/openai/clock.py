"""A clock for the tests of the pace, without waiting."""

import threading

from mmafflm.endpoint import RequestPace


class Clock:
    """A clock that advances only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s, self.slept, self.lock = 0.0, list[float](), threading.Lock()

    def now(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.now_s += seconds

    def pace(self, per_minute: float | None = None) -> RequestPace:
        return RequestPace(per_minute, self.now, self.sleep, draw=lambda: 1.0)
