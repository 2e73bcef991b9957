"""curves.png: what is drawn of a run, and how."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmafflm.benchmark.benchmark import benchmark
from mmafflm.train.watch.curves import draw, panels, smoothed


def row(step: int, **more: Any) -> dict[str, Any]:
    seen = {"subset": dict.fromkeys(benchmark(), 1 / len(benchmark())), "language": {"en": 1.0}}
    found = {"step": step, "loss": 3.0 / step, "grad_norm": None, "learning_rate": 1e-5, "tokens_per_s": None}
    return found | {"real_share": 0.9, "data_wait_share": None, "seen": seen} | more


def test_only_what_was_measured_has_axes() -> None:
    shown = {panel.title: panel.series for panel in panels([row(1), row(2)], [])}
    assert not any("validation" in title or "gradient" in title or "tokens a second" in title for title in shown)
    assert list(shown["shares of tokens and of time"]) == ["real tokens"]
    (subsets,) = (series for title, series in shown.items() if "each subset" in title)
    assert set(subsets) == set(benchmark()), "all of them, not the most frequent"
    tasks = {"XED": {"score": 0.4, "top_share": 0.5}, "CHSIMS_SI": {"score": None, "top_share": 0.9}}
    validated = {panel.title: panel.series for panel in panels([row(1)], [{"step": 1, "tasks": tasks}])}
    (scores,) = (series for title, series in validated.items() if title.startswith("validation: score"))
    assert scores == {"XED": [(1, 0.4)]}, "a score that was withheld is no line"


def test_a_mean_smooths_long_series_only() -> None:
    raw = [(step, float(step % 2)) for step in range(1, 201)]
    assert smoothed(raw[:20]) == raw[:20]
    mean = smoothed(raw)
    assert [step for step, _ in mean] == [step for step, _ in raw]
    assert all(0.3 < value < 0.7 for _, value in mean)


@pytest.mark.parametrize("losses", [[3.0, 0.01], [0.5], [0.0, 1.0], [None]])
def test_any_run_can_be_drawn(losses: list[float | None], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib belongs to the train tier")
    assert draw(tmp_path) is None
    lines = [json.dumps(row(at + 1, loss=loss)) for at, loss in enumerate(losses)]
    (tmp_path / "progress.jsonl").write_text("\n".join(lines) + "\n")
    path = draw(tmp_path)
    assert path is not None
    with Image.open(path) as picture:
        assert picture.width > 1000 and len(picture.convert("L").getcolors() or range(300)) > 10
