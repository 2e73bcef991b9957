"""Several processes share one predict: the files do not depend on the number of processes, nor on which were killed."""

from pathlib import Path

import pytest

from eval.ask.predict import predict
from eval.run.run_folder import RunFolder
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.records import append_jsonl
from mmafflm.shard import Shard
from tests.command import mmaffben
from tests.eval.score.counting import Counting, content
from tests.eval.tiny_tests import make_tests

ROWS = {"semeval2018_english": 5, "onlineshopping": 12, "XED": 12}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_tests(tmp_path_factory.mktemp("data"), ROWS)


@pytest.fixture(scope="module")
def whole(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("run")
    predict("m", data, out, engine=Counting())
    return content(out)


def answered(out: Path) -> int:
    return RunFolder(out).count(ROWS)


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_the_number_of_processes_does_not_change_a_byte(
    of: int, data: Dataset, whole: dict[str, bytes], tmp_path: Path
) -> None:
    engines = [Counting() for _ in range(of)]
    for number in reversed(range(of)):
        predict("m", data, tmp_path, batch_size=4, engine=engines[number], shard=Shard(number + 1, of))
    assert content(tmp_path) == whole
    assert sum(engine.asked for engine in engines) == sum(rows.count(b"\n") for rows in whole.values())


def test_a_killed_share_goes_on(data: Dataset, whole: dict[str, bytes], tmp_path: Path) -> None:
    killed = Counting(breaks_after=3)
    with pytest.raises(KeyboardInterrupt):
        predict("m", data, tmp_path, batch_size=2, engine=killed, shard=Shard(1, 2))
    torn = tmp_path / "shards/1-of-2/semeval2018_english.jsonl"
    torn.write_bytes(torn.read_bytes() + b'{"id": "semeval2018_engl')
    other, again = Counting(), Counting()
    predict("m", data, tmp_path, batch_size=2, engine=other, shard=Shard(2, 2))
    assert b'engl"' not in torn.read_bytes() and torn.read_bytes().endswith(b"engl")  # not touched
    assert not (tmp_path / "predictions").exists()
    predict("m", data, tmp_path, batch_size=2, engine=again, shard=Shard(1, 2))
    assert content(tmp_path) == whole
    assert killed.asked + other.asked + again.asked == sum(rows.count(b"\n") for rows in whole.values())


@pytest.mark.parametrize("shares", [[(1, 1)], [(1, 2), (2, 2)]])
def test_a_run_goes_on_with_another_number_of_processes(
    shares: list[tuple[int, int]], data: Dataset, whole: dict[str, bytes], tmp_path: Path
) -> None:
    for number in (1, 3):
        with pytest.raises(KeyboardInterrupt):
            predict("m", data, tmp_path, batch_size=2, engine=Counting(breaks_after=4), shard=Shard(number, 3))
    before, later = answered(tmp_path), [Counting() for _ in shares]
    for engine, share in zip(later, shares, strict=True):
        predict("m", data, tmp_path, engine=engine, shard=Shard(*share))
    assert content(tmp_path) == whole
    assert before > 0 and before + sum(engine.asked for engine in later) == answered(tmp_path)


def test_a_kill_between_merging_and_clearing_away_does_no_harm(
    data: Dataset, whole: dict[str, bytes], tmp_path: Path
) -> None:
    predict("m", data, tmp_path, engine=Counting())
    left_over = tmp_path / "shards/1-of-2/XED.jsonl"
    left_over.parent.mkdir(parents=True)
    left_over.write_bytes(b"".join((tmp_path / "predictions/XED.jsonl").read_bytes().splitlines(keepends=True)[::2]))
    engine = Counting()
    predict("m", data, tmp_path, engine=engine)
    assert content(tmp_path) == whole and not engine.asked


def test_two_answers_to_one_question_are_a_fault(data: Dataset, tmp_path: Path) -> None:
    predict("m", data, tmp_path, engine=Counting())
    name = next(data.records("XED", "test")).id
    append_jsonl(tmp_path / "shards/1-of-2/XED.jsonl", [{"id": name, "prediction": "another"}])
    with pytest.raises(Fault, match=r"shards/1-of-2/XED\.jsonl:1: XED/.* has another answer in another process's file"):
        predict("m", data, tmp_path, engine=Counting())


@pytest.mark.parametrize(
    ("mine", "theirs", "free"),
    [((1, 1), (1, 1), False), ((1, 2), (1, 2), False), ((1, 2), (2, 2), True), ((1, 1), (2, 2), False)],
)
def test_nobody_answers_what_another_is_answering(
    mine: tuple[int, int], theirs: tuple[int, int], free: bool, tmp_path: Path
) -> None:
    with RunFolder(tmp_path, Shard(*mine)).at_work():
        other = RunFolder(tmp_path, Shard(*theirs))
        if free:
            with other.at_work():
                pass
        else:
            with pytest.raises(Fault, match="another process is answering this"), other.at_work():
                pass
    with RunFolder(tmp_path, Shard(*theirs)).at_work():
        pass


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/", "-1/2"])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(UsageFault, match="write I/N, such as 2/3"):
        Shard.parse(text)


def test_every_id_is_in_one_share() -> None:
    ids = [f"XED/de/test/{number:06}" for number in range(3000)]
    owners = [[shard for shard in range(1, 4) if Shard(shard, 3).has(name)] for name in ids]
    assert all(len(owner) == 1 for owner in owners)
    assert all(900 < owners.count([shard]) < 1100 for shard in range(1, 4))


def test_jobs_on_nano_are_one_process_on_nano(nano: Path, data: Dataset, tmp_path: Path) -> None:
    asked = ("predict", "--ckpt", nano, "--data", data.path, "--subsets", "XED,onlineshopping")
    predict(nano, data, tmp_path / "one", ["XED", "onlineshopping"])
    done = mmaffben(*asked, "--out", tmp_path / "two", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "two") == content(tmp_path / "one")
    no_key = {"OPENAI_API_KEY": "", "OPENAI_BASE_URL": ""}
    wrong = mmaffben(*asked, "--out", tmp_path / "three", "--jobs=2", "--engine", "openai", **no_key)
    assert wrong.returncode == 2 and "needs OPENAI_API_KEY" in wrong.stderr  # the process's own message and exit code
    both = mmaffben(*asked, "--out", tmp_path / "two", "--jobs", "2", "--shard", "1/2")
    assert both.returncode == 2 and "leave out --shard" in both.stderr
    assert "Traceback" not in done.stderr + wrong.stderr + both.stderr
