"""Commands on a Ray cluster of three nodes: one is killed on the way, and the bytes are those of one process."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from data_build.build import build
from data_build.config import load_config
from data_build.media.journal import JOURNAL
from data_build.samples import write_samples
from data_build.translate import nodes as translate_nodes
from data_build.translate.apertium import Apertium
from data_build.translate.cache import CACHE
from data_build.translate.nodes import TranslationWorker
from data_build.translate.rows import Order
from data_build.translate.translate import translate
from data_build.translate.work import Batch
from data_build.workers.nodes import Nodes
from eval.ask.predict import predict
from eval.engines import Answers, Question
from eval.engines.cluster import ClusterEngine, EngineWorker
from mmafflm.benchmark.benchmark import choose_subsets
from mmafflm.cluster.connect import connected
from mmafflm.cluster.crew import Arrived, Crew
from mmafflm.errors import Fault
from mmafflm.records import append_jsonl, read_jsonl
from tests.data_build.raw_rows import hashes
from tests.eval.score.counting import Counting, content
from tests.eval.tiny_tests import make_tests
from tests.three_nodes import ThreeNodes, three_nodes

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: make setup")]
ROWS = {"onlineshopping": 300, "XED": 60}


@pytest.fixture(scope="module")
def nodes() -> Iterator[ThreeNodes]:
    with three_nodes() as made:
        yield made


class Noting(EngineWorker):
    """A worker that notes in a file what it was handed, and what it answered; an answer takes it a while."""

    def __init__(self, log: Path) -> None:
        super().__init__(Counting())
        self.log = log

    def work(self, about: Any, wanted: Sequence[int]) -> Iterator[Arrived]:
        from ray import get_runtime_context

        node = get_runtime_context().get_node_id()
        append_jsonl(self.log, [{"node": node, "handed": len(wanted), "of": len(about[1])}])
        for batch in super().work(about, wanted):
            time.sleep(0.02)  # the model's time: no worker is done before the others have begun
            of = {"node": node, "of": len(about[1])}
            append_jsonl(self.log, (of | {"answered": wanted[place]} for place, _ in batch))
            yield batch


class Interrupted(ClusterEngine):
    """The engines of a cluster; a node is killed once it is at work."""

    def __init__(self, nodes: ThreeNodes, log: Path) -> None:
        super().__init__(Counting(), partial(Noting, log), nodes.address, 3)
        self.nodes, self.log, self.killed = nodes, log, ""
        self.before = set[tuple[int, int]]()  # what had arrived before: (how many questions there were, which)

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        for answers in super().answer(questions, wanted, most_tokens, batch_size):
            if not self.killed:
                self.before |= {(len(questions), position) for position, _ in answers}
                self.killed = self._kill()
            yield answers

    def _kill(self) -> str:
        """Kill a node that has been handed more than it has answered; returns its id, or "" while no node has."""
        left = Counter[str]()
        for row in read_jsonl(self.log, growing=True):
            left[row["node"]] += row.get("handed", -1)
        at_work = [node.node_id for node in self.nodes.others if left[node.node_id] > 8]
        for name in at_work[:1]:
            self.nodes.kill(name)
            return str(name)
        return ""


def test_a_node_that_dies_during_prediction_costs_no_answer(nodes: ThreeNodes, tmp_path: Path) -> None:
    nodes.mend()
    data = make_tests(tmp_path / "data", ROWS)
    predict("m", data, tmp_path / "one", batch_size=4, engine=Counting())
    with Interrupted(nodes, tmp_path / "log") as engine:
        predict("m", data, tmp_path / "three", batch_size=4, engine=engine)
    assert content(tmp_path / "three") == content(tmp_path / "one")
    assert (tmp_path / "three/run.json").read_bytes() == (tmp_path / "one/run.json").read_bytes()
    log = list(read_jsonl(tmp_path / "log"))
    assert engine.killed
    times = Counter((row["of"], row["answered"]) for row in log if "answered" in row)
    assert len(times) == sum(ROWS.values())
    twice = {one for one, count in times.items() if count > 1}
    assert not twice & engine.before and len(twice) <= 2 * 4  # what the dead node had sent, and nobody had received


def test_a_node_that_dies_during_extraction_costs_no_picture(
    nodes: ThreeNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.mend()
    write_samples(tmp_path / "raw", only={"fer2013"})
    subsets, config = choose_subsets("FER2013"), load_config(None)
    build(tmp_path / "raw", tmp_path / "one", config, subsets, jobs=1)
    plain, killed = Nodes.run, list[str]()

    def run(self: Nodes, *words: Any) -> Iterator[Any]:
        for result in plain(self, *words):
            workers = self.crew.workers if self.crew else []
            if not killed and len(workers) == 3 and all(worker.left for worker in workers):  # all are at work
                killed.append(nodes.others[0].node_id)
                nodes.kill(killed[0])
            yield result

    monkeypatch.setattr(Nodes, "run", run)
    build(tmp_path / "raw", tmp_path / "three", config, subsets, cluster=nodes.address)
    assert killed and hashes(tmp_path / "three") == hashes(tmp_path / "one")
    keys = [row["key"] for row in read_jsonl(tmp_path / "three" / JOURNAL)]
    assert len(keys) == len(set(keys)) == len(list(read_jsonl(tmp_path / "one" / JOURNAL)))


class NotingTranslator(TranslationWorker):
    """A worker that notes in a file which batch it was handed, and when it was done; a batch takes it a while."""

    def __init__(self, log: Path, name: str, model: str | None) -> None:
        super().__init__(name, model)
        self.log = log

    def work(self, about: Any, batches: Sequence[Batch]) -> Iterator[Arrived]:
        from ray import get_runtime_context

        of = {"node": get_runtime_context().get_node_id(), "lines": batches[0][1]}
        append_jsonl(self.log, [of | {"left": 1}])
        time.sleep(0.5)  # a longer batch's time: the node is killed before its end
        yield from super().work(about, batches)
        append_jsonl(self.log, [of | {"left": -1}])


@pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
def test_a_node_that_dies_during_translation_costs_no_line(
    nodes: ThreeNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes.mend()
    monkeypatch.setattr(Apertium, "batch", 8)
    log, killed = tmp_path / "log", list[str]()
    monkeypatch.setattr(translate_nodes, "TranslationWorker", partial(NotingTranslator, log))
    write_samples(tmp_path / "raw", only={"semeval2018"})
    build(tmp_path / "raw", tmp_path / "one", load_config(None), choose_subsets("semeval2018_english"), jobs=1)
    shutil.copytree(tmp_path / "one", tmp_path / "three")

    def run(batches: Sequence[Batch]) -> Iterator[tuple[Batch, list[str]]]:
        for found in translate_nodes.in_workers(nodes.address, "apertium", None, 3, batches):
            left = Counter[str]()
            for row in read_jsonl(log, growing=True):
                left[row["node"]] += row["left"]
            if not killed and (at_work := [node.node_id for node in nodes.others if left[node.node_id]]):
                killed.append(at_work[0])
                nodes.kill(at_work[0])
            yield found

    order = Order(["semeval2018_english"], ["en"], ["es"], 60)
    counts = [
        translate(tmp_path / name, Apertium(), order, round_trip=0, run=how)
        for name, how in (("one", None), ("three", run))
    ]
    assert killed and counts[0] == counts[1] and counts[0].kept > 0
    assert hashes(tmp_path / "three") == hashes(tmp_path / "one")
    known = [row["text"] for row in read_jsonl(tmp_path / "three" / CACHE)]
    assert len(known) == len(set(known)) == counts[0].lines
    handed = Counter(tuple(row["lines"]) for row in read_jsonl(log) if row["left"] > 0)
    assert handed.total() - len(handed) <= 1  # only the batch of the dead node, and never twice after it arrived


class Mortal:
    """Dies of some tasks, and refuses others."""

    def double(self, _: Any, tasks: Sequence[int]) -> Iterator[Arrived]:
        import os

        for place, task in enumerate(tasks):
            if task == 13:
                os._exit(1)
            if task == 7:
                raise Fault("task 7 is refused")
            yield [(place, 2 * task)]

    def end(self) -> None:
        import os

        os._exit(1)


def test_a_task_that_kills_every_worker_ends_the_run_with_a_sentence(nodes: ThreeNodes) -> None:
    from mmafflm.cluster.connect import one_a_core

    with connected(nodes.address), closing(Crew(Mortal, one_a_core(2))) as crew:
        found = [pair for some in crew.each("double", None, ([at] for at in range(6))) for pair in some]
        assert sorted(found) == [(at, 2 * at) for at in range(6)]
        with pytest.raises(Fault, match=r"^task 7 is refused$"):
            list(crew.each("double", None, [[6], [7]]))
        with pytest.raises(Fault, match=r"^3 workers died one after the other: "):
            list(crew.each("double", None, [[12, 13], [14]]))
        with pytest.raises(Fault, match=r"^3 workers died one after the other: "):
            crew.ask("end")
