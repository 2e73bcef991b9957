"""Every fault is found when planted in made-up answers, and absent in the answers of an honest, fallible model."""

import json
from pathlib import Path

import pytest

from eval.diagnosis.diagnose import diagnose, diagnose_run
from eval.diagnosis.finding import CHECKS, KINDS, share, verdict
from eval.diagnosis.languages import record_text
from eval.diagnosis.malformed import kind_of
from eval.diagnosis.prose import language_of_prose, script
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import Fault
from mmafflm.records import Record
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import answered, noisy, record, records, write_run

DRAWS = 200


def verdicts(found: dict, check: str, part: str = "") -> set[str]:
    return {one["verdict"] for one in found["findings"] if one["check"] == check and one["part"] == part}


SCALES = [
    ("CFAPS_EI", "", ""),
    ("EMOTIC_SI", "", "arousal"),
    ("CHSIMS_SI", "", ""),
    ("semeval2018_english", "ei_reg", ""),
    ("semeval2018_english", "v_oc", ""),
    ("semeval2018_arabic", "v_reg", ""),
]


def constant(one: Record) -> str:
    """The middle of the scale for every record."""
    task = benchmark()[one.subset].task(one.task)
    grammar = task.grammar
    middle = {0: 0.5, -1: 0.1}.get(grammar.low, 0)
    gold = dict.fromkeys(grammar.dimensions, middle) if hasattr(grammar, "dimensions") else middle
    return task.answer(gold, one.emotion)


@pytest.mark.parametrize(("subset", "key", "part"), SCALES)
def test_intensity_drift(subset: str, key: str, part: str) -> None:
    rows = records(subset, 300, key)
    good = diagnose(answered(rows, noisy(0.1)), resamples=DRAWS)
    drifted = diagnose(answered(rows, constant), resamples=DRAWS)
    for check in ("spread", "top_share", "overlap", "calibration"):
        assert verdicts(good, check, part) == {"absent"}, check
    for check in ("spread", "top_share", "overlap"):
        assert verdicts(drifted, check, part) == {"found"}, check


def test_answers_shrunk_to_the_middle_spread_too_little_but_do_not_repeat() -> None:
    rows = records("CHSIMS_SI", 600)
    found = diagnose(answered(rows, lambda one: f"{0.3 * one.gold:.2f}"), resamples=DRAWS)
    assert verdicts(found, "spread") == {"found"} and verdicts(found, "top_share") == {"absent"}
    assert verdicts(found, "calibration") == {"found"}


def test_the_calibration_curve_is_gold_at_each_answer() -> None:
    rows = [record("CHSIMS_SI", n, [-0.4, 0.0, 0.4][n % 3]) for n in range(90)]
    answers = {-0.4: "-0.2", 0.0: "0.0", 0.4: "0.2"}
    (curve,) = diagnose(answered(rows, lambda one: answers[one.gold]), resamples=DRAWS)["details"]["intensity_drift"]
    at = {round(tick, 1): gold for tick, gold in zip(curve["ticks"], curve["mean_gold"], strict=True)}
    assert at[-0.2] == pytest.approx(-0.4) and at[0.2] == pytest.approx(0.4) and at[1.0] is None
    assert sum(curve["answers"]) == sum(curve["gold"]) == 90


def test_unparsed_answers_do_not_count_as_spread() -> None:
    rows = records("CHSIMS_SI", 200)
    texts = {one.id: "?" if at % 2 else one.answer for at, one in enumerate(rows)}
    found = diagnose(answered(rows, lambda one: texts[one.id]), resamples=DRAWS)
    (spread,) = [one for one in found["findings"] if one["check"] == "spread"]
    assert spread["n"] == 100 and spread["value"] == pytest.approx(1)


