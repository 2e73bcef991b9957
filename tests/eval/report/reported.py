"""The report of two made-up runs over all 18 subsets, read back, for the tests of the report."""

import json
from pathlib import Path

from eval.report.report import report
from tests.eval.report.page import Page
from tests.eval.report.report_runs import made_data, made_run

EVIL_SENTENCE = "Found: <script>alert(2)</script> drifts."
_FINDING = {
    "kind": "intensity_drift", "check": "spread", "subset": "CHSIMS_SI", "task": "si", "part": "", "threshold": 0.5,
    "side": "below", "n": 24, "data": {}, "p": None, "p_holm": None,
}  # fmt: skip
DIAGNOSIS = {
    "schema": 2,
    "findings": [
        _FINDING | {"verdict": "absent", "sentence": "All is well.", "value": 0.9, "ci95": [0.8, 1.0]},
        _FINDING | {"verdict": "found", "sentence": EVIL_SENTENCE, "value": 0.31, "ci95": None},
    ],
    "checks": {"spread": {"kind": "intensity_drift", "why": "<b>because</b>", "threshold": 0.5, "side": "below"}},
}


class Made:
    """DATA, two runs (the first with a diagnosis) and the report of both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = made_data(root / "data")
        self.runs = [made_run(self.data, root / "good_run", 0.7), made_run(self.data, root / "poor", 0.2)]
        (self.runs[0] / "diagnosis.json").write_text(json.dumps(DIAGNOSIS))
        self.out = root / "report.html"
        self.written = report(self.runs, self.data, self.out)
        self.html = self.out.read_text()
        self.page = Page(self.html)
        self.results = json.loads((root / "report.results.json").read_text())

    def scores(self, run: int, mode: str = "strict") -> dict:
        return json.loads((self.runs[run] / f"scores.{mode}.json").read_text())
