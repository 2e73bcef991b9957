"""`mmaffben browse`: answers of two runs next to their records, as a command and as a page in headless Chromium.

Chromium is Debian's (apt-get install chromium); without it the tests of the page are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.report.browse import open_runs
from eval.run.join import run_json
from eval.score.answered import answered_tasks
from eval.score.verdict import right_rows
from mmafflm.browse.query import Query, choose
from mmafflm.browse.server import listening, reply
from mmafflm.browse.table import RecordTable
from mmafflm.dataset import Dataset, split_file
from mmafflm.errors import Fault, UsageFault
from tests.eval.report.browser import CHROMIUM, CONTRAST, DIRECTIONS, PROBE, VIEWS, chromium, opened, photograph
from tests.eval.report.report_runs import EVIL, made_data, made_run

NAMES = ("semeval2018_arabic", "EMOTIC_SI", "SAMSEMO")
SCRIPT_TAG = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[Path]]:
    """Two runs over 30 records of each task; their answers to the first record of each subset are scripts."""
    root = tmp_path_factory.mktemp("browse")
    data = made_data(root / "data", lambda task: 30, NAMES)
    good = made_run(data, root / "good", 0.7, resamples=0, said=SCRIPT_TAG)
    return data, [good, made_run(data, root / "bad", 0.2, resamples=0, said=EVIL)]


@pytest.fixture(scope="module")
def table(runs: tuple[Dataset, list[Path]]) -> RecordTable:
    return open_runs(runs[1], runs[0])


@pytest.mark.parametrize(
    "asked", ["run0=wrong", "run0=right&run1=wrong", "run1=unparsed", "any=unparsed", "run0=unparsed"]
)
def test_rows_are_chosen_by_what_their_answers_are(asked: str, table: RecordTable) -> None:
    query = Query.parse(asked, table)
    rows = choose(table, query).rows
    assert rows
    for row in rows:
        said = table.answers(row)
        assert [one.run for one in said] == ["good", "bad"]
        for name, value in query.values.items():
            asked_of = said if name == "any" else [said[int(name[-1])]]
            fits = {"wrong": lambda one: not one.right, "right": lambda one: one.right}.get(
                value, lambda one: one.verdict.startswith("unparsed: ")
            )
            assert any(map(fits, asked_of))


def test_wrong_and_unparsed_answers_are_one_click_away(table: RecordTable) -> None:
    html = reply(table, "/?subset=SAMSEMO").body.decode()
    for at, run in enumerate(table.runs):
        for value in ("wrong", "unparsed"):
            rows = next(facet for facet in table.facets if facet.name == f"run{at}").values[value]
            assert f'href="/?subset=SAMSEMO&amp;run{at}={value}&amp;page=1">{value} {rows}</a>' in html
        assert f"<bdi>{run}</bdi>: <a" in html
    assert "data</bdi>: answers of <bdi>good</bdi>, <bdi>bad</bdi>" in html


def test_answers_are_searched_in_small_and_capital_letters(table: RecordTable) -> None:
    scripts = choose(table, Query.parse("text=SCRIPT%3Ealert", table)).rows
    assert len(scripts) >= len(NAMES) and all(
        any(SCRIPT_TAG in said.text for said in table.answers(row)) for row in scripts
    )


def test_a_limited_run_shows_what_it_was_asked(runs: tuple[Dataset, list[Path]], tmp_path: Path) -> None:
    data = runs[0]
    alone = made_run(made_data(tmp_path / "data", lambda task: 30, NAMES), tmp_path / "alone", 0.5, resamples=0)
    for name in NAMES[1:]:
        (alone / "predictions" / f"{name}.jsonl").unlink()
    described = (alone / "run.json").read_text()
    (alone / "run.json").write_text(described.replace('"EMOTIC_SI"', '"x"').replace('"SAMSEMO"', '"y"'))
    one, both = open_runs([alone], data), open_runs([alone, runs[1][0]], data)
    assert {facet.name: dict(facet.values) for facet in one.facets}["subset"].keys() == {NAMES[0]}
    assert "any" not in {facet.name for facet in one.facets}
    row = choose(both, Query.parse("subset=SAMSEMO&run0=no+answer", both)).rows[0]
    assert [said.run for said in both.answers(row)] == ["good"]


def test_answers_are_judged_as_compare_judges_them(runs: tuple[Dataset, list[Path]], table: RecordTable) -> None:
    data, folders = runs
    judged = {}
    for one in answered_tasks(folders[1], run_json(folders[1]), data):
        for row, right in enumerate(right_rows(one.task, one.read).tolist()):
            judged[one.records[row].id] = (one.texts[row], right, one.read.unparsed.get(row))
    assert len(judged) == table.rows.height
    for name, row in zip(table.rows["id"], table.rows["row"], strict=True):
        text, right, reason = judged[name]
        shown = table.answers(row)[1]
        assert (shown.text, shown.right) == (text, right)
        assert shown.verdict == f"unparsed: {reason}" if reason else not shown.verdict.startswith("unparsed")


@pytest.fixture
def stopped(runs: tuple[Dataset, list[Path]], tmp_path: Path) -> Path:
    """A run killed in the middle of a line, with some answers in another process's share and one subset not begun."""
    run = Path(shutil.copytree(runs[1][0], tmp_path / "stopped"))
    whole = run / "predictions/EMOTIC_SI.jsonl"
    lines = whole.read_bytes().splitlines(keepends=True)
    whole.write_bytes(b"".join(lines[:8]) + lines[8][:20])
    (run / "shards/2-of-2").mkdir(parents=True)
    (run / "shards/2-of-2/EMOTIC_SI.jsonl").write_bytes(b"".join(lines[6:12]))
    (run / "predictions/SAMSEMO.jsonl").unlink()
    return run


