import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.leaderboard.columns import board_tables
from eval.leaderboard.leaderboard import leaderboard
from mmafflm.benchmark.benchmark import benchmark, paper_scores
from mmafflm.errors import Fault, UsageFault
from tests.command import mmaffben
from tests.eval.leaderboard.board_runs import EVIL, board_run
from tests.eval.leaderboard.conftest import Boards
from tests.eval.report.page import Page

DIMENSIONS = {"pearson_valence", "pearson_arousal", "pearson_dominance"}


def lines(board: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((board / "leaderboard.csv").read_text().splitlines()))


def changed(run: Path, **more: object) -> Path:
    """Change run.json; None removes a key."""
    row = json.loads((run / "run.json").read_text()) | more
    (run / "run.json").write_text(json.dumps({key: value for key, value in row.items() if value is not None}))
    return run


def scored(run: Path, line: dict[str, str]) -> dict:
    found = json.loads((run / f"scores.{line['mode']}.json").read_text())["subsets"][line["subset"]]
    found = found.get("tasks", {line["task"]: found})[line["task"]]
    return found["by_language"][line["language"]] if line["language"] else found


def test_every_figure_is_the_score_with_its_interval_and_counts(boards: Boards) -> None:
    runs = {run.name: run for run in boards.runs}
    seen = Counter[str]()
    for line in lines(boards.out):
        if line["subset"] in ("modality", "languages") or line["published"] == "1":
            continue
        found = scored(runs[line["model"]], line)
        ends = found["ci95"][line["metric"]] or ["", ""]
        assert line["value"] == str(found["metrics"][line["metric"]])
        assert [line["low"], line["high"]] == [str(end) for end in ends]
        assert (line["n"], line["unparsed"]) == (str(found["n"]), str(found["unparsed"]))
        seen[line["table"]] += 1
    text = 4 + 2 + 2  # pearson of four tasks; accuracy and macro F1 of e_c and XED
    assert seen["text"] == 2 * 4 * text and seen["image"] == 2 * 3 * 5 and seen["video"] == 2 * 3 * 4
    assert seen["XED"] == 2 * 4 * 25 and seen["SAMSEMO"] == 2 * 3 * 5


def test_the_best_is_marked_with_its_twin_and_not_with_what_is_worse(boards: Boards) -> None:
    for line in lines(boards.out):
        if line["published"] == "1":
            assert line["best"] == line["not_told_from_best"] == "0" and not line["p_holm"]
        elif line["table"] in ("text", "video", "overview") and line["metric"] in ("macro_f1", "accuracy"):
            assert line["best"] == str(int(line["model"] == "good")), line
            if line["model"] in ("blind", EVIL) and line["table"] != "overview":
                continue  # 60 rows cannot tell them from the best in every task, after the correction for the table
            assert line["not_told_from_best"] == str(int(line["model"] in ("good", "twin"))), line
            assert line["p_holm"] == ("" if line["model"] == "good" else line["p_holm"])
            assert line["model"] != "twin" or float(line["p_holm"]) == 1
            assert line["model"] in ("good", "twin") or float(line["p_holm"]) < 0.05


def test_twins_are_marked_alike_in_every_column(boards: Boards) -> None:
    marks: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines(boards.out):
        if line["model"] in ("good", "twin"):
            column = tuple(line[name] for name in ("mode", "table", "subset", "task", "language", "metric"))
            marks.setdefault(column, {})[line["model"]] = line["not_told_from_best"]
    assert len(marks) > 100 and all(of["good"] == of["twin"] for of in marks.values())


def test_models_are_grouped_by_what_they_accept_and_tables_hold_only_who_was_asked(boards: Boards) -> None:
    found = json.loads((boards.out / "leaderboard.json").read_text())
    tables = {(one["mode"], one["table"]): one for one in found["tables"]}
    names = [row["name"] for row in tables["strict", "text"]["rows"]]
    assert names == ["blind", "good", "twin", EVIL]
    assert [row["name"] for row in tables["strict", "video"]["rows"]] == ["good", "twin", EVIL]
    overview = tables["strict", "overview"]
    assert overview["columns"] == [
        "modality text macro_f1", "modality text pearson", "modality image macro_f1", "modality image pearson",
        "modality video macro_f1",
    ]  # fmt: skip
    cells = overview["rows"][0]["cells"]
    assert all(cells[:2]) and cells[2:] == [None, None, None]  # blind: what was not asked is a dash
    image = tables["strict", "image"]
    alone = image["columns"].index("FER2013 ec macro_f1")  # the only task of its metric
    both = [[row["cells"][2] for row in overview["rows"][1:]], [row["cells"][alone] for row in image["rows"]]]
    unlike = {"p"}  # corrected for each table's own tests
    left, right = ([{key: one[key] for key in one.keys() - unlike} for one in cells] for cells in both)
    assert left == right
    page = Page((boards.out / "index.html").read_text())
    groups = [attrs["data-group"] for attrs in page.all("tbody") if attrs.get("data-group")]
    assert groups[:2] == ["Text", "Text, images and video"]


