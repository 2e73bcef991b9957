"""The harnesses run the exported tasks, print our scores, and their logs become runs. Made by: make setup-harnesses."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from eval.export_tasks.export import export_tasks
from eval.run.import_answers import import_answers
from eval.score.score import score_run
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from tests.eval.export_tasks.made_exports import answering_server, data_with_media

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


def python_of(harness: str) -> Path:
    """The harness's Python: $LM_EVAL_PYTHON and so on, or the one of `make setup-harnesses`. Skips without it."""
    name = f"{harness.upper().replace('-', '_')}_PYTHON"
    python = Path(os.environ.get(name) or ROOT / f".venv-{harness}/bin/python")
    if not python.exists():
        assert name not in os.environ, f"{name}: {python} does not exist"
        pytest.skip(f"no {python} (make setup-harnesses), and no {name}")
    return python


# Reading their thousands of own tasks takes lm-eval and lmms-eval most of their time. One run lets them.
OURS_ONLY = """
import functools, json, os, runpy, sys, {0}.tasks as tasks
tasks.TaskManager = functools.partial(tasks.TaskManager, include_defaults=False)
for folder, words in json.loads(sys.argv[1]):
    os.chdir(folder)
    sys.argv[1:] = words
    runpy.run_module("{0}", run_name="__main__", alter_sys=True)
"""


def run_ours(python: Path, harness: str, runs: list[tuple[Path, list[str]]], **env: str) -> str:
    """Run a harness without its own tasks, in one process for several runs: [(folder, words), ...]."""
    told = json.dumps([(str(folder), words) for folder, words in runs])
    return run(python, runs[0][0], "-c", OURS_ONLY.format(harness), told, **env)