def test_a_run_that_is_not_done_shows_what_is_there_and_says_so(
    runs: tuple[Dataset, list[Path]], stopped: Path
) -> None:
    alone = open_runs([stopped], runs[0])
    every = sum(of["rows"] for name, of in runs[0].files.items() if name.endswith("_test.jsonl"))
    arabic = every - 60
    assert alone.facets[0].values == {"semeval2018_arabic": arabic, "EMOTIC_SI": 12}
    assert alone.notes == (f"stopped: {arabic + 12} of its {every} answers so far",)
    assert alone.notes[0] in reply(alone, "/").body.decode()
    both = open_runs([stopped, runs[1][1]], runs[0])
    assert both.rows.height == every and len(both.notes) == 1
    assert choose(both, Query.parse("run0=no+answer&subset=SAMSEMO", both)).found == 30


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"id": "XED/de/test/1", "prediction": "joy"}', r"XED/de/test/1 is not a record of .*EMOTIC_SI_test"),
        (
            '{"id": "FIRST", "prediction": "another"}',
            "two different answers in this run, to a record of .*EMOTIC_SI_test",
        ),
        ('{"id": "FIRST", "prediction": 3}', r"EMOTIC_SI\.jsonl:31: not"),
        ('{"id": "FIRST"}, {"id": "FIRST"}', r"EMOTIC_SI\.jsonl:31: not JSON"),
        ("[]", r"EMOTIC_SI\.jsonl:31: expected a JSON object"),
        ("nonsense", r"EMOTIC_SI\.jsonl:31: not JSON"),
    ],
)
def test_a_line_that_is_no_answer_is_named(
    line: str, fault: str, runs: tuple[Dataset, list[Path]], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(runs[1][0], tmp_path / "run"))
    path = run / "predictions/EMOTIC_SI.jsonl"
    first = json.loads(path.read_text().splitlines()[0])["id"]
    path.write_text(path.read_text() + line.replace("FIRST", first) + "\n")
    with pytest.raises(Fault, match=fault):
        open_runs([run], runs[0])


def test_a_run_of_another_build_or_without_answers_is_refused(runs: tuple[Dataset, list[Path]], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs[1][0], tmp_path / "run"))
    with pytest.raises(UsageFault, match="twice"):
        open_runs([run, run], runs[0])
    other = made_data(tmp_path / "data", lambda task: 3, NAMES)
    with pytest.raises(Fault, match=r"run: its answers are to other data"):
        open_runs([run], other)
    mine = made_run(made_data(tmp_path / "mine", lambda task: 3, NAMES), tmp_path / "b", 0.5, resamples=0)
    changed = tmp_path / "mine" / split_file("SAMSEMO", "test")
    changed.write_bytes(changed.read_bytes().replace(b"made:0", b"made:9"))
    with pytest.raises(Fault, match=r"SAMSEMO_test\.jsonl: changed after the build"):
        open_runs([mine], Dataset.open(tmp_path / "mine"))
    shutil.rmtree(run / "predictions")
    with pytest.raises(Fault, match="no answers yet"):
        open_runs([run], runs[0])


def test_the_command_serves_until_it_is_interrupted(runs: tuple[Dataset, list[Path]]) -> None:
    data, folders = runs
    words = ["browse", *map(str, folders), "--data", str(data.path), "--port", "0"]
    for command in (["eval", *words], ["data_build", "browse", *words[-4:]]):
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(f"{address}?subset=SAMSEMO") as found:
                assert b"1 to 20 of 30" in found.read()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
            process.stdout.close()


