"""The report in headless Chromium: on a phone and a desktop, light, dark and printed, by keyboard, without a network.

Needs Debian's chromium (apt-get install chromium); skipped without it. SCREENSHOTS names a folder to keep the
screenshots in.
"""

import json
import os
import unicodedata
from pathlib import Path

import pytest

from eval.compare.compare import compare_runs
from eval.diagnosis.diagnose import diagnose
from eval.report.report import report
from eval.run.join import run_json
from eval.score.answered import answered_tasks
from tests.eval.report.browser import (
    CHROMIUM,
    CONTRAST,
    DIRECTIONS,
    HEIGHT,
    PROBE,
    REACHABLE,
    VIEWS,
    chromium,
    open_all,
    opened,
    photograph,
    walk,
)
from tests.eval.report.report_runs import EVIL, made_data, made_run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
SCRIPT_TAG = "<script>alert(1)</script>"


def reported(root: Path, rows: int, names: tuple[str, ...] | None = None) -> Path:
    """The page of two runs, the first one diagnosed; the first answer to every subset is a script tag.

    names: only these subsets; then the runs are also compared.
    """
    data = made_data(root / "data", lambda task: rows, names)
    runs = [
        made_run(data, root / name, skill, said=SCRIPT_TAG) for name, skill in (("mmafflm-7b", 0.6), ("qwen-7b", 0.2))
    ]
    found = diagnose(answered_tasks(runs[0], run_json(runs[0]), data), resamples=50)
    (runs[0] / "diagnosis.json").write_text(json.dumps(found | {"not_measured": []}))
    if names:
        compare_runs(runs[1], runs[0], data)
    return report(runs, data, root / "report.html")[0]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of all 18 subsets."""
    return reported(tmp_path_factory.mktemp("page"), 40)


@pytest.fixture(scope="module")
def compared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smaller report, with a comparison."""
    return reported(tmp_path_factory.mktemp("compared"), 40, ("EMOTIC_SI", "SAMSEMO"))


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.mark.parametrize("name", VIEWS)
def test_the_page_as_a_person_sees_it(name: str, page_file: Path, browser, tmp_path: Path) -> None:
    kept, view = os.environ.get("SCREENSHOTS"), VIEWS[name]
    with opened(browser, page_file, view) as found:
        closed = found.page.evaluate(PROBE)
        open_all(found.page)
        seen = found.page.evaluate(PROBE)
        for one in (closed, seen):
            assert one["scroll"] <= one["inner"] == view.width and one["wide"] == [], one
        found.page.screenshot(path=tmp_path / "first.png")
        if kept:
            photograph(found.page, Path(kept), name)
        assert seen["dark"] == view.dark and seen["print"] == (view.media == "print")
        assert seen["title"] == "MMAFFBen: mmafflm-7b, qwen-7b"
        assert seen["pictures"] > 30 and seen["broken"] == 0, seen
        assert found.page.evaluate(CONTRAST) == []
        assert found.console == []
        outside = [url for url in found.asked if not url.startswith("data:")]
        assert outside == [page_file.resolve().as_uri()], "nothing but the file itself is asked for"


def test_a_folded_page_is_short_and_a_chart_on_a_phone_is_readable(page_file: Path, browser) -> None:
    with opened(browser, page_file, VIEWS["desk"]) as found:
        assert found.page.evaluate(HEIGHT) < 6000
        top = "() => document.querySelector('.panels').getBoundingClientRect().top"
        assert found.page.evaluate(top) < VIEWS["desk"].height, "the chart begins on the first screen"
    with opened(browser, page_file, VIEWS["phone"]) as found:
        shown = "[...document.querySelectorAll('.lanes li:not(.top) span')].filter(e => e.textContent.trim())"
        smallest = f"() => Math.min(...{shown}.map(e => parseFloat(getComputedStyle(e).fontSize)))"
        assert found.page.evaluate(smallest) >= 10
        plot = "() => document.querySelector('.lanes svg.lane').getBoundingClientRect().width"
        assert found.page.evaluate(plot) > 300, "as wide as the phone"


def test_a_command_is_copied_with_one_click(page_file: Path, browser) -> None:
    with opened(browser, page_file, VIEWS["desk"]) as found:
        found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        button = found.page.locator("button.copy >> nth=0")
        button.click()
        found.page.wait_for_function("() => document.querySelector('button.copy').textContent === 'Copied'")
        command = found.page.locator(".command code >> nth=0").inner_text()
        assert command.startswith("mmaffben browse ") and command == found.page.evaluate(
            "() => navigator.clipboard.readText()"
        )
        assert found.console == []


def test_what_is_in_an_answer_stays_text_and_runs_in_its_own_direction(page_file: Path, browser) -> None:
    with opened(browser, page_file, VIEWS["desk"]) as found:
        open_all(found.page)
        said = dict(found.page.evaluate(DIRECTIONS))
        assert SCRIPT_TAG in said and EVIL in said
        assert found.console == [] and found.page.title().startswith("MMAFFBen")
        assert found.page.evaluate("() => document.querySelectorAll('script').length") == 1
        firsts = {text: next((unicodedata.bidirectional(one) for one in text if one.isalpha()), "L") for text in said}
        assert {"R", "AL"} <= set(firsts.values()), "Hebrew and Arabic rows are on the page"
        for text, direction in said.items():
            assert direction == ("rtl" if firsts[text] in ("R", "AL") else "ltr"), text


def test_the_keyboard_reaches_and_opens_everything(compared_file: Path, browser) -> None:
    with opened(browser, compared_file, VIEWS["desk"]) as found:
        wanted = set(found.page.evaluate(REACHABLE))
        seen, amiss = walk(found.page, most=2 * len(wanted))
        assert amiss == []
        assert found.page.evaluate("() => document.querySelectorAll('details:not([open])').length") == 0
        assert wanted <= seen, f"{len(wanted - seen)} of {len(wanted)} are out of reach"


@pytest.mark.parametrize("name", ["phone-dark", "print"])
def test_a_comparison_fits_a_phone_and_paper(name: str, compared_file: Path, browser) -> None:
    with opened(browser, compared_file, VIEWS[name]) as found:
        assert found.page.evaluate("() => document.querySelectorAll('#compared table').length") == 3
        open_all(found.page)
        seen = found.page.evaluate(PROBE)
        assert seen["scroll"] <= seen["inner"] and seen["wide"] == []
        assert found.page.evaluate(CONTRAST) == [] and found.console == []


def test_a_link_into_what_is_closed_opens_it(page_file: Path, browser) -> None:
    with opened(browser, page_file, VIEWS["phone"]) as found:
        box = "() => document.getElementById('EMOTIC_SI').closest('details').open"
        assert not found.page.evaluate(box)
        found.page.evaluate("() => { location.hash = '#EMOTIC_SI' }")
        found.page.wait_for_function(box)


def test_everything_is_open_on_paper_but_prompts_and_what_was_not_found(
    page_file: Path, browser, tmp_path: Path
) -> None:
    with opened(browser, page_file, VIEWS["print"]) as found:
        found.page.evaluate(
            "() => addEventListener('beforeprint', () => { document.title = document.querySelectorAll("
            "'details:not([open]):not(.prompt, .folded)').length })"
        )
        found.page.pdf(path=tmp_path / "report.pdf", format="A4")
        assert found.page.title() == "0"
        assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
        assert found.page.evaluate("() => document.querySelectorAll('details:not([open])').length") > 18, "as before"
