"""What `mmafflm plan` estimates at the paper's size: a built sample, its mix repeated to the shares that it asked for.

python -m tests.mmafflm.train.plan.paper_hours DATA [RECIPE ...]: DATA is a build of `mmaffin samples`. The texts are
made up, but most of a record is its prompt, which is real. Pictures count as the largest (but FER2013's stay as they
are) and clips as 10 s long, because the samples are smaller than real ones. Prints what `plan` says for 8 GPUs.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl

from mmafflm.dataset import MIX, Dataset, data_hash
from mmafflm.families.base import MediaSize
from mmafflm.families.find import built_for
from mmafflm.records import sha256_of, write_text

CLIP_S = 10


def at_paper_size(data: Dataset, out: Path) -> None:
    """A copy of a build in `out` (its files linked, not copied) with as many rows as its mix asked for."""
    for file in data.path.rglob("*"):
        if file.is_file():
            (out / file.relative_to(data.path)).parent.mkdir(parents=True, exist_ok=True)
            os.link(file, out / file.relative_to(data.path))
    media, budget = built_for().media, data.budget
    picture = media.tokens(MediaSize(*budget.size(2000, 2000)))
    clip = media.tokens(
        MediaSize(*budget.size(2000, 2000, video=True), int(CLIP_S * budget.video_fps), budget.video_fps)
    )
    few = pl.read_parquet(data.path / "mmaffin/parquet" / f"{MIX}.parquet")
    name = pl.col("id").str.split("/").list.first()
    tokens = pl.when(pl.col("videos").list.len() > 0).then(clip).when(pl.col("images").list.len() > 0).then(picture)
    few = few.with_columns(
        subset=name, vision_tokens=pl.when(name == "FER2013").then("vision_tokens").otherwise(tokens.otherwise(0))
    ).cast({"vision_tokens": pl.Int32})
    asked: dict[str, int] = data.manifest["mix"]["asked"]
    rows = [few.filter(subset=one).sample(count, with_replacement=True, seed=1) for one, count in asked.items()]
    file = f"mmaffin/parquet/{MIX}.parquet"
    for changed in (file, "manifest.json"):
        (out / changed).unlink()  # a link: writing to it would change the build
    pl.concat(rows).drop("subset").write_parquet(out / file)
    files = data.manifest["files"] | {file: data.manifest["files"][file] | {"sha256": sha256_of(out / file)}}
    mix = data.manifest["mix"] | {"rows": sum(asked.values())}
    manifest = data.manifest | {"mix": mix, "files": files, "data_hash": data_hash(files)}
    write_text(out / "manifest.json", json.dumps(manifest))


def main(data: Path, recipes: list[str]) -> None:
    """`plan` for every recipe, its notes and not its config."""
    with tempfile.TemporaryDirectory(dir=data.parent) as made:
        at_paper_size(Dataset.open(data), Path(made))
        for recipe in recipes:
            command = [str(Path(sys.executable).parent / "mmafflm"), "plan", recipe, "--data", made, "--gpus", "8"]
            print(recipe, flush=True)
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or ["mmafflm-3b", "mmafflm-7b"])