@pytest.fixture(scope="module")
def address(table: RecordTable) -> Iterator[str]:
    with listening(table, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    with chromium() as one:
        yield one


def test_the_page_filters_turns_and_shows_pictures(address: str, browser) -> None:
    kept = os.environ.get("SCREENSHOTS")
    with opened(browser, address, VIEWS["desk"]) as found:
        page = found.page
        with page.expect_navigation():
            page.select_option("select[name=subset]", "EMOTIC_SI")
        assert page.url == f"{address}?subset=EMOTIC_SI"
        assert page.inner_text(".span >> nth=0") == "1 to 20 of 30"
        with page.expect_navigation():
            page.click("a[rel=next] >> nth=0")
        assert page.inner_text(".span >> nth=0") == "21 to 30 of 30" and page.locator("article").count() == 10
        assert page.input_value("select[name=subset]") == "EMOTIC_SI"
        seen = page.evaluate(PROBE)
        assert seen["pictures"] == 10 and seen["broken"] == 0 and seen["wide"] == [], seen
        assert page.evaluate(CONTRAST) == []
        page.fill("input[name=id]", "/000029")
        with page.expect_navigation():
            page.click("button >> nth=0")
        assert page.locator("article").count() == 1 and page.locator(".answers > div").count() == 3
        if kept:
            photograph(page, Path(kept), "browse")
        assert found.console == []
        assert found.asked and all(url.startswith(address) for url in found.asked)


def test_filters_stay_beside_the_records_and_fold_on_a_phone(address: str, browser) -> None:
    place = "() => document.querySelector('.filters').getBoundingClientRect().top"
    is_open = "() => document.querySelector('.filters').open"
    for name, unfolded in (("desk", True), ("phone", False)):
        with opened(browser, f"{address}?subset=EMOTIC_SI", VIEWS[name]) as found:
            assert found.page.evaluate(is_open) == unfolded
            found.page.evaluate("() => scrollTo(0, 1500)")
            assert found.page.evaluate(place) == 0, name
            assert found.page.evaluate(PROBE)["wide"] == [] and found.console == []


def test_the_keyboard_turns_pages_and_an_arrow_passes_by_a_choice(address: str, browser) -> None:
    with opened(browser, f"{address}?subset=EMOTIC_SI", VIEWS["desk"]) as found:
        page = found.page
        for key, shown in (("ArrowRight", "21 to 30 of 30"), ("ArrowLeft", "1 to 20 of 30")):
            with page.expect_navigation():
                page.keyboard.press(key)
            assert page.inner_text(".span >> nth=0") == shown
        at = page.url
        page.focus("select[name=run0]")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        assert page.input_value("select[name=run0]") != "" and page.url == at
        page.focus("form button")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert "run0=" in page.url and found.console == []


def test_a_clip_plays_frame_by_frame(address: str, browser) -> None:
    with opened(browser, f"{address}?subset=SAMSEMO", VIEWS["phone-dark"]) as found:
        page, before = found.page, len(found.asked)
        clip = page.locator("figure.clip >> nth=0")
        first = clip.locator("img").get_attribute("src")
        clip.locator("input").fill("7")
        assert clip.locator("output").inner_text() == "7 of 7"
        assert clip.locator("img").get_attribute("src") == first[:-1] + "6"
        assert len({url for url in found.asked[before:] if url.startswith(f"{address}media/")}) >= 6
        clip.locator("button").click()
        assert clip.locator("button").inner_text() == "stop" and clip.locator("output").inner_text() == "1 of 7"
        page.wait_for_function("() => document.querySelector('output').value === '2 of 7'")
        seen = page.evaluate(PROBE)
        assert seen["broken"] == 0 and seen["wide"] == [] and page.evaluate(CONTRAST) == [], seen
        assert found.console == []


def test_what_is_in_an_answer_stays_text_and_runs_in_its_own_direction(address: str, browser) -> None:
    with opened(browser, f"{address}?subset=semeval2018_arabic", VIEWS["desk"]) as found:
        said = dict(found.page.evaluate(DIRECTIONS))
        assert said[SCRIPT_TAG] == "ltr"
        arabic = [direction for text, direction in said.items() if text.startswith("أنا سعيد")]
        assert arabic and set(arabic) == {"rtl"}
        edges = """() => [...document.querySelectorAll("article > p.said")].filter(e => /^أنا/.test(e.textContent))
          .map(e => e.parentElement.getBoundingClientRect().right - e.getBoundingClientRect().right)"""
        assert max(found.page.evaluate(edges)) < 2, "at the right edge, where it begins"
        assert found.page.evaluate("() => document.scripts.length") == 1 and found.page.title() == "data: good, bad"
        assert EVIL in said and found.console == []
