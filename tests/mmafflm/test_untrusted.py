"""Folders of other people's models: we run none of their Python, follow none of their file names, check settings."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mmafflm.errors import Fault
from mmafflm.untrusted import require_harmless
from tests.eval.tiny_tests import make_tests
from tests.paths import ROOT

AUTO = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor")
LEADING_OUT = ("../../.bashrc", "/etc/cron.d/x", "..", ".", "a/b", "a\\b", "a\0b", "", "C:x")


def folder_with(folder: Path, name: str, row: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(row))
    return folder


@pytest.mark.parametrize("name", LEADING_OUT)
def test_no_template_names_a_file_elsewhere(name: str, tmp_path: Path) -> None:
    for file in ("tokenizer_config.json", "processor_config.json", "chat_template.json"):
        for templates in ({name: "{{ x }}"}, [{"name": name, "template": "{{ x }}"}], {"default": "a", name: "b"}):
            with pytest.raises(Fault, match=rf"{file}: names a chat template"):
                require_harmless(folder_with(tmp_path / file, file, {"chat_template": templates}))


@pytest.mark.parametrize("templates", [7, [], {}, [7], [{}], {"default": "a", "tool": "b", "..": "c"}])
def test_templates_of_another_form(templates: Any, tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"tokenizer_config\.json: (chat_template is neither|names a chat template)"):
        require_harmless(folder_with(tmp_path, "tokenizer_config.json", {"chat_template": templates}))


def test_templates_and_settings_of_the_usual_forms(tmp_path: Path) -> None:
    for templates in ("{{ x }}", {"default": "a", "tool_use": "b"}, [{"name": "rag", "template": "a"}], None):
        require_harmless(folder_with(tmp_path, "tokenizer_config.json", {"chat_template": templates}))
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates/tool_use.jinja").write_text("{{ x }}")
    require_harmless(tmp_path)
    (tmp_path / "additional_chat_templates/...jinja").write_text("{{ x }}")
    with pytest.raises(Fault, match="names a chat template"):
        require_harmless(tmp_path)


# `mmaffben predict` for each list of arguments, as a fork with the imports done; "yes" to every question.
PREDICT = """
import json, os, sys
import eval.engines.hf.engine
import transformers.models.qwen2_5_vl.modeling_qwen2_5_vl
import transformers.models.qwen2_5_vl.processing_qwen2_5_vl
from eval.cli import main

for number, (words, said) in enumerate(json.loads(sys.argv[1])):
    if (child := os.fork()) == 0:
        os.dup2(os.open(said, os.O_CREAT | os.O_WRONLY), 2)
        answers, told = os.pipe()
        os.write(told, b"y\\nyes\\n" * 9)
        os.dup2(answers, 0)
        sys.argv = ["mmaffben", *words]
        try:
            main()
        except SystemExit as ended:
            os._exit(ended.code or 0)
        os._exit(0)
    print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])), flush=True)
"""
EVIL = [(kind, file) for kind in ("evil", "qwen2_5_vl")
        for file in ("config.json", "tokenizer_config.json", "preprocessor_config.json")]  # fmt: skip


class Predicted(NamedTuple):
    """A checkpoint with code of its own, the exit code and the messages of a run, and whether there is an answer."""

    ckpt: Path
    code: int
    said: str
    out: Path


@pytest.fixture(scope="module")
def predicted(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Predicted]:
    """A run of each of EVIL, by model_type and the file that names the code."""
    root = tmp_path_factory.mktemp("evil")
    data = make_tests(root / "data", {"onlineshopping": 1})
    folders = {one: root / "-".join(one) for one in EVIL}
    for (model_type, file), folder in folders.items():
        ckpt = shutil.copytree(nano, folder / "ckpt")
        for name, more in (
            ("config.json", {"model_type": model_type}),
            (file, {"auto_map": dict.fromkeys(AUTO, "evil.Evil")}),
        ):
            (ckpt / name).write_text(json.dumps(json.loads((ckpt / name).read_text()) | more))
        (ckpt / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass Evil: pass\n")
    asked = [
        (["predict", "--ckpt", f"{one}/ckpt", "--data", str(data.path), "--out", f"{one}/out"], f"{one}/said")
        for one in folders.values()
    ]
    command = [sys.executable, "-c", PREDICT, json.dumps(asked)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    codes = done.stdout.splitlines()[-len(EVIL) :]
    return {
        one: Predicted(folder / "ckpt", int(code), (folder / "said").read_text(), folder / "out")
        for (one, folder), code in zip(folders.items(), codes, strict=True)
    }


@pytest.mark.parametrize(("model_type", "file"), EVIL)
def test_code_of_the_checkpoints_own_is_not_run(
    model_type: str, file: str, predicted: dict[tuple[str, str], Predicted]
) -> None:
    """A model that transformers does not know is refused; for a known one, transformers' own code is used."""
    ckpt, code, said, out = predicted[model_type, file]
    assert not (out.parent / "ran").exists() and "Traceback" not in said
    if model_type == "evil":
        assert code == 1 and not out.exists()
        assert f"error: {ckpt / file}: needs the checkpoint's own Python code" in said
    else:
        assert code == 0, said


def test_every_load_says_that_no_code_is_trusted() -> None:
    """Except PEFT's loads: PEFT runs no code from an adapter, and has no such argument."""
    loads, silent = 0, []
    for path in (path for wing in ("mmafflm", "eval", "data_build") for path in (ROOT / wing).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            called = ast.unparse(node.func)
            if called.rpartition(".")[2] not in ("from_pretrained", "from_config", "LLM", "load_dataset"):
                continue
            if called.startswith(("Peft", "peft.Peft")) or called in ("from_config",):
                continue
            loads += 1
            given = {one.arg: one.value for one in node.keywords}.get("trust_remote_code")
            if not (isinstance(given, ast.Constant) and given.value is False):
                silent.append(f"{path}:{node.lineno}: {called}")
    assert not silent and loads >= 8
