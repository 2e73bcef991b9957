"""Progress where there is no terminal: lines with an estimate of the time left, and not too many."""

import pytest

from mmafflm.bar import EVERY_S, Lines, progress, span


def test_a_log_file_is_told_the_first_steps_the_time_left_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    lines = Lines("predict", 1000, lambda: now[0])
    for _ in range(100):
        now[0] += 2
        lines.advance(10)
    lines.advance(0)
    told = capsys.readouterr()
    said = told.err.splitlines()
    assert not told.out and len(said) == 2 + int(198 / EVERY_S)
    assert said[0] == "predict: 10 of 1000, 1%, 5/s, about 3 min 18 s left at this pace"
    assert said[1].startswith("predict: 160 of 1000, 16%") and said[-1] == "predict: 1000 of 1000, 100%, 3 min 20 s"


def test_nothing_done_yet_has_no_pace(capsys: pytest.CaptureFixture[str]) -> None:
    Lines("predict", 10, lambda: 5.0).advance(0)
    with progress("report", 2) as advance:  # standard error is no terminal here
        advance(2)
    with progress("nothing to do", 0):
        pass
    assert capsys.readouterr().err.splitlines() == ["predict: 0 of 10, 0%", "report: 2 of 2, 100%, 0 s"]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (94210, "26 h 10 min")]
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said