def test_an_older_run_is_grouped_by_what_it_was_asked(boards: Boards, tmp_path: Path) -> None:
    run = changed(Path(shutil.copytree(boards.runs[2], tmp_path / "old")), accepts=None)
    leaderboard([boards.runs[0], run], boards.data, tmp_path / "board")
    assert json.loads((tmp_path / "board" / "leaderboard.json").read_text())["runs"]["old"]["accepts"] == ["text"]


def test_published_figures_are_beside_paper_mode_only(boards: Boards) -> None:
    published = [line for line in lines(boards.out) if line["published"] == "1"]
    assert {line["mode"] for line in published} == {"paper"}
    assert {line["table"] for line in published} == {"XED", "SAMSEMO"}
    for line in published:
        if line["subset"] != "languages":
            assert float(line["value"]) == paper_scores()[line["subset"], line["language"]][line["model"]]
            assert not line["n"] and not line["low"] and line["about"] == "published"
    models = {table: {line["model"] for line in published if line["table"] == table} for table in ("XED", "SAMSEMO")}
    assert len(models["XED"]) == 20 and len(models["SAMSEMO"]) == 13  # texts: all; clips: those that accept video
    of_mean = ("languages", "SAMSEMO", "MMAFFLM-7b")
    (mean,) = [float(one["value"]) for one in published if (one["subset"], one["task"], one["model"]) == of_mean]
    each = [of["MMAFFLM-7b"] for (subset, _), of in paper_scores().items() if subset == "SAMSEMO"]
    assert mean == pytest.approx(sum(each) / 5)


def test_columns_are_the_papers() -> None:
    tables = {table.key: table.columns for table in board_tables()}
    assert list(tables) == ["overview", "text", "image", "video", "MMS", "XED", "SAMSEMO"]
    assert {len(tables[name]) - 1 for name in ("MMS", "XED", "SAMSEMO")} == {27, 25, 5}
    for subset in benchmark().values():
        for task in subset.tasks:
            metrics = {column.metric for column in tables[subset.modality] if column.task == task}
            expected = {"accuracy", "macro_f1"} if task.main_metric == "macro_f1" else {"pearson"}
            assert metrics == (DIMENSIONS if subset.name == "EMOTIC_SI" else expected)


def test_latex_has_at_most_12_columns_and_every_table_is_whole(boards: Boards) -> None:
    text = (boards.out / "leaderboard.tex").read_text()
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert max(len(columns) for columns, _ in tables) <= 12 and len(tables) > 2 * 6  # tables were divided
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(columns)}
    assert r"\textbf{" in text and r"\{\&\$" in text and EVIL not in text
    assert sum(body.count("% \n") for _, body in tables) == 0


def test_markdown_has_every_row_and_escapes_names(boards: Boards) -> None:
    text = (boards.out / "leaderboard.md").read_text()
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1
    assert "<img" not in text and "&lt;img" in text and r"\*" in text


def test_the_page_loads_nothing_and_runs_only_its_own_script(boards: Boards) -> None:
    html = (boards.out / "index.html").read_text()
    page = Page(html)
    assert all(one.startswith("#") for one in page.loads) and len(page.all("script")) == 1
    (policy,) = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert "<img" not in html and EVIL in page.said
    assert not any(name.startswith("on") or name == "style" for _, attrs in page.tags for name in attrs)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and {one[1:] for one in page.loads} <= set(ids)


@pytest.mark.parametrize(
    ("key", "value"), [("media", "native"), ("readout", "choice"), ("ablation", "blank"), ("languages", ["en"])]
)
def test_runs_under_other_conditions_are_named(boards: Boards, tmp_path: Path, key: str, value: object) -> None:
    run = Path(shutil.copytree(boards.runs[2], tmp_path / "other"))
    if key == "languages":  # the scores must be of the answers
        run = board_run(boards.data, tmp_path / "english", 0.5, ("text",), languages=["en"])
    else:
        changed(run, **{key: value})
    leaderboard([boards.runs[2], run], boards.data, tmp_path / "board")
    said = Page((tmp_path / "board" / "index.html").read_text()).said
    shown = value if isinstance(value, str) else '["en"]'
    assert f"The runs differ in {key}" in said and f"{shown}: {run.name}" in said
    assert f"The runs differ in {key}" in (tmp_path / "board" / "leaderboard.md").read_text()