def run(python: Path, folder: Path, *words: object, **env: str) -> str:
    """Run a harness in `folder`, offline; returns the end of what it printed."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "WANDB_MODE": "disabled"}
    home = {"HF_HOME": str(folder.parent / "hf"), "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [str(python), *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **offline, **home, **env}, capture_output=True, text=True, check=False
    )
    said = done.stdout[-4000:] + done.stderr[-6000:]
    assert done.returncode == 0, said
    return said


def printed(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """{task: {metric: value}} from the results of lm-eval or lmms-eval."""
    return {
        task.removeprefix("mmaffben_"): {
            key.removesuffix(",none"): value
            for key, value in found.items()
            if key.endswith(",none") and not key.endswith("_stderr,none")
        }
        for task, found in results.items()
    }


def require_our_scores(found: dict[str, dict[str, float]], answers: list[Path], data: Dataset, out: Path) -> None:
    """Import the logged answers, score them, and compare every figure that the harness printed."""
    import_answers(answers, data, out)
    scores = score_run(out, data, "strict")["subsets"]
    expected = {}
    for name, one in scores.items():
        for task in benchmark()[name].tasks:
            own = one["tasks"][task.key] if "tasks" in one else one
            key = task.name.replace(" ", "_").lower()
            expected[key] = own["metrics"] | {"unparsed": own["unparsed"] / own["n"]}
    assert set(found) == set(expected)
    for task_name, metrics in expected.items():
        for metric, value in metrics.items():
            assert math.isclose(found[task_name][metric], value, rel_tol=0, abs_tol=1e-9), (task_name, metric)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return data_with_media(tmp_path_factory.mktemp("harness") / "data")


@pytest.fixture(scope="module")
def llama(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model that takes text only, with nano's tokenizer."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "llama"
    tokenizer = AutoTokenizer.from_pretrained(nano)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=2, eos_token_id=tokenizer.eos_token_id)  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def exported(harness: str, data: Dataset, tmp_path: Path, subsets: list[str] | None = None) -> Path:
    folder = data.path.parent / f"{harness}-{tmp_path.name}"
    export_tasks(harness, data, folder, subsets)
    return folder


def lm_eval_words(tasks: str, model: str, arguments: str, *words: object) -> list[str]:
    told = ("--include_path", ".", "--tasks", tasks, "--apply_chat_template", "--output_path", f"out-{tasks}")
    return [*map(str, (*told, "--log_samples", "--model", model, "--model_args", arguments, *words))]


def lm_eval_found(folder: Path, tasks: str) -> tuple[Any, list[Path]]:
    """What a run printed, and the files with its answers."""
    out = folder / f"out-{tasks}"
    (results,) = out.rglob("results_*.json")
    return printed(json.loads(results.read_text())["results"]), sorted(out.rglob("samples_*.jsonl"))


def test_lm_eval_prints_our_scores(data: Dataset, tmp_path: Path, nano: Path, llama: Path) -> None:
    """Of a server that we made, of a text model, and of a model that sees pictures."""
    python, folder = python_of("lm-eval"), exported("lm-eval", data, tmp_path)
    runs: list[tuple[Path, list[str]]] = []
    for model, checkpoint, subset in (("hf", llama, "XED"), ("hf-multimodal", nano, "FER2013")):
        one = exported("lm-eval", data, tmp_path / model, [subset])
        words = lm_eval_words(f"mmaffben_{subset.lower()}", model, f"pretrained={checkpoint}")
        runs.append((one, [*words, "--device", "cpu", "--batch_size", "4"]))
    with answering_server(data) as (url, asked):
        arguments = f"model=made-up,base_url={url}/chat/completions,num_concurrent=1,tokenized_requests=False"
        # This model of lm-eval cannot ask with and without pictures in one run.
        text, image = (
            lm_eval_words(f"mmaffben_{kind}", "local-chat-completions", arguments) for kind in ("text", "image")
        )
        run(python, folder, "-m", "lm_eval", *text, OPENAI_API_KEY="none")
        run_ours(python, "lm_eval", [(folder, image), *runs], OPENAI_API_KEY="none")
    texts, answers = lm_eval_found(folder, "mmaffben_text")
    pictures, more = lm_eval_found(folder, "mmaffben_image")
    found = texts | pictures
    assert len(found) == 8 and sum("image_url" in json.dumps(body) for body in asked) == 24
    assert found["xed"]["macro_f1"] > 0 and found["emotic_si"]["pearson_arousal"] != 0
    require_our_scores(found, [*answers, *more], data, tmp_path / "run")
    for one, words in runs:
        tasks = words[words.index("--tasks") + 1]
        require_our_scores(*lm_eval_found(one, tasks), data, tmp_path / tasks)


def inspect(python: Path, folder: Path, which: str, *words: object, **env: str) -> tuple[Any, list[Path]]:
    logs = folder / "logs"
    run(python, folder, "-m", "inspect_ai", "eval", which, "--log-format", "json", "--log-dir", logs,
        "--display", "plain", *words, **env)  # fmt: skip
    found = {}
    for log in logs.glob("*.json"):
        read = json.loads(log.read_text())
        assert read["status"] == "success", read.get("error")
        (score,) = read["results"]["scores"]
        name = read["eval"]["task"].removeprefix("mmaffben_")
        found[name] = {metric: one["value"] for metric, one in score["metrics"].items()}
    return found, sorted(logs.glob("*.json"))


def test_inspect_prints_our_scores(data: Dataset, tmp_path: Path) -> None:
    python, folder = python_of("inspect"), exported("inspect", data, tmp_path)
    with answering_server(data) as (url, asked):
        words = ("--model", "openai-api/local/made-up", "--model-base-url", url)
        found, answers = inspect(python, folder, "mmaffben.py", *words, LOCAL_API_KEY="none")
    assert len(found) == 10 and sum("image_url" in json.dumps(body) for body in asked) == 48
    require_our_scores(found, answers, data, tmp_path / "run")


def test_inspect_runs_transformers(data: Dataset, tmp_path: Path, llama: Path) -> None:
    python, folder = python_of("inspect"), exported("inspect", data, tmp_path, ["XED"])
    words = ("--model", "hf/local", "-M", f"model_path={llama}", "-M", "device=cpu", "-M", "do_sample=false")
    found, answers = inspect(python, folder, "mmaffben.py@xed", *words)
    require_our_scores(found, answers, data, tmp_path / "run")


def lmms_eval(python: Path, folder: Path, tasks: str, *words: str, **env: str) -> tuple[Any, list[Path]]:
    out = folder / "out"
    told = ("--include_path", ".", "--tasks", tasks, "--batch_size", "1", "--output_path", str(out), "--log_samples")
    said = run_ours(python, "lmms_eval", [(folder, [*told, *words])], **env)
    results = next(out.rglob("*results.json"), None)
    assert results is not None, said  # lmms-eval ends with 0 after an exception, too
    return printed(json.loads(results.read_text())["results"]), sorted(out.rglob("*samples_*.jsonl"))


def test_lmms_eval_prints_our_scores(data: Dataset, tmp_path: Path) -> None:
    python, folder = python_of("lmms-eval"), exported("lmms-eval", data, tmp_path)
    with answering_server(data) as (url, asked):
        model = f"model_version=made-up,base_url={url},api_key=none,num_concurrent=1,max_frames_num=4"
        found, answers = lmms_eval(python, folder, "mmaffben_text,mmaffben_image,mmaffben_video", "--model", "openai",
                                   "--model_args", model, OPENAI_API_KEY="none")  # fmt: skip
    assert len(found) == 10 and sum("image_url" in json.dumps(body) for body in asked) == 48
    require_our_scores(found, answers, data, tmp_path / "run")


def test_lmms_eval_runs_its_own_model(data: Dataset, tmp_path: Path, nano: Path) -> None:
    """Pictures; a clip that is an mp4; and one that is stored as frames."""
    python, subsets = python_of("lmms-eval"), ["FER2013", "MELD_SP", "CHSIMS_SI"]
    folder = exported("lmms-eval", data, tmp_path, subsets)
    tasks = ",".join(f"mmaffben_{name.lower()}" for name in subsets)
    model = f"pretrained={nano},device_map=cpu,min_pixels=3136,max_pixels=12544"
    words = ("--model", "qwen2_5_vl", "--force_simple", "--device", "cpu", "--model_args", model)
    found, answers = lmms_eval(python, folder, tasks, *words)
    assert len(list((folder / "clips").glob("*.mp4"))) == 12
    require_our_scores(found, answers, data, tmp_path / "run")
