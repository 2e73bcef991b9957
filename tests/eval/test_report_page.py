"""The report in headless Chromium, at the width of a phone and of a desk, light and dark.

Needs PyQt6-WebEngine, which brings Chromium with it from PyPI (180 MB) and belongs to no tier: it is skipped without.
BROWSER_PYTHON names another interpreter that has it; SCREENSHOTS a folder that keeps the pictures, to look at.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.report import report
from tests.eval.browser import VIEWS
from tests.eval.report_runs import made_data, made_run

PYTHON = os.environ.get("BROWSER_PYTHON", sys.executable)


@pytest.mark.slow
def test_the_page_as_a_person_sees_it(tmp_path: Path) -> None:
    has = subprocess.run([PYTHON, "-c", "import PyQt6.QtWebEngineWidgets"], check=False, capture_output=True)
    if has.returncode:
        pytest.skip("no PyQt6-WebEngine: pip install PyQt6-WebEngine, or set BROWSER_PYTHON")
    data = made_data(tmp_path / "data", lambda task: 60)
    runs = [made_run(data, tmp_path / name, skill) for name, skill in (("mmafflm-7b", 0.6), ("qwen2.5-vl-7b", 0.2))]
    page, *_ = report(runs, data, tmp_path / "report.html")
    pictures = Path(os.environ.get("SCREENSHOTS", tmp_path))
    for view, (width, _, scheme) in VIEWS.items():
        command = [PYTHON, str(Path(__file__).with_name("browser.py")), str(page), str(pictures), view]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout.splitlines()[-1])
        assert seen["console"] == [] and seen["title"] == "MMAFFBen: mmafflm-7b, qwen2.5-vl-7b"
        assert seen["scroll"] <= seen["inner"] == width and seen["wide"] == [], (
            seen
        )  # nothing scrolls the page sideways
        assert seen["open"] and seen["broken"] == 0 and seen["dark"] == (scheme == 0), seen
        for name in (f"{view}.png", f"{view}-rows.png"):
            assert (pictures / name).stat().st_size > 10_000