def by_language(wrong: dict[str, object]) -> dict:
    rows = records("MMS", 200, languages=("de", "en", "th", "ru"))
    good = noisy(0.15)

    def answer(one: Record) -> str:
        planted = wrong.get(one.language)
        return planted(one) if callable(planted) else planted or good(one)  # type: ignore[return-value]

    return diagnose(answered(rows, answer), resamples=DRAWS)


def test_no_language_collapses_where_all_are_alike() -> None:
    found = by_language({})
    for language in ("de", "th", "ru"):
        for check in ("kept", "language_lift", "language_unparsed", "foreign_prose"):
            assert verdicts(found, check, language) == {"absent"}, (language, check)


def test_a_language_that_collapses_is_found_and_the_others_are_not() -> None:
    found = by_language({"th": "-1. negative", "ru": "Я думаю, что этот текст очень грустный"})
    assert verdicts(found, "language_lift", "th") == {"found"}
    assert verdicts(found, "kept", "ru") == verdicts(found, "language_unparsed", "ru") == {"found"}
    assert verdicts(found, "foreign_prose", "ru") == {"found"} and verdicts(found, "foreign_prose", "th") == {"absent"}
    assert verdicts(found, "kept", "de") == verdicts(found, "language_lift", "de") == {"absent"}
    assert verdicts(found, "script_kept", "Thai") == set(), "these texts are all in Latin script"
    (group,) = found["details"]["language_collapse"]
    assert group["languages"]["ru"]["prose"] == {"Cyrillic": 200} and group["languages"]["ru"]["unparsed"] == 200
    assert group["languages"]["ru"]["gap_ci95"][0] > 0.5 and group["languages"]["en"]["gap"] == 0


def test_a_model_without_skill_in_english_has_a_prior_and_no_collapse() -> None:
    found = by_language(dict.fromkeys(("de", "en", "th", "ru"), "-1. negative"))
    assert not [one for one in found["findings"] if one["check"] == "language_lift"]
    assert verdicts(found, "lift") == {"found"} and verdicts(found, "kept", "de") == {"absent"}


def test_semeval_languages_are_one_group_and_scripts_come_from_the_texts() -> None:
    arabic = records("semeval2018_arabic", 60, "v_reg", ("ar",), "يوم جميل")
    english = records("semeval2018_english", 60, "v_reg")
    tasks = [*answered(english, noisy(0.1)), *answered(arabic, constant)]
    (group,) = (found := diagnose(tasks, resamples=DRAWS))["details"]["language_collapse"]
    assert group["group"] == "semeval2018" and set(group["scripts"]) == {"Latin", "Arabic"}
    assert verdicts(found, "kept", "ar") == verdicts(found, "script_kept", "Arabic") == {"found"}
    assert verdicts(found, "script_kept", "Latin") == {"absent"}
    (kept,) = [one for one in found["findings"] if one["check"] == "kept"]
    gap = group["languages"]["ar"]
    assert f"a gap of {gap['gap']:+.3f} [{gap['gap_ci95'][0]:+.3f}, {gap['gap_ci95'][1]:+.3f}]" in kept["sentence"]
    assert record_text(arabic[0].task and benchmark()["semeval2018_arabic"].task("v_reg"), arabic[0]) == "يوم جميل"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("1. joy, 8. trust", "none"),
        ("", "none"),
        ("1. 高兴", "none"),
        ("The text is full of joy", "en"),
        ("Der Text ist sehr traurig und nicht schön", "de"),
        ("Este texto es muy triste porque no hay nada", "es"),
        ("这段文字表达了喜悦的情绪", "Han"),
        ("Это очень грустный текст", "Cyrillic"),
    ],
)
def test_the_language_of_prose(text: str, language: str) -> None:
    task = benchmark()["CFAPS_EC" if "高兴" in text else "XED"].tasks[0]
    assert language_of_prose(task, text) == language


def test_scripts() -> None:
    assert [script(text) for text in ("hello", "привет", "你好", "こんにちは世界", "مرحبا", "12!", "한국어")] == [
        "Latin", "Cyrillic", "Han", "Kana", "Arabic", "none", "Hangul"
    ]  # fmt: skip


