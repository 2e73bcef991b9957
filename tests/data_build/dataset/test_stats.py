"""Statistics of a build: the tables have the right counts; the page shows rows, and runs and loads nothing."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from data_build.dataset.stats import Stats, count, tables
from data_build.dataset.stats_charts import columns, lines
from data_build.dataset.stats_page import KINDS, page
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.records import read_jsonl, sha256_of, write_jsonl
from tests.command import mmaffin


class Seen(HTMLParser):
    """The elements of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, Any]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def stats(built: Path) -> Stats:
    return count(Dataset.open(built))


def test_the_tables_count_what_the_manifest_says(built: Path, stats: Stats) -> None:
    manifest = Dataset.open(built).manifest
    for one in stats.counted:
        of = manifest["subsets"][one.subset][one.split]
        assert (one.rows, one.labels, one.languages) == (of["rows"], of["labels"], of["languages"])
        assert one.translated == 0 and len(one.characters) == len(one.vision_tokens) == one.rows
    text = tables(stats.counted)
    total = sum(one.rows for one in stats.counted)
    assert f"| all | | {total} | 0 |" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| MELD_EC | test | ")]
    assert len(rows) == 3 and rows[0][2] == str(manifest["subsets"]["MELD_EC"]["test"]["rows"])
    assert "| semeval2018_english | train | emotion intensity anger: " in text


def test_the_page_shows_rows_of_every_subset_and_loads_nothing(built: Path, stats: Stats) -> None:
    html = page(Dataset.open(built), stats)
    seen = Seen(html).found
    assert {of["id"] for tag, of in seen if tag == "section"} == set(Dataset.open(built).manifest["subsets"])
    assert sum(tag == "article" for tag, _ in seen) == sum(map(len, stats.sample.values())) > 60
    assert len(html) < 4_000_000 and html == page(Dataset.open(built), count(Dataset.open(built)))
    pictures = [of for tag, of in seen if tag == "img"]
    assert len(pictures) > 30 and all(of["src"].startswith("data:image/webp;base64,") for of in pictures)
    assert not any(tag in ("script", "link", "iframe", "object") for tag, _ in seen)
    assert not any(name in of for _, of in seen for name in ("srcset", "action", "onerror", "onload"))
    assert all(of["href"].startswith("#") for tag, of in seen if tag == "a")
    assert "url(" not in html and "@import" not in html and "default-src 'none'" in html
    said = [of for tag, of in seen if tag == "p" and of.get("class") == "said"]
    assert said and all(of["dir"] == "auto" for of in said) and {"ar", "zh", "de"} <= {of.get("lang") for of in said}


def test_every_task_has_a_row_of_charts_with_the_splits_laid_over_each_other(built: Path, stats: Stats) -> None:
    html = page(Dataset.open(built), stats)
    tasks = [task for name in Dataset.open(built).manifest["subsets"] for task in benchmark()[name].tasks]
    assert all(f"<h3>{KINDS[task.kind]} ({task.key})</h3>" in html for task in tasks)
    for split in ("train", "val", "test"):
        assert html.count(f'class="steps {split}"') > 30 and html.count(f'class="mark {split}"') > 100
    assert "every row: " in html, "some prompts without a text are all equally long"
    assert not any("open" in of for tag, of in Seen(html).found if tag == "details"), "rows and prompts are folded"


def test_a_chart_shows_shares_and_nothing_constant_is_drawn() -> None:
    counts = {"train": {"joy": 90, "fear": 10}, "test": {"joy": 1, "fear": 1}}
    drawn = columns("labels", counts, {"train": 100, "test": 2}, ["joy", "fear"])
    assert "train: joy 90.0%, fear 10.0%; test: joy 50.0%, fear 50.0%" in drawn
    assert drawn.count('class="mark train"') == drawn.count('class="mark test"') == 2 and "val" not in drawn
    assert lines("lengths", {"train": [64, 64], "test": [64]}) is None and lines("lengths", {"train": []}) is None
    both = lines("lengths", {"train": [1, 2, 3, 3], "test": [3]})
    assert both is not None and "train: mean 2.25, 4 values; test: mean 3, 1 values" in both


def test_another_seed_shows_other_rows(built: Path, stats: Stats) -> None:
    other = count(Dataset.open(built), seed=1)
    assert [one.labels for one in other.counted] == [one.labels for one in stats.counted]
    assert [row.id for row in other.sample["XED"]] != [row.id for row in stats.sample["XED"]]


def hostile(built: Path, out: Path) -> Dataset:
    """A build of one subset: with a row that is a script, a translated row, and a row of a megabyte."""
    manifest = json.loads((built / "manifest.json").read_text())
    file = "mmaffben/EWECT_virus_test.jsonl"
    rows = list(read_jsonl(built / file))[:3]
    for row, text in zip(rows, ("</p><script>alert(1)</script><img src=//evil onerror=x>", "bien", "x" * 1_000_000),
                         strict=True):  # fmt: skip
        row["messages"][0]["content"] = text
        row["source"] = row["source"] + "<script>"
    rows[1]["translated_from"] = {"language": "en", "engine": "<b>apertium"}
    write_jsonl(out / file, rows)
    (out / "mmaffin/parquet").mkdir(parents=True)
    shutil.copy(built / "mmaffin/parquet/EWECT_virus_test.parquet", out / "mmaffin/parquet")
    manifest["subsets"] = {"EWECT_virus": {"test": manifest["subsets"]["EWECT_virus"]["test"]}}
    manifest["files"][file]["sha256"] = sha256_of(out / file)
    (out / "manifest.json").write_text(json.dumps(manifest))
    return Dataset.open(out)


def test_what_a_row_says_is_text_and_never_markup(built: Path, tmp_path: Path) -> None:
    dataset = hostile(built, tmp_path / "data")
    found = count(dataset)
    html = page(dataset, found)
    assert "&lt;script&gt;alert(1)" in html and not any(tag in ("script", "img", "b") for tag, _ in Seen(html).found)
    assert len(html) < 60_000 and re.search(r"translated from language en, engine &lt;b&gt;apertium", html)
    assert "| EWECT_virus | test | 3 | 1 |" in tables(found.counted)


def test_the_command_prints_tables_and_writes_the_page(built: Path, tmp_path: Path) -> None:
    words = ("stats", "--data", hostile(built, tmp_path / "data").path, "--out")
    done = mmaffin(*words, tmp_path / "s.html")
    assert done.returncode == 0 and done.stdout.startswith("| subset | split | rows |"), done.stderr
    assert (tmp_path / "s.html").read_text().startswith("<!doctype html>")
    wrong = mmaffin(*words, tmp_path)
    assert wrong.returncode == 2 and "not the name of an HTML file" in wrong.stderr
