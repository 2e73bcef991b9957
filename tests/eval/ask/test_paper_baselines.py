import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from eval.ask.paper_baselines import commands, paper_baselines
from eval.ask.paper_models import PAPER, PaperModel, paper_models
from eval.engines import ENGINES
from mmafflm.benchmark.benchmark import benchmark, paper_scores
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from tests.command import mmaffben
from tests.data_files import write_data
from tests.eval.made_runs import records
from tests.eval.test_make_eval import make

LIST = """
models:
- {name: first, hub: NANO, accepts: [text], engine: hf}
- {name: broken, hub: BROKEN, accepts: [text, image, video], engine: hf, options: {chat_template: a/form.jinja}}
- {name: last, hub: NANO, accepts: [text], engine: hf, unconfirmed: whether it exists}
"""


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    rows = {"onlineshopping": records("onlineshopping", 8, languages=("zh",)), "MELD_SP": records("MELD_SP", 8)}
    return write_data(tmp_path / "data", rows)


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    (tmp_path / "list.yaml").write_text(LIST)
    return tmp_path / "list.yaml"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of Python that notes what is typed, and fails for the model "broken"."""
    program, log = tmp_path / "program", tmp_path / "typed.txt"
    program.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(log))}\ncase "$*" in *BROKEN*) exit 1;; esac\n')
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    return log


def test_the_list_has_the_papers_20_models_and_what_each_accepts() -> None:
    models = paper_models()
    published = {model for of in paper_scores().values() for model in of}
    assert {one.name for one in models} == published and len(models) == 20
    for one in models:
        assert one.engine in ENGINES and (one.engine == "openai" or one.hub.count("/") == 1)
        clips = any(one.name in of for (subset, _), of in paper_scores().items() if subset == "SAMSEMO")
        assert clips == ("video" in one.accepts), one.name
        for value in (one.options.get("chat_template"),):
            assert value is None or Path(str(value)).is_file()


@pytest.mark.parametrize("entry", [True, False])
def test_emollamas_template_writes_its_makers_form(entry: bool) -> None:
    jinja2 = pytest.importorskip("jinja2.sandbox")
    (file,) = [one.options["chat_template"] for one in paper_models() if one.options]
    content = [{"type": "text", "text": "How is it?"}] if entry else "How is it?"
    environment = jinja2.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers does
    shown = environment.from_string(Path(str(file)).read_text()).render(
        messages=[{"role": "user", "content": content}], bos_token="<s>", eos_token="</s>", add_generation_prompt=True
    )
    assert shown == "<s>Human: \nHow is it?\n\nAssistant:\n"


def test_each_model_is_asked_what_it_accepts_and_scored(data: Dataset, tmp_path: Path) -> None:
    model = PaperModel(name="m", hub="owner/m", accepts=("text", "image"), engine="vllm", options={"a": 1, "b": "x y"})
    predict, *scores = commands(model, data, tmp_path / "out", 5)
    assert predict == [
        "predict", "--ckpt", "owner/m", "--data", str(data.path), "--out", str(tmp_path / "out/m"), "--engine", "vllm",
        "--option", "a=1", "--option", "b=x y", "--subsets", "onlineshopping", "--limit", "5",
    ]  # fmt: skip
    assert [words[-1] for words in scores] == ["strict", "paper"]
    assert benchmark()["MELD_SP"].modality == "video"
    with pytest.raises(Fault, match="no test records that m accepts"):
        next(commands(model.model_copy(update={"accepts": ("image",)}), data, tmp_path, None))


def test_a_failure_is_reported_and_the_next_model_is_asked(data: Dataset, listed: Path, typed: Path) -> None:
    with pytest.raises(Fault, match=r"1 of 3 models failed: broken \(predict\)\..*same command again"):
        paper_baselines(data, listed.parent / "out", path=listed)
    verbs = [line.split()[2] for line in typed.read_text().splitlines()]
    assert verbs == ["predict", "score", "score", "predict", "predict", "score", "score", "leaderboard"]
    board = typed.read_text().splitlines()[-1]
    assert "out/first" in board and "out/last" in board and "broken" not in board
    typed.unlink()
    paper_baselines(data, listed.parent / "out", "last, first", listed)
    assert [line.split()[4] for line in typed.read_text().splitlines() if " predict " in line] == ["NANO", "NANO"]


def test_a_dry_run_prints_the_commands_and_runs_none(
    data: Dataset, listed: Path, typed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paper_baselines(data, listed.parent / "out dir", path=listed, dry_run=True)
    printed = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert len(printed) == 10 and all(words[0] == "mmaffben" for words in printed)
    assert str(listed.parent / "out dir" / "first") in printed[0]
    assert f"chat_template={listed.parent / 'a/form.jinja'}" in printed[3]
    assert not typed.exists() and not (listed.parent / "out dir").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: last", "name: first", "first is listed twice"),
        ("name: last", "name: ../last", "not a list of models"),
        ("engine: hf", "engine: tgi", "not a list of models"),
        ("accepts: [text]", "accepts: [sound]", "not a list of models"),
        ("unconfirmed", "sure", "not a list of models"),
        ("a/form.jinja", "../form.jinja", "is not a path below the list's folder"),
        ("models:", "[", "not YAML"),
    ],
)
def test_a_list_with_a_mistake_is_refused_with_a_sentence(listed: Path, old: str, new: str, said: str) -> None:
    path = listed.with_name(f"{abs(hash((old, new)))}.yaml")
    path.write_text(LIST.replace(old, new))
    with pytest.raises(Fault, match=said):
        paper_models(path)


def test_unknown_models_and_lists_are_wrong_usage(data: Dataset, listed: Path) -> None:
    with pytest.raises(UsageFault, match="gpt-5 is not one of Llama3"):
        paper_baselines(data, listed.parent / "out", "gpt-5", PAPER)
    with pytest.raises(UsageFault, match="no such file"):
        paper_baselines(data, listed.parent / "out", path=listed.with_name("none.yaml"))


def test_make_passes_the_words_on() -> None:
    words = shlex.split(make("-n", "paper-baselines", "DATA=d", "MODELS=a,b", "LIMIT=5").stdout)
    assert words[1:] == ["paper-baselines", "--data", "d", "--out", "runs/paper", "--models", "a,b", "--limit", "5"]
    shown = make("-n", "leaderboard", "RUNS=runs/a runs/b", "DATA=d").stdout.splitlines()[-1]
    assert shlex.split(shown)[1:] == ["leaderboard", "runs/a", "runs/b", "--data", "d", "--out", "runs/leaderboard"]
    assert "usage: make leaderboard" in make("leaderboard").stderr


@pytest.mark.slow
def test_two_local_models_are_asked_scored_ranked_and_resumed(
    data: Dataset, nano: Path, tmp_path: Path, warm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(warm / "python"))
    broken = Path(shutil.copytree(nano, tmp_path / "incomplete"))
    (broken / "config.json").unlink()
    listed = tmp_path / "list.yaml"
    form = ", options: {chat_template: a/form.jinja}"
    listed.write_text(LIST.replace("NANO", str(nano)).replace("BROKEN", str(broken)).replace(form, ""))
    words = ("paper-baselines", "--data", data.path, "--out", tmp_path / "out", "--list", listed, "--limit", 4)
    done = mmaffben(*words)
    assert done.returncode == 1, done.stderr
    assert "1 of 3 models failed: broken (predict)" in done.stderr and "no config.json" in done.stderr
    assert "not confirmed: whether it exists" in done.stderr and "Traceback" not in done.stderr
    board = json.loads((tmp_path / "out" / "leaderboard" / "leaderboard.json").read_text())
    assert list(board["runs"]) == ["first", "last"] and not (tmp_path / "out" / "broken").exists()
    assert done.stdout.splitlines() == [str(tmp_path / "out" / "leaderboard" / "index.html")]
    answers = {path: path.read_bytes() for path in (tmp_path / "out").rglob("predictions/*.jsonl")}
    again = mmaffben(*words, "--models", "first")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("answers are there already") == 1 and again.stderr.count("up to date") == 2
    assert {path: path.read_bytes() for path in answers} == answers and len(answers) == 2