def test_modality_ignorance() -> None:
    rows = records("MELD_SP", 400)
    whole = answered(rows, noisy(0.1))
    prior = noisy(1.0)
    seeing = diagnose(whole, {"blank": answered(rows, prior), "silent": answered(rows, prior)}, DRAWS)
    blind = diagnose(whole, {"blank": whole, "shuffled": whole}, DRAWS)
    for ablation in ("blank", "silent"):
        assert verdicts(seeing, "changed", ablation) == verdicts(seeing, "lost", ablation) == {"absent"}
    for ablation in ("blank", "shuffled"):
        assert verdicts(blind, "changed", ablation) == verdicts(blind, "lost", ablation) == {"found"}
    assert blind["details"]["modality_ignorance"][0]["lost"] == 0


def test_an_ablation_that_takes_nothing_away_is_not_counted() -> None:
    rows = records("MMS", 40)
    whole = answered(rows, noisy(0.1))
    assert not diagnose(whole, {"blank": whole}, DRAWS)["details"]["modality_ignorance"]


def test_label_prior() -> None:
    rows = records("MELD_EC", 600)
    good = diagnose(answered(rows, noisy(0.2)), resamples=DRAWS)
    guessing = diagnose(answered(rows, noisy(1.0)), resamples=DRAWS)
    fixed = diagnose(answered(rows, lambda one: "1. happiness"), resamples=DRAWS)
    for check in ("never_predicted", "overpredicted", "lift"):
        assert verdicts(good, check) == {"absent"} and verdicts(fixed, check) == {"found"}, check
    assert verdicts(guessing, "lift") == {"found"} and verdicts(guessing, "overpredicted") == {"absent"}
    detail = fixed["details"]["label_prior"][0]
    assert sum(map(sum, detail["confusion"])) == 600 and detail["answered_rows"][1] == 600
    (never,) = [one for one in fixed["findings"] if one["check"] == "never_predicted"]
    assert "happiness" not in never["data"]["never_predicted"] and len(never["data"]["never_predicted"]) == 6


def test_label_sets_at_chance_are_found_though_macro_f1_is_high() -> None:
    names = benchmark()["XED"].tasks[0].grammar.names[1:]
    rows = [record("XED", n, [names[n % 8], names[(n + 3) % 8], names[(n + 5) % 8]]) for n in range(200)]
    everything = ", ".join(f"{number}. {name}" for number, name in enumerate(names, 1))
    found = diagnose(answered(rows, lambda one: everything), resamples=DRAWS)
    assert verdicts(found, "lift") == {"found"} and found["details"]["label_prior"][0]["macro_f1"]["score"] > 0.4


def test_format() -> None:
    rows = records("MELD_SP", 400)
    texts = ("", "I'm sorry, I cannot see the video.", "bad " * 40, "это грустно", "9", "positive, negative", "a table")
    planted = dict(zip((one.id for one in rows[::5]), texts * 12, strict=False))
    found = diagnose(answered(rows, lambda one: planted.get(one.id, one.answer)), resamples=DRAWS)
    assert verdicts(found, "unparsed") == {"found"}
    (detail,) = found["details"]["format"]
    kinds = {"empty", "refuses", "repeats itself", "in another script", "outside the scale or the label set",
             "several answers where one is allowed", "a word or two, no answer"}  # fmt: skip
    assert set(detail["kinds"]) == kinds
    for kind in detail["kinds"].values():
        assert len(kind["examples"]) == 10 and 11 <= kind["rows"] <= 12
    assert verdicts(diagnose(answered(rows, noisy(0.3)), resamples=DRAWS), "unparsed") == {"absent"}