def test_a_sample_is_tested_on_the_rows_that_both_were_asked(boards: Boards, tmp_path: Path) -> None:
    sample = board_run(boards.data, tmp_path / "sample", 0.1, ("text",), limit=55)
    leaderboard([boards.runs[0], sample], boards.data, tmp_path / "board")
    found = [line for line in lines(tmp_path / "board") if line["model"] == "sample" and line["table"] == "text"]
    assert found and all(int(line["n"]) <= 55 * 4 for line in found)
    assert any(line["not_told_from_best"] == "0" and float(line["p_holm"]) < 0.05 for line in found)
    assert "differ in limit" in (tmp_path / "board" / "index.html").read_text()


def test_answers_to_another_build_are_admitted_with_a_note_if_the_records_agree(boards: Boards, tmp_path: Path) -> None:
    run = changed(Path(shutil.copytree(boards.runs[2], tmp_path / "other")), data_hash="0" * 64, engine="import")
    leaderboard([boards.runs[2], run], boards.data, tmp_path / "board")
    said = Page((tmp_path / "board" / "index.html").read_text()).said
    assert "differ in data_hash" in said and "Predicted with another build than data" in said
    assert "imported answers" in said and "differ in media" in said  # an imported run does not say what it saw


def test_modes_may_have_scores_of_different_subsets(boards: Boards, tmp_path: Path) -> None:
    run = Path(shutil.copytree(boards.runs[0], tmp_path / "part"))
    strict = json.loads((run / "scores.strict.json").read_text())
    strict["subsets"] = {"XED": strict["subsets"]["XED"]}
    (run / "scores.strict.json").write_text(json.dumps(strict))
    other = Path(shutil.copytree(run, tmp_path / "other"))
    (other / "scores.paper.json").unlink()
    leaderboard([run, other], boards.data, tmp_path / "board")
    tables = {(line["mode"], line["table"]) for line in lines(tmp_path / "board") if line["published"] == "0"}
    assert ("paper", "video") in tables and ("strict", "video") not in tables and ("strict", "text") in tables
    assert (
        "Without paper-mode scores (mmaffben score RUN --mode paper): other."
        in (tmp_path / "board" / "leaderboard.md").read_text()
    )


def wrong(boards: Boards, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Runs that a leaderboard refuses, and why."""
    for at, reason in enumerate(("no scores.strict.json", "val records", "not come from these answers", "1 unknown")):
        run = Path(shutil.copytree(boards.runs[2], tmp_path / f"wrong{at}"))
        answers = run / "predictions" / "XED.jsonl"
        rows = answers.read_text().splitlines(keepends=True)
        match at:
            case 0:
                (run / "scores.strict.json").unlink()
            case 1:
                changed(run, split="val")
            case 2:
                empty = [json.dumps({"id": json.loads(row)["id"], "prediction": "no"}) + "\n" for row in rows]
                answers.write_text("".join(empty))
            case 3:
                answers.write_text("".join(rows).replace(json.loads(rows[0])["id"], "XED/other"))
        yield run, reason


def test_a_run_that_does_not_fit_is_refused_with_a_sentence(boards: Boards, tmp_path: Path) -> None:
    for run, reason in wrong(boards, tmp_path):
        with pytest.raises(Fault, match=reason) as found:
            leaderboard([boards.runs[0], run], boards.data, tmp_path / "board")
        assert run.name in str(found.value)
    assert not (tmp_path / "board").exists()
    with pytest.raises(UsageFault, match="the same folder is named twice"):
        leaderboard([boards.runs[0]] * 2, boards.data, tmp_path / "board")
    with pytest.raises(UsageFault, match="not a folder"):
        leaderboard([boards.runs[0]], boards.data, tmp_path / "board.html")


def test_leaderboard_as_a_user_types_it_and_no_work_twice(boards: Boards, tmp_path: Path) -> None:
    out = Path(shutil.copytree(boards.out, tmp_path / "board"))
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    done = mmaffben("leaderboard", *boards.runs, "--data", boards.data.path, "--out", out)
    assert done.returncode == 0 and done.stdout == f"{out / 'index.html'}\n", done.stderr
    assert "up to date" in done.stderr
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()} == before
    (out / "leaderboard.json").unlink()
    leaderboard(boards.runs, boards.data, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {name: was for name, (was, _) in before.items()}
