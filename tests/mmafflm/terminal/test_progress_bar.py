"""Progress without a terminal: a moderate number of lines with an estimate of the time left."""

import pytest

from mmafflm.terminal.progress_bar import EVERY_S, Lines, Pace, Rest, progress, rest, span


def test_a_log_file_is_told_the_first_steps_the_time_left_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    lines = Lines("predict", Pace(1000, lambda: now[0]))
    for _ in range(100):
        now[0] += 2
        lines.advance(10)
    lines.advance(0)
    told = capsys.readouterr()
    said = told.err.splitlines()
    assert not told.out and len(said) == 2 + int(198 / EVERY_S)
    assert said[0] == "predict: 10 of 1000, 1%, 5/s, about 3 min 18 s left"
    assert said[1].startswith("predict: 160 of 1000, 16%") and said[-1] == "predict: 1000 of 1000, 100%, 3 min 20 s"


def test_nothing_done_yet_has_no_pace(capsys: pytest.CaptureFixture[str]) -> None:
    Lines("predict", Pace(10, lambda: 5.0)).advance(0)
    with progress("report", 2) as advance:  # standard error is not a terminal here
        advance(2)
    with progress("nothing to do", 0):
        pass
    assert capsys.readouterr().err.splitlines() == ["predict: 0 of 10, 0%", "report: 2 of 2, 100%, 0 s"]


def test_the_rest_goes_at_the_pace_of_its_kind() -> None:
    steps = {"text": 100, "image": 20, "video": 5}
    begun = rest(steps, {"text": 50}, {"text": 10.0})
    assert begun == Rest(10.0, {"image": 20, "video": 5})
    assert begun.said() == "about 10 s left, then 20 image and 5 video at a pace not known yet"
    clips = rest(steps, {"text": 100, "image": 20, "video": 1}, {"text": 20.0, "image": 40.0, "video": 30.0})
    assert clips == Rest(120.0, {}) and clips.said() == "about 2 min 00 s left"  # at the mean of all rows: 3 s
    assert rest(steps, {"text": 100}, {"text": 20.0}).said() == "20 image and 5 video at a pace not known yet"
    assert rest(steps, steps, dict.fromkeys(steps, 1.0)) == Rest(0, {})


def test_clips_are_not_said_to_go_as_texts_went(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines("predict", Pace({"text": 20, "video": 10}, lambda: now[0]))
    for kind, batch, seconds in (("text", 10, 5), ("text", 10, 35), ("video", 2, 40), ("video", 8, 160)):
        now[0] += seconds
        lines.advance({kind: batch})
    assert capsys.readouterr().err.splitlines() == [
        "predict: 10 of 30, 33%, 2/s, about 5 s left, then 10 video at a pace not known yet",
        "predict: 20 of 30, 67%, 0.5/s, 10 video at a pace not known yet",
        "predict: 22 of 30, 73%, 0.275/s, about 2 min 40 s left",
        "predict: 30 of 30, 100%, 4 min 00 s",
    ]


def test_processes_at_several_kinds_share_the_time() -> None:
    now = [0.0]
    pace = Pace({"text": 10, "video": 10}, lambda: now[0])
    now[0] = 4.0
    pace.advance({"text": 8, "video": 1})
    pace.advance({})
    assert pace.rest() == Rest(2 * 2.0 / 8 + 9 * 2.0, {}) and pace.total_done == 9


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (94210, "26 h 10 min")]
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said
