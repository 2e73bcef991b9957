"""`mmaffben report` on made-up runs over all 18 subsets."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from eval.report.examples import choose
from eval.report.load import load_runs, rows_of
from eval.report.paper_form import PaperTable, latex, markdown
from eval.report.report import SCRIPT, report
from eval.report.tables import flat, number
from eval.score.readout import READOUTS, readout_of
from eval.score.verdict import errors
from mmafflm.benchmark.benchmark import benchmark, paper_scores
from mmafflm.benchmark.grammar import Labels
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.media.thumbnails import Thumbnails
from tests.eval.report.page import Page
from tests.eval.report.report_runs import EVIL, TEXTS
from tests.eval.report.reported import DIAGNOSIS, EVIL_SENTENCE, Made


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script(made: Made) -> None:
    assert all(one.startswith(("data:image/webp;base64,", "#")) for one in made.page.loads)
    scripts = [text for tag, text in made.page.text if tag == "script"]
    assert scripts == [SCRIPT] and len(made.page.all("script")) == len(made.page.all("style")) == 1
    for tag, attrs in made.page.tags:
        assert not any(name.startswith("on") or name == "style" for name in attrs), (tag, attrs)
    assert not any(tag in ("iframe", "object", "embed", "link", "base", "form") for tag, _ in made.page.tags)
    assert "url(" not in made.html and "@import" not in made.html
    (policy,) = (one["content"] for one in made.page.all("meta") if one.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;") and "unsafe" not in policy


def test_what_a_model_says_stays_text(made: Made) -> None:
    assert EVIL in made.page.said and "<script>document" not in made.html and "onerror=alert(1)>" not in made.html
    assert EVIL_SENTENCE in made.page.said and "<b>because</b>" in made.page.said


def test_any_script_stands_in_its_own_direction(made: Made) -> None:
    shown = [attrs for tag, attrs in made.page.tags if tag == "p" and attrs.get("class") == "said"]
    assert shown and all(attrs["dir"] == "auto" for attrs in shown)
    assert sum(text in made.page.said for text in TEXTS.values()) >= 5  # for any languages drawn
    assert {"ar", "zh"} <= {attrs.get("lang") for attrs in shown}


def test_the_page_can_be_read_by_keyboard_and_by_ear(made: Made) -> None:
    ids = [attrs["id"] for _, attrs in made.page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in made.page.loads if one.startswith("#")} <= set(ids)
    assert set(benchmark()) <= set(ids)
    assert all(attrs["alt"] for attrs in made.page.all("img"))
    figures = [attrs for attrs in made.page.all("svg") if attrs.get("role") == "img"]
    assert len(figures) > 100 and made.html.count('role="img"><title>') == len(figures)
    scrolling = [attrs for _, attrs in made.page.tags if "scroll" in (attrs.get("class") or "").split()]
    assert scrolling and all(attrs["tabindex"] == "0" and attrs["aria-label"] for attrs in scrolling)
    assert made.html.startswith('<!doctype html>\n<html lang="en">') and "width=device-width" in made.html


def test_every_score_of_the_runs_is_in_results_and_on_the_page(made: Made) -> None:
    assert made.results["schema"] == 1 and list(made.results["runs"]) == ["good_run", "poor"]
    seen = 0
    for at, (name, of) in enumerate(made.results["runs"].items()):
        for mode in ("strict", "paper"):
            scores = dict(flat(made.scores(at, mode)))
            kept = dict(flat(of["scores"][mode]))
            assert {key: scores[key] for key in kept} == kept, name
            assert {key for key in scores if "unparsed_rows" not in key} == set(kept)
            for key, value in kept.items():
                if ".metrics.macro_f1" in key or key.endswith(".metrics.pearson"):
                    assert value == "None" or f"{float(value):.3f}" in made.html, key
                    seen += 1
    assert seen > 200
    assert made.results["runs"]["good_run"]["diagnosis"] == DIAGNOSIS


def test_the_figures_count_every_row(made: Made) -> None:
    for name, tasks in made.results["figures"].items():
        for key, by_run in tasks.items():
            for run, counts in by_run.items():
                scored = made.results["runs"][run]["scores"]["strict"]["subsets"][name]
                scored = scored.get("tasks", {key: scored})[key]
                if counts["kind"] == "number":
                    assert counts["unparsed"] == scored["unparsed"]
                    for of in counts["dimensions"].values():
                        rows = scored["n"] - scored["unparsed"]
                        assert of["n"] == rows == sum(of["gold"]) == sum(of["answered"])
                        assert rows == sum(count for _, _, count in of["places"])
                        assert 0 <= of["overlap"] <= 1
                elif not counts["several"]:
                    assert sum(map(sum, counts["matrix"])) + sum(counts["unparsed"]) == scored["n"]
                    assert [sum(row) + lost for row, lost in zip(counts["matrix"], counts["unparsed"], strict=True)] \
                        == counts["gold"]  # fmt: skip
                if counts["kind"] == "labels":
                    f1 = sum(value or 0.0 for value in counts["f1"]) / len(counts["f1"])
                    assert f1 == pytest.approx(scored["metrics"]["macro_f1"])


def test_the_same_runs_and_data_give_the_same_bytes(made: Made) -> None:
    first = {path: path.read_bytes() for path in made.written}
    assert [path.name for path in made.written] == [
        "report.html", "report.results.json", "report.md", "report.tex", "report.results.schema.json",
        "report.good_run.MODEL_CARD.md", "report.poor.MODEL_CARD.md",
    ]  # fmt: skip
    modified = {path: path.stat().st_mtime_ns for path in made.written}
    assert report(made.runs, made.data, made.out) == made.written
    assert {path: path.stat().st_mtime_ns for path in made.written} == modified, "what stands is not made again"
    made.written[2].unlink()
    assert report(made.runs, made.data, made.out) == made.written
    assert {path: path.read_bytes() for path in made.written} == first
    assert all(path.stat().st_mtime_ns > modified[path] for path in made.written)


def test_rows_are_chosen_for_what_they_tell(made: Made) -> None:
    runs = load_runs(made.runs, made.data)
    for name in ("FER2013", "semeval2018_english", "XED", "EMOTIC_SI"):
        for key, by_run in rows_of(name, runs, made.data).items():
            task = benchmark()[name].task(key)
            chosen = choose(task, by_run)
            assert len({one.record.id for one in chosen}) == len(chosen) >= 3
            whys = [one.why for one in chosen]
            assert "the runs differ" in whys or "furthest off" in whys
            (first, second) = by_run.values()
            off = errors(task, first.read) + errors(task, second.read)
            place = {record.id: row for row, record in enumerate(first.records)}
            parsed = [row for row in place.values() if row not in first.read.unparsed | second.read.unparsed]
            for one in chosen:
                verdicts = [shown.verdict for shown in one.answers.values()]
                assert any(said.startswith("unparsed: ") for said in verdicts) == (one.why == "unparsed") or (
                    one.why == "the runs differ"
                )
                if one.why == "right":
                    assert max(shown.error for shown in one.answers.values()) <= 0.02
            worst = next((one for one in chosen if one.why == "furthest off"), None)
            assert worst is None or off[place[worst.record.id]] == max(off[parsed])
    assert {one["why"] for tasks in made.results["examples"].values() for rows in tasks.values() for one in rows} == {
        "unparsed", "furthest off", "the runs differ", "right"
    }  # fmt: skip


def test_the_text_of_a_prompt_stands_alone_and_the_whole_prompt_beside_it(made: Made) -> None:
    assert TEXTS["zh"] + " (" in made.page.said
    chosen = {one["id"] for one in made.results["examples"]["EWECT_usual"]["ec"]}
    prompts = [record.prompt for record in made.data.records("EWECT_usual", "test") if record.id in chosen]
    assert prompts and all(prompt in made.page.said for prompt in prompts)
    assert all(attrs["width"] and attrs["height"] for attrs in made.page.all("img"))


def test_pictures_that_are_missing_or_broken_are_said_so(made: Made, tmp_path: Path) -> None:
    picture, clip = (next(made.data.records(name, "test")) for name in ("FER2013", "MELD_SP"))
    assert len(Thumbnails(made.data.path).of(picture)) == 1 and len(Thumbnails(made.data.path).of(clip)) == 4
    (missing,) = Thumbnails(tmp_path).of(picture)
    assert not missing.uri and "missing" in missing.note
    for record in (picture, clip):
        for name in [*record.images, *record.videos]:
            (tmp_path / str(name)).parent.mkdir(exist_ok=True)
            (tmp_path / str(name)).write_text("<svg onload=alert(1)>")
        (broken,) = Thumbnails(tmp_path).of(record)
        assert not broken.uri and any(said in broken.note for said in ("not a picture", "not a video file"))
    full = Thumbnails(made.data.path, most=100)
    assert not full.of(picture)[0].uri and full.refused == 1


def test_a_run_alone_without_diagnosis_or_paper_scores(made: Made, copy: Path, tmp_path: Path) -> None:
    (copy / "scores.paper.json").unlink()
    written = report([copy], made.data, tmp_path / "one.html")
    page = Page(written[0].read_text())
    assert written[-1].name == "one.MODEL_CARD.md"
    assert not {"#diagnosis", "#paper"} & page.loads and ("span", "the runs differ") not in page.text
    assert "mode" in (tmp_path / "one.md").read_text() and "paper mode" not in (tmp_path / "one.md").read_text()


def test_runs_that_were_not_made_alike_are_said_so(made: Made, copy: Path, tmp_path: Path) -> None:
    read_with(copy, "choice")
    thresholds = {"XED": {"split": "val", "rows": 77, "log_thresholds": {"joy": -1.25}}}
    (copy / "readout.json").write_text(json.dumps({"schema": 1, "thresholds": thresholds}))
    report([made.runs[0], copy], made.data, tmp_path / "two.html")
    page = Page((tmp_path / "two.html").read_text())
    assert "The runs differ in readout: good_run greedy, copy choice." in page.said
    assert "mmaffben compare A B" in page.said
    # every score names its own readout: "choice" for labels, not for numbers
    readouts = Counter(text for tag, text in page.text if tag == "small" and text in READOUTS)
    labels = sum(isinstance(task.grammar, Labels) for subset in benchmark().values() for task in subset.tasks)
    assert readouts["choice"] >= 3 * labels and readouts["greedy"] > readouts["choice"]
    text, tex = ((tmp_path / f"two.{kind}").read_text() for kind in ("md", "tex"))
    assert "copy (choice and greedy)" in text and "| Language | good_run (greedy) | copy (choice) |" in text
    assert "| FER2013 | ec | 24 | greedy / choice |" in text and "| CHSIMS_SI | si | 24 | greedy / greedy |" in text
    assert "Subset & Task & n & Readout &" in tex and "XED & ec & 24 & greedy / choice &" in tex
    assert "XED.log_thresholds.joy" in page.said and "XED.rows" in page.said and "readout.json" in page.said
    card = (tmp_path / "two.copy.MODEL_CARD.md").read_text()
    assert "Macro F1 (strict mode, readout choice)" in card and "Pearson (strict mode)" in card


def read_with(run: Path, readout: str) -> None:
    """Set the readout that a run says it used."""
    for name in ("run.json", "scores.strict.json", "scores.paper.json"):
        found = json.loads((run / name).read_text()) | {"readout": readout}
        for subset, scored in found["subsets"].items() if name != "run.json" else ():
            for task in benchmark()[subset].tasks:
                scored.get("tasks", {task.key: scored})[task.key]["readout"] = readout_of(task, readout)
        (run / name).write_text(json.dumps(found))


def test_a_name_that_is_markup_stays_a_name(made: Made, tmp_path: Path) -> None:
    run = shutil.copytree(made.runs[1], tmp_path / "a_<b>|`&$x](y)")
    report([run], made.data, tmp_path / "named.html")
    assert run.name in Page((tmp_path / "named.html").read_text()).said
    text = (tmp_path / "named.md").read_text()
    assert r"a_&lt;b>\|\`&amp;$x]\(y)" in text
    assert r"a\_<b>|`\&\$x](y)" in (tmp_path / "named.tex").read_text()


def test_faults_are_sentences(made: Made, copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    with pytest.raises(UsageFault, match="not the name of an HTML file"):
        report([copy], made.data, tmp_path)
    with pytest.raises(UsageFault, match="named twice"):
        report([copy, copy], made.data, out)
    with pytest.raises(Fault, match="answers are to other data"):
        report([copy], Dataset(made.data.path, made.data.manifest | {"data_hash": "0"}), out)
    described = (copy / "run.json").read_text()
    (copy / "run.json").write_text(json.dumps(json.loads(described) | {"split": "val"}))
    with pytest.raises(Fault, match="answers the val records"):
        report([copy], made.data, out)
    (copy / "run.json").write_text(described)
    answers = copy / "predictions" / "FER2013.jsonl"
    lines = answers.read_text().splitlines()
    answers.write_text("\n".join(json.dumps(json.loads(line) | {"prediction": "?"}) for line in lines) + "\n")
    with pytest.raises(Fault, match=r"not come from these answers \(FER2013\).*Score again: mmaffben score"):
        report([copy], made.data, out)
    (copy / "scores.strict.json").unlink()
    with pytest.raises(Fault, match=r"no scores\.strict\.json\. Score it first"):
        report([copy], made.data, out)
    assert not out.exists()


def test_tables_in_the_papers_form(made: Made) -> None:
    text, tex = ((made.root / f"report.{kind}").read_text() for kind in ("md", "tex"))
    scored = made.scores(0)["subsets"]["FER2013"]
    low, high = scored["ci95"]["macro_f1"]
    macro = f"{100 * scored['metrics']['macro_f1']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    doubt = f"{scored['unparsed'] / scored['n']:.1%}"
    assert f"| FER2013 | ec | 24 | {100 * scored['metrics']['accuracy']:.1f} | {macro} | - | {doubt} |" in text
    cells = f"{100 * scored['metrics']['accuracy']:.1f} & {macro} & - & {doubt}".replace("%", r"\%")
    assert f"FER2013 & ec & 24 & {cells} &" in tex
    assert "| modality | image | macro_f1 | 3 |" in text and "languages & XED & macro\\_f1 & - & -" in tex
    assert (
        "of label sets and of MELD_EC is weighted Jaccard" in text
        and "accuracy, as the paper defines it: weighted" in made.html
    )
    theirs = sum(of["MMAFFLM-7b"] for (name, _), of in paper_scores().items() if name == "SAMSEMO") / 5
    assert f"| {100 * theirs:.1f} |" in next(line for line in text.splitlines()[::-1] if "mean of languages" in line)
    assert "Greek el, n" in made.page.said and number(-1e-9) == "0.000" and number(-0.5) == "-0.500"
    assert "MMAFFLM-7b" in text and "semeval2018\\_english & ei\\_reg" in tex
    assert tex.count("\\begin{tabular}") == tex.count("\\end{tabular}") == tex.count("\\bottomrule") >= 6
    for block in tex.split("\\begin{tabular}{")[1:]:
        columns = len(block.split("}")[0])
        rows = [line for line in block.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert all(line.count(" & ") == columns - 1 for line in rows)
    tiny = [PaperTable("100% of_it", ["r"], ("",), ("L",), [["a\\b", "-"]])]
    assert r"a\textbackslash{}b & - \\" in latex(tiny) and r"100\% of\_it" in latex(tiny)
    assert markdown(tiny).splitlines()[2:] == ["| L | r |", "| --- | ---: |", r"| a\\b | - |"]


def test_the_command_writes_the_report_without_torch(made: Made, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    code = "import sys, eval.cli; sys.argv[0] = 'mmaffben'; import atexit; " \
        "atexit.register(lambda: print('torch' in sys.modules, file=sys.stderr)); eval.cli.main()"  # fmt: skip
    command = [sys.executable, "-c", code, "report", str(made.runs[0]), "--data", str(made.data.path), "--out"]
    done = subprocess.run([*command, str(out)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out) and done.stderr.strip().endswith("False") and out.exists()
    wrong = subprocess.run([*command, str(tmp_path)], check=False, capture_output=True, text=True)
    assert wrong.returncode == 2 and "error: --out" in wrong.stderr and "Traceback" not in wrong.stderr
