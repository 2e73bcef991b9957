"""The leaderboard's page in headless Chromium: it fits, sorts and filters, without a network. Skipped without one."""

from pathlib import Path

import pytest

from tests.eval.leaderboard.board_runs import EVIL
from tests.eval.leaderboard.conftest import Boards
from tests.eval.report.browser import CHROMIUM, CONTRAST, PROBE, VIEWS, chromium, opened, walk

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
ROWS = """id => [...document.querySelectorAll(`#${id} tbody tr:not(.group)`)].filter(e => e.checkVisibility())
  .map(e => e.querySelector("bdi").textContent)"""
GROUPS = "() => [...document.querySelectorAll('#strict-text .group')].filter(e => e.checkVisibility()).length"
DIRECTIONS = """() => [...new Set([...document.querySelectorAll("bdi")].filter(e => e.textContent.startsWith("ض"))
  .map(e => getComputedStyle(e).direction))]"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.mark.parametrize("name", VIEWS)
def test_the_page_fits_and_can_be_read(name: str, boards: Boards, browser) -> None:
    page = boards.out / "index.html"
    with opened(browser, page, VIEWS[name]) as found:
        found.page.evaluate("() => document.querySelectorAll('details, #more').forEach(e => e.open = e.checked = true)")
        seen = found.page.evaluate(PROBE)
        if VIEWS[name].media == "screen":
            assert seen["scroll"] <= seen["inner"] and seen["wide"] == [], seen
        assert found.page.evaluate(CONTRAST) == [] and found.console == []
        assert found.asked == [page.resolve().as_uri()]


def test_it_sorts_filters_and_changes_the_scorer(boards: Boards, browser) -> None:
    with opened(browser, boards.out / "index.html", VIEWS["desk"]) as found:
        page = found.page

        def rows(table: str = "strict-text") -> list[str]:
            return page.evaluate(ROWS, table)

        assert rows() == ["blind", "good", "twin", EVIL] and rows("paper-text") == []
        head = page.locator("#strict-text thead tr:last-child th").nth(6)
        head.locator("button").click()
        assert rows() == ["blind", "good", "twin", EVIL] and head.get_attribute("aria-sort") == "descending"
        head.locator("button").press("Enter")
        assert rows() == ["blind", EVIL, "good", "twin"] and head.get_attribute("aria-sort") == "ascending"
        page.locator("#grouped").uncheck()
        assert rows() == [EVIL, "blind", "good", "twin"] and page.evaluate(GROUPS) == 0
        page.locator("#grouped").check()
        assert rows()[0] == "blind" and page.evaluate(GROUPS) == 2
        page.get_by_label("text, images and video").uncheck()
        assert rows() == ["blind"] and page.evaluate(GROUPS) == 1
        page.get_by_label("text, images and video").check()
        page.locator("#find").fill("ONERROR alert")
        assert rows() == [EVIL] and page.locator("#count").text_content() == "1 rows"
        page.locator("#find").fill("")
        page.get_by_role("radio", name="paper").check()
        assert rows() == [] and "MMAFFLM-7b" in rows("paper-XED")
        page.locator("#published").uncheck()
        assert "MMAFFLM-7b" not in rows("paper-XED") and "good" in rows("paper-XED")
        assert page.evaluate(DIRECTIONS) == ["rtl"] and found.console == []


def test_the_keyboard_reaches_every_control(boards: Boards, browser) -> None:
    with opened(browser, boards.out / "index.html", VIEWS["desk"]) as found:
        seen, amiss = walk(found.page, most=400)
        buttons = found.page.evaluate(
            """() => { const all = [...document.querySelectorAll("*")];
            return [...document.querySelectorAll("#strict button, #strict a, input:not([type=radio]), summary")]
              .map(e => all.indexOf(e)) }"""
        )
        assert amiss == [] and set(buttons) <= seen


def test_without_its_script_the_page_shows_every_table(boards: Boards, browser, tmp_path: Path) -> None:
    html = (boards.out / "index.html").read_text()
    (tmp_path / "plain.html").write_text(html.partition("<script>")[0] + "</body></html>")
    with opened(browser, tmp_path / "plain.html", VIEWS["desk"]) as found:
        for table in ("strict-text", "paper-text", "paper-SAMSEMO"):
            assert "good" in found.page.evaluate(ROWS, table)
        assert not found.page.locator("#controls").is_visible()
