"""Everything that these tests ask vLLM directly, in one process: to import and start vLLM takes half a minute.

vllm_side.py is what runs there. test_server.py starts vLLM's own server, which is another process by its nature.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from eval.ask.ablation import questions
from eval.engines import Question
from mmafflm.dataset import Dataset
from mmafflm.sampling import sample
from tests.eval.engines.vllm.tiny import make_tiny
from tests.eval.engines.vllm.vllm_side import ENVIRONMENT
from tests.paths import ROOT

LIMIT = 3  # rows of each of the 18 subsets
SIDE = ("XED", "FER2013", "CHSIMS_SP", "semeval2018_english")
SIDE_ROWS = 6
LONG = 40  # frames
MOST = 24
CHOICE: dict[str, Any] = {"subsets": ["XED", "CFAPS_EC"], "limit": 12, "readout": "choice"}
CANDIDATES = ["positive", "0. neutral", "1. joy, 2. sadness", "1. joy, 3. fear", "0.5", "-1.0", "x" * 40]
# Other families: the subsets of which vLLM is asked FAMILY_LIMIT rows.
FAMILIES = {"llama": ["XED", "onlineshopping"], "qwen3_vl": ["XED", "FER2013", "SAMSEMO"], "openai_gpt": ["XED"]}
FAMILY_LIMIT = 4


def side_questions(data: Dataset) -> list[Question]:
    """Questions of every kind, and one about a clip as long as real ones.

    The text after such a clip follows its time, not its width (rope.py of Qwen2.5-VL).
    """
    asked = [question for name in SIDE for question in questions(sample(list(data.records(name, "test")), SIDE_ROWS))]
    clip = next(one for one in asked if one.videos)
    return [*asked, clip._replace(videos=((clip.videos[0] * LONG)[:LONG],))]


def ask_all(python: str, looking: Path, nano: Path, data: Dataset, folder: Path) -> None:
    """Let vLLM answer. `folder` gets said.json, what vllm_side.py prints, and a run of predict for each of:

    vllm and vllm-choice, with the model `looking`; FAMILY-vllm, with the model of each of FAMILIES in folder/FAMILY.
    """
    runs = {str(folder / "vllm"): {"limit": LIMIT}, str(folder / "vllm-choice"): CHOICE}
    rows = [
        [str(make_tiny(kind, nano, folder / kind)), str(folder / f"{kind}-vllm"), subsets, FAMILY_LIMIT]
        for kind, subsets in FAMILIES.items()
    ]
    row = {"questions": [one[:3] for one in side_questions(data)], "candidates": CANDIDATES, "most_tokens": MOST}
    (folder / "asked.json").write_text(json.dumps(row | {"runs": runs, "families": rows}))
    command = [python, "-m", "tests.eval.engines.vllm.vllm_side", looking, data.path, folder / "asked.json"]
    env = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=env, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (folder / "said.json").write_text(done.stdout.splitlines()[-1])
