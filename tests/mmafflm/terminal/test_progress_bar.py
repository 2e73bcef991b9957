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
    assert said[0] == "predict: 10 of 1000, 1%, 5/s"  # after 2 s we cannot tell how long it takes
    assert (
        said[1] == "predict: 160 of 1000, 16%, 5/s, about 2 min 48 s left"
        and said[-1] == "predict: 1000 of 1000, 100%, 3 min 20 s"
    )


def test_nothing_done_yet_has_no_pace(capsys: pytest.CaptureFixture[str]) -> None:
    Lines("predict", Pace(10, lambda: 5.0)).advance(0)
    with progress("report", 2) as advance:  # standard error is not a terminal here
        advance(2)
    with progress("nothing to do", 0):
        pass
    assert capsys.readouterr().err.splitlines() == ["predict: 0 of 10, 0%", "report: 2 of 2, 100%, 0 s"]


def test_the_rest_goes_at_the_pace_of_its_kind() -> None:
    steps = {"text": 100, "image": 20, "video": 5}
    begun = rest(steps, {"text": 50}, {"text": 0.2})
    assert begun == Rest(10.0, {"image": 20, "video": 5})
    assert begun.said() == "about 10 s left, then 20 image and 5 video at a pace not known yet"
    clips = rest(steps, {"text": 100, "image": 20, "video": 1}, {"text": 0.2, "image": 2.0, "video": 30.0})
    assert clips == Rest(120.0, {}) and clips.said() == "about 2 min 00 s left"  # at the mean of all rows: 3 s
    assert rest(steps, {"text": 100}, {"text": 0.2}).said() == "20 image and 5 video at a pace not known yet"
    assert rest(steps, steps, dict.fromkeys(steps, 1.0)) == Rest(0, {})


def test_clips_are_not_said_to_go_as_texts_went(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    lines = Lines("predict", Pace({"text": 20, "video": 10}, lambda: now[0]))
    for kind, batch, seconds in (("text", 10, 5), ("text", 10, 35), ("video", 2, 40), ("video", 8, 160)):
        now[0] += seconds
        lines.advance({kind: batch})
    assert capsys.readouterr().err.splitlines() == [
        "predict: 10 of 30, 33%, 2/s",
        "predict: 20 of 30, 67%, 0.5/s, 10 video at a pace not known yet",
        "predict: 22 of 30, 73%, 0.275/s",  # one batch of clips is no pace
        "predict: 30 of 30, 100%, 4 min 00 s",
    ]


def test_processes_at_several_kinds_share_the_time() -> None:
    now = [0.0]
    pace = Pace({"text": 10, "video": 10}, lambda: now[0])
    now[0] = 4.0
    pace.advance({"text": 4, "video": 1})
    assert pace.rest() is None and pace.said() == ""
    now[0] = 20.0
    pace.advance({"text": 4, "video": 1})
    pace.advance({})
    assert pace.rest() == Rest(2 * 8.0 / 4 + 8 * 8.0, {}) and pace.total_done == 10


def test_a_slow_first_step_gives_no_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    """A first batch of 100 s, most of it for loading the model, would say 40 minutes for 6 seconds of work."""
    now = [0.0]
    lines = Lines("predict", Pace(250, lambda: now[0]))
    for seconds in (100, 1, 31):
        now[0] += seconds
        lines.advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "predict: 10 of 250, 4%, 0.1/s",
        "predict: 30 of 250, 12%, 0.227/s, about 5 min 52 s left",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (94210, "26 h 10 min")]
)
def test_spans(seconds: float, said: str) -> None:
    assert span(seconds) == said
