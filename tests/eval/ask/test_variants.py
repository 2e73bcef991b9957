import random
import re
import string
from collections.abc import Iterator

import pytest

from eval.ask.ablation import questions
from eval.ask.prompts import prompt_runs
from eval.ask.variants import PROMPTS, form, prompts_hash, rewordings, variant
from eval.score import paper_parse
from eval.score.parse import Unparsed, parse
from eval.score.readout import candidates
from mmafflm.benchmark.benchmark import Task, benchmark
from mmafflm.benchmark.grammar import Labels
from mmafflm.errors import Fault
from tests.eval.tiny_tests import records_of

TASKS = [task for subset in benchmark().values() for task in subset.tasks]
RENUMBERED = [task for task in TASKS if (found := variant(task, "order")) and found.numbers]
FIELD = re.compile(r"\{\w+\}|<image>|<video>")


def texts(task: Task, draw: random.Random) -> Iterator[str]:
    """Answers of every kind: as asked, with prose, in other scripts, and noise."""
    for one in candidates(task):
        yield one.text
        yield f"The answer is {one.text}, I think."
        yield one.text.split(". ")[0]
    numbers = [label.number for label in task.grammar.labels]  # type: ignore[union-attr]
    for _ in range(50):
        chosen = draw.sample(numbers, draw.randint(1, min(4, len(numbers))))
        yield ", ".join(map(str, chosen))
        yield "".join(chr(0x660 + int(digit)) if digit.isdigit() else digit for digit in str(chosen[0]))
        yield "".join(draw.choices(string.printable + "٠١٢３４ٱ高兴", k=draw.randint(0, 40)))


def test_every_task_has_the_forms_that_fit_it() -> None:
    for task in TASKS:
        has = {name for name in PROMPTS if variant(task, name)}
        assert "wording" in has, task.name
        assert ("after" in has) == ("{text}" in task.prompt or "{transcript}" in task.prompt), task.name
        listed = isinstance(task.grammar, Labels) or task.key.endswith("_oc")
        assert ("order" in has) == listed, task.name
    assert len(RENUMBERED) == 3 + 2 + 1 + 1 + 2 + 1 + 1  # SemEval's e_c, EWECT, XED, EMOTIC, FER2013 and CFAPS, ...


def test_a_form_asks_for_the_same_things() -> None:
    for task in TASKS:
        for name in PROMPTS:
            if found := variant(task, name):
                assert sorted(FIELD.findall(found.task.prompt)) == sorted(FIELD.findall(task.prompt))
                assert found.task.prompt != task.prompt
                if name == "order":
                    assert sorted(found.task.prompt) == sorted(task.prompt), "the same letters in another order"
                if name == "after":
                    words = [prompt.replace("<video>", "").split() for prompt in (found.task.prompt, task.prompt)]
                    assert sorted(words[0]) == sorted(words[1])
                if name == "wording" and isinstance(task.grammar, Labels):
                    numbered = re.findall(r"-?\d+\. [A-Za-z/]+", task.prompt)
                    assert re.findall(r"-?\d+\. [A-Za-z/]+", found.task.prompt) == numbered, task.name
    # a corpus that a user adds may do without
    assert len(rewordings()) >= 17 and rewordings().keys() <= {task.prompt_id for task in TASKS}


def test_the_prompt_lists_every_label_with_its_number_in_this_form() -> None:
    for task in RENUMBERED:
        found = form(task, "order")
        for label in found.task.grammar.labels:  # type: ignore[union-attr]
            if label.number in found.numbers:
                assert f"{label.number}. {label.name}" in found.task.prompt.lower()
    happy = form(benchmark()["MELD_EC"].tasks[0], "order")
    assert "1. happiness" not in happy.task.prompt and happy.restore(happy.task.answer(["happiness"])) == "1. happiness"


@pytest.mark.parametrize("task", RENUMBERED, ids=lambda task: task.name)
def test_renumbering_is_a_bijection_and_back_again_is_the_identity(task: Task) -> None:
    found = form(task, "order")
    assert sorted(found.numbers) == sorted(found.numbers.values())
    assert all(here != there for here, there in found.numbers.items())
    draw = random.Random(task.name)
    asked = [*texts(task, draw), *texts(found.task, draw)]
    for text in asked:
        assert found.renumber(found.restore(text)) == text == found.restore(found.renumber(text))
    assert len({found.restore(text) for text in asked}) == len(set(asked))


@pytest.mark.parametrize("task", RENUMBERED, ids=lambda task: task.name)
def test_a_restored_answer_means_what_it_meant_in_the_form(task: Task) -> None:
    found = form(task, "order")
    for text in texts(found.task, random.Random(task.name)):
        meant, read = parse(found.task, text, None), parse(task, found.restore(text), None)
        assert read == meant or (isinstance(read, Unparsed) and isinstance(meant, Unparsed)), text
    for one in candidates(found.task):
        number = one.text.split(". ")[0]
        mine, theirs = paper_parse.parse(task, found.restore(number)), paper_parse.parse(task, task.answer(one.value))
        assert mine.value == theirs.value, one


def test_candidates_keep_their_order() -> None:
    for task in RENUMBERED:
        mine, theirs = candidates(task), candidates(form(task, "order").task)
        assert [one.value for one in mine] == [one.value for one in theirs] and mine != theirs


def test_questions_keep_their_text_and_refuse_a_foreign_prompt() -> None:
    for subset, key in (("XED", "ec"), ("semeval2018_english", "ei_reg"), ("MMS", "sp")):
        task = benchmark()[subset].task(key)
        records = records_of(task, 5)
        for name in PROMPTS:
            for record, question in zip(records, questions(records, name), strict=True):
                text = task.text_in(record.prompt, record.emotion or "")
                assert text is not None and text in question.prompt
                if variant(task, name):
                    assert question.prompt != record.prompt
    strange = records_of(benchmark()["XED"].tasks[0], 1)[0]
    strange.messages[0]["content"] = "What is this?"
    with pytest.raises(Fault, match="its prompt is not that of XED"):
        questions([strange], "order")


def test_a_run_for_each_form_that_the_subsets_have(tmp_path) -> None:  # type: ignore[no-untyped-def]
    runs = prompt_runs(tmp_path / "run", ["XED", "EMOTIC_SI"])
    assert runs == {
        "order": (tmp_path / "run-order", ["XED"]),
        "after": (tmp_path / "run-after", ["XED"]),
        "wording": (tmp_path / "run-wording", ["XED", "EMOTIC_SI"]),
    }
    assert prompts_hash("none") == prompts_hash("blank") == {}
    assert len({prompts_hash(name)["prompts"] for name in PROMPTS}) == 3
