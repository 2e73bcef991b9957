"""The report's first screen, its heat maps' scale, and its commands."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from eval.report.commands import commands
from eval.report.first_screen import cards, chart, task_words
from eval.report.load import load_runs
from eval.report.tables import headline, heat_maps
from mmafflm.benchmark.benchmark import benchmark
from tests.eval.report.reported import Made


def test_the_first_screen_says_what_was_evaluated_and_how_well(made: Made) -> None:
    runs = load_runs(made.runs, made.data)
    scores = made.scores(0)["subsets"]
    image = next(one for one in cards(runs) if one.modality == "image")
    labels, numbers = image.scores
    assert labels.tasks == ["EMOTIC_EC", "FER2013", "CFAPS_EC"] and numbers.tasks == ["EMOTIC_SI", "CFAPS_EI"]
    assert labels.cells[0].value == pytest.approx(sum(scores[name]["metrics"]["macro_f1"] for name in labels.tasks) / 3)
    best = [max(one["macro_f1"] for one in scores[name]["baselines"].values()) for name in labels.tasks]
    assert labels.baseline == pytest.approx(sum(best) / 3)
    for one in (*image.scores, *(score for card in cards(runs) for score in card.scores)):
        assert all(f"{cell.value:.3f}" in made.page.said for cell in one.cells), "both runs"
    panels = chart(headline(runs, "strict"), runs)
    tasks = [lane.row.task for panel in panels for lane in panel.lanes]
    assert len(tasks) == len({task.name for task in tasks}) == sum(len(one.tasks) for one in benchmark().values())
    for panel in panels:
        values = [lane.row.cells[0].value for lane in panel.lanes]
        assert values == sorted(values, reverse=True)
    every = f"{len(benchmark())} of the {len(benchmark())} subsets"
    assert f"{every} of the benchmark MMAFFBen: {len(tasks)} tasks" in made.page.said
    for words, keys in task_words(runs):
        assert words in made.page.said and all(key in made.page.said for key in keys)


def test_scores_of_few_rows_have_no_shade_and_one_scale_serves_all_maps(made: Made, tmp_path: Path) -> None:
    assert "fewer than 30 rows" in made.page.said and made.page.said.count("One scale for all heat maps") == 2
    runs = load_runs(made.runs, made.data)
    maps = heat_maps(runs, "strict")  # 24 rows a task, so every language has few
    assert maps and all(cell.shade is None for one in maps for _, cells in one.rows for cell in cells if cell)
    for run in runs:
        for scored in run.scores["strict"]["subsets"].values():
            for part in (scored, *scored.get("by_language", {}).values()):
                part["n"] = 30
    for one in heat_maps(runs, "strict"):
        for _, cells in one.rows:
            assert all(cell.shade == round(10 * cell.value) for cell in cells if cell and cell.value is not None)


def test_commands_can_be_copied_and_are_quoted(made: Made, tmp_path: Path) -> None:
    (runs,) = [[replace(run, folder=Path("my runs/it's one")) for run in load_runs(made.runs, made.data)[:1]]]
    found = [shlex.split(one.command) for one in commands(runs, made.data)]
    assert [one[1] for one in found] == ["browse", "report"] and all("my runs/it's one" in one for one in found)
    both = commands(load_runs(made.runs, made.data), made.data)
    assert [shlex.split(one.command)[1] for one in both] == ["browse", "compare", "diagnose", "report"]
    assert all(one.command in made.page.said for one in both)
    assert sum(attrs.get("class") == "copy" for attrs in made.page.all("button")) == len(both)