def test_an_echo_of_the_question_is_known() -> None:
    one = record("XED", 0, ["joy"], text="nobody knows the trouble I have seen")
    assert kind_of("Nobody knows the trouble I have seen", "no label", one.prompt) == "repeats the question"
    assert kind_of("nobody can know that", "no label", one.prompt) == "prose without an answer"


def test_verdicts_need_the_whole_interval_and_enough_rows() -> None:
    assert verdict("unparsed", [0.02, 0.03], 500) == "found"
    assert verdict("unparsed", [0.005, 0.03], 500) == "unsure"
    assert verdict("unparsed", [0.0, 0.01], 500) == "absent"
    assert verdict("unparsed", [0.02, 0.03], 29) == verdict("unparsed", None, 500) == "unsure"
    assert verdict("spread", [0.1, 0.4], 500) == "found" and verdict("spread", [0.6, 0.9], 500) == "absent"
    assert share(0, 100, 1) == (0, [0, 0.03]) and share(100, 100, 1) == (1, [0.97, 1])
    assert share(0, 0, 1) == (None, None)
    assert {check.kind for check in CHECKS.values()} == set(KINDS) and all(check.why for check in CHECKS.values())


def test_the_whole_benchmark_as_a_user_types_it(tmp_path: Path) -> None:
    built = {
        name: [one for task in subset.tasks for one in records(name, 12, task.key, subset.languages[:2] or ("en",))]
        for name, subset in benchmark().items()
    }
    data = write_data(tmp_path / "data", built)
    run = write_run(tmp_path / "run", data, built, noisy(0.3))
    blank = write_run(tmp_path / "blank", data, ["FER2013", "CHSIMS_SI"], noisy(1.0), ablation="blank")
    command = ("diagnose", run, "--data", data.path, "--ablated", blank)
    done = mmaffben(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads((run / "diagnosis.json").read_text())
    assert found["schema"] == 2 and found["readout"] == "greedy"
    assert {kind for kind, details in found["details"].items() if details} == {*KINDS} - {"format", "prompt_dependence"}
    assert "modality ignorance" in done.stdout and "Failures the paper names" in done.stdout
    last = done.stdout.splitlines()[-7:]
    assert last[0].startswith("In short, ") and [line.partition(":")[0] for line in last[1:]] == [
        kind.replace("_", " ") for kind in KINDS
    ]
    faults = [one for one in found["findings"] if one["kind"] == "intensity_drift" and one["verdict"] == "found"]
    checks = [one for one in found["findings"] if one["kind"] == "intensity_drift"]
    assert f"{len(faults)} of {len(checks)} checks" in last[1] or (not faults and "not found" in last[1])
    assert "--ablation shuffled" in done.stdout and "--ablation blank --subsets EMOTIC_EC," in done.stdout
    shown = mmaffben(*command, "--subsets", "FER2013", "--markdown")
    assert "| FER2013 | ec | blank | lost |" in shown.stdout
    again = json.loads((run / "diagnosis.json").read_text())["findings"]
    assert again == [one for one in found["findings"] if one["subset"] == "FER2013"], "the same numbers every time"


def test_ablated_runs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", {"FER2013": records("FER2013", 40)})
    run = write_run(tmp_path / "run", data, ["FER2013"], noisy(0.3))
    whole = write_run(tmp_path / "whole", data, ["FER2013"], noisy(0.3))
    other = write_run(tmp_path / "other", data, ["FER2013"], noisy(0.3), ablation="blank", checkpoint="another")
    blank = write_run(tmp_path / "blank", data, ["FER2013"], noisy(0.3), ablation="blank")
    for wrong, said in ((whole, "its questions are not changed"), (other, "its checkpoint is another")):
        with pytest.raises(Fault, match=said):
            diagnose_run(run, data, [wrong])
    with pytest.raises(Fault, match="another blank run already has"):
        diagnose_run(run, data, [blank, blank])
    with pytest.raises(Fault, match="ablated run itself"):
        diagnose_run(blank, data, [blank])
    assert not (run / "diagnosis.json").exists()
