"""`mmaffben export-tasks`: write the folder for one harness."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.export_tasks import inspect_tasks, lm_eval, lmms_eval, vlmevalkit
from eval.export_tasks.exported import ABOUT
from eval.export_tasks.tasks import ExportedTask, exported_tasks, rendered
from eval.run.up_to_date import KEY, made_of, standing
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.writing import make_folder, writing
from mmafflm.records import write_jsonl, write_text
from mmafflm.terminal.command import say

# {harness: (the function that writes its files, the modalities that it supports)}
HARNESSES: dict[str, tuple[Callable[[Sequence[ExportedTask], Dataset, Path], None], tuple[str, ...]]] = {
    "lm-eval": (lm_eval.write, ("text", "image")),
    "lmms-eval": (lmms_eval.write, ("text", "image", "video")),
    "inspect": (inspect_tasks.write, ("text", "image", "video")),
    "vlmevalkit": (vlmevalkit.write, ("image",)),
}


def export_tasks(
    harness: str, data: Dataset, out: Path, subsets: list[str] | None = None, limit: int | None = None
) -> None:
    """Write OUT for one of HARNESSES. OUT appears complete or not at all, and an up-to-date OUT is kept.

    limit: export only the rows that `mmaffben predict --limit` uses. Raises UsageFault for wrong arguments; Fault when
    OUT has other content, records have changed since the build or media are missing.
    """
    write, modalities = HARNESSES[harness]
    made = made_of([], harness=harness, data=data.hash, subsets=subsets, limit=limit)
    if standing(out / ABOUT, made) is not None:
        say(f"{out}: up to date.")
        return
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise Fault(f"{out}: exists, and is not an up-to-date export of these tasks. Remove it, or use another folder.")
    tasks = exported_tasks(data, subsets, limit)
    asked = [task for task in tasks if task.task.modality in modalities]
    if not asked:
        raise UsageFault(
            f"{harness} supports only {' and '.join(modalities)}, and {data.path} has no such subset to export. "
            "Choose others with --subsets, or another --for."
        )
    left_out = list(dict.fromkeys(task.task.subset for task in tasks if task not in asked))
    if left_out:
        say(f"left out, because {harness} supports only {' and '.join(modalities)}: {', '.join(left_out)}")
    partial = out.absolute().with_name(f".{out.absolute().name}.partial")
    with writing(partial, full_only=True):
        shutil.rmtree(partial, ignore_errors=True)
        make_folder(partial)
        for task in asked:
            write_jsonl(partial / "data" / f"{task.name}.jsonl", task.docs())
        write(asked, data, partial)
        about = _about(asked, data, out, limit)
        words = {"harness": harness, "tasks": asked, "left_out": left_out, "data": about["data"]}
        write_text(partial / "README.md", rendered(f"{harness}.md.j2", **words))
        write_text(partial / ABOUT, json.dumps(about | {KEY: made}, indent=1) + "\n")
        partial.replace(out)
    say(f"{out}: {len(asked)} tasks, {sum(len(task.records) for task in asked)} rows. Its README.md has the commands.")


def _about(tasks: Sequence[ExportedTask], data: Dataset, out: Path, limit: int | None) -> dict[str, Any]:
    return {
        "data": os.path.relpath(data.path.resolve(), out.absolute().parent.resolve() / out.name),
        "data_hash": data.hash,
        "limit": limit,
        "tasks": {one.name: {"subset": one.task.subset, "task": one.task.key, "metrics": one.metrics} for one in tasks},
    }
