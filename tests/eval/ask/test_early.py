"""What is wrong with a command that asks a model is reported at once, before torch is imported."""

import subprocess
import sys
from pathlib import Path

from tests.eval.tiny_tests import make_tests
from tests.paths import ROOT

EARLY = """
import sys
from eval.cli import main
for words in WORDS:
    sys.argv = ["mmaffben", "predict", *words]
    try:
        main()
    except SystemExit as end:
        print(end.code, sorted({"torch", "transformers"} & set(sys.modules)))
"""


def test_a_wrong_checkpoint_or_language_is_reported_before_torch_is_imported(tmp_path: Path) -> None:
    """Importing torch takes half a minute on a slow disk."""
    data = make_tests(tmp_path / "data", {"onlineshopping": 2})
    (tmp_path / "empty").mkdir()
    (tmp_path / "whole").mkdir()
    for name in ("config.json", "tokenizer_config.json", "model.safetensors"):
        (tmp_path / "whole" / name).write_text("{}")
    common = ["--data", str(data.path), "--out", str(tmp_path / "run"), "--ckpt"]
    words = [
        [*common, str(tmp_path / "mistyped")],
        [*common, str(tmp_path / "empty")],
        [*common, str(tmp_path / "whole"), "--languages", "xx"],
        [*common, str(tmp_path / "whole"), "--option", "clip=frames"],
    ]
    code = EARLY.replace("WORDS", repr(words))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == ["1 []", "1 []", "2 []", "2 []"], done.stderr
    assert len(done.stderr.splitlines()) == 4 and not (tmp_path / "run").exists()
