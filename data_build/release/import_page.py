"""import.md: what was recovered from a release and how, how its prompts and answers differ from ours, what is lost."""

import difflib
from pathlib import Path
from typing import Any

import polars as pl

from data_build.build import IMPORT_PAGE
from data_build.dataset.inputs import Folders, Manifest
from data_build.release.recover import UNKNOWN
from data_build.rows.shards import find_shards
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.records import write_text

EXAMPLES = 3  # prompts and answers quoted for each subset and task
MOST = 20  # templates in the manifest for each subset and task

LOST = """\
## What a release does not contain

- The raw file and line of a row. `source` is the released file and the row in it (a row that `mmaffin export` wrote
  keeps its own `source`).
- The speaker, and a clip's film and licence (`origins.jsonl` of a build from raw corpora).
- How the authors sampled and split. The splits are used as released. As in every build, training rows that also occur
  in the test or validation set, and repeated training rows, are in the quarantine.
- Pictures and clips in another size than the released one.
"""


def write_page(origins: list[str], data: Path, folders: Folders, manifest: Manifest) -> None:
    """Write DATA/import.md, and its content as "import" in the manifest. origins: folders or hub ids."""
    found = pl.concat([_rows(paths) for paths in folders.values()])
    manifest["import"] = {
        "from": origins,
        "recovered": _recovered(found),
        "prompts": _prompts(found),
        "answers": _answers(found),
        "system": found.filter(pl.col("system").is_not_null()).height,
    }
    write_text(data / IMPORT_PAGE, page_text(manifest["import"], manifest["corpora"]))


def _rows(folders: list[Path]) -> pl.DataFrame:
    columns = ["subset", "split", "task", "emotion", "language", "text", "prompt", "answer", "system", "task_from",
               "language_from"]  # fmt: skip
    frames = [pl.read_parquet(path, columns=columns) for path in find_shards(folders).paths]
    # the text is needed only for rows whose prompt differs from ours
    return pl.concat([frame.with_columns(pl.when(pl.col("prompt").is_not_null()).then("text")) for frame in frames])


def _recovered(found: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows by subset, by split, and by how task and language were found."""
    by = ["subset", "split", "task_from", "language_from"]
    counted = found.group_by(by).agg(rows=pl.len(), no_language=(pl.col("language") == UNKNOWN).sum())
    return counted.sort(by).to_dicts()


def _prompts(found: pl.DataFrame) -> list[dict[str, Any]]:
    """The released templates that differ from ours, with their numbers of rows: up to MOST for each subset and task.

    A template is a prompt in which text and emotion are placeholders.
    """
    other = found.filter(pl.col("prompt").is_not_null())
    template = [
        _template(prompt, text, emotion) for prompt, text, emotion in other.select("prompt", "text", "emotion").rows()
    ]
    counted = other.with_columns(template=pl.Series(template, dtype=pl.String))
    counted = counted.group_by("subset", "task", "template").len("rows")
    ordered = counted.sort("subset", "task", "rows", "template", descending=[False, False, True, False])
    return ordered.group_by("subset", "task", maintain_order=True).head(MOST).to_dicts()


def _template(prompt: str, text: str, emotion: str | None) -> str:
    before, mark, after = prompt.rpartition(text) if text else (prompt, "", "")
    whole = f"{before}{{text}}{after}" if mark else prompt
    return whole.replace(f"Emotion E: {emotion}", "Emotion E: {emotion}") if emotion else whole


def _answers(found: pl.DataFrame) -> list[dict[str, Any]]:
    """Released answers whose wording differs from ours for the same gold. The records have our wording."""
    other = found.filter(pl.col("answer").is_not_null())
    counted = other.group_by("subset", "task").agg(
        rows=pl.len(), examples=pl.col("answer").unique().sort().head(EXAMPLES)
    )
    return counted.sort("subset", "task").to_dicts()


def page_text(about: dict[str, Any], corpora: dict[str, Any]) -> str:
    """The page, made from "import" and "corpora" of a manifest."""
    lines = [
        f"# What was imported from {', '.join(about['from'])}",
        "",
        "| subset | split | rows | task from | language from | without a language |",
        "|---|---|---:|---|---|---:|",
    ]
    lines += [
        "| {subset} | {split} | {rows} | {task_from} | {language_from} | {no_language} |".format(**row)
        for row in about["recovered"]
    ]
    read, kept = (sum(of[key] for of in corpora.values()) for key in ("rows_read", "rows_kept"))
    lines += ["", f"{read} rows read = {kept} kept + {read - kept} in `quarantine.jsonl`.", "", *_prompt_lines(about)]
    lines += ["## Answers that were rewritten", ""]
    lines += [
        f"- {row['subset']} {row['task']}: {row['rows']} rows, such as {row['examples']}; the gold is the same"
        for row in about["answers"]
    ] or ["None."]
    if about["system"]:
        lines += ["", f"{about['system']} rows have a system text. It is left out, because the released "
                  "dataset_info.json names no column for it, so LLaMA-Factory never showed it to a model."]  # fmt: skip
    return "\n".join([*lines, "", LOST])


def _prompt_lines(about: dict[str, Any]) -> list[str]:
    lines = ["## Prompts that differ from ours", ""]
    if not about["prompts"]:
        return [*lines, "None.", ""]
    shown: dict[tuple[str, str], int] = {}
    for row in about["prompts"]:
        place = (row["subset"], row["task"])
        shown[place] = shown.get(place, 0) + 1
        if shown[place] <= EXAMPLES:
            ours = benchmark()[row["subset"]].task(row["task"]).prompt.replace("{transcript}", "{text}")
            diff = difflib.unified_diff(
                ours.splitlines(), row["template"].splitlines(), "ours", "released", "", "", 0, ""
            )
            lines += [f"{row['subset']} {row['task']}, {row['rows']} rows (kept as released):", "", "```diff",
                      *diff, "```", ""]  # fmt: skip
    lines += [
        f"{subset} {task}: {count - EXAMPLES} more are in manifest.json."
        for (subset, task), count in shown.items()
        if count > EXAMPLES
    ]
    return [*lines, ""]
