"""`mmafflm export`: write a finished run as one complete model that needs no adapter, with run.json next to it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from mmafflm.errors import Fault, UsageFault
from mmafflm.families.find import architecture_of
from mmafflm.files.documents import read_settings
from mmafflm.files.writing import writing
from mmafflm.hub import folder_of
from mmafflm.records import write_text
from mmafflm.run_file import read_run, write_run
from mmafflm.terminal.command import say
from mmafflm.train.launch.launch import failure
from mmafflm.train.run import CONFIG, finished
from mmafflm.untrusted import require_harmless

EXPORT = "llamafactory_export.yaml"
LOG = "export.log"
SHARD_GB = 5
NEEDED = {"model_name_or_path", "template", "image_max_pixels", "video_max_pixels"}  # keys of the training's config


def export(run: Path, out: Path) -> None:
    """Merge RUN's adapter into its base (or copy the weights of a full run) into OUT, in the base's own precision.

    LLaMA-Factory merges on the CPU and needs host memory for about twice the model. Then we compare a merged model with
    base and adapter, and copied weights with their config. Exporting the same run again does nothing. Raises UsageFault
    when RUN is not a training run, and when OUT holds anything else. Raises Fault when RUN is not finished, when its
    files or those of its base are faulty, and when the merge fails. OUT then stays as it was.
    """
    described = read_run(run)
    if described is None:
        raise UsageFault(f"{run}: no run.json, so this is not a training run. Pass the --out folder of mmafflm train.")
    if not finished(run):
        raise Fault(f"{run}: not finished. Resume it: mmafflm train ... --out {shlex.quote(str(run))} --resume")
    config = _config(run, out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if out.is_dir() and (read_run(out) or {}).get("exported_from") == str(run.resolve()):
            say(f"{out}: exported from {run} already; nothing to do.")
            return
        raise UsageFault(
            f"{out}: holds something else than an export of this run. Choose another --out, or move it away."
        )
    for folder in filter(None, (run, folder_of(config["model_name_or_path"]))):
        require_harmless(folder)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with writing(out):
            partial.mkdir(parents=True)
        _launch(config | {"export_dir": str(partial.resolve())}, partial, out.with_name(f"{out.name}.{LOG}"))
        _require_model(config, partial)
        write_text(partial / EXPORT, yaml.safe_dump(config, sort_keys=True))
        write_run(partial, described | {"exported_from": str(run.resolve())})
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    say(f"{out}: exported the model of {run}, in {config['infer_dtype']}.")


def _require_model(config: dict[str, Any], folder: Path) -> None:
    """Raises Fault when the exported model is not complete, or when a merged one is not its base plus its adapter."""
    from mmafflm.train.merge_check import require_merged  # torch takes seconds to import
    from mmafflm.weights import check, kind_of

    if adapter := config.get("adapter_name_or_path"):
        require_merged(config["model_name_or_path"], Path(adapter), folder)
    else:
        check(kind_of(folder), folder)


def _config(run: Path, out: Path) -> dict[str, Any]:
    """LLaMA-Factory's export config, derived from the config that the run was trained with."""
    if not (run / CONFIG).exists():
        raise Fault(f"{run}: no {CONFIG}, so the settings of its training are unknown. Restore that file.")
    trained = read_settings(run / CONFIG, "Restore it.")
    if missing := sorted(NEEDED - trained.keys()):
        raise Fault(f"{run / CONFIG}: has no {', '.join(missing)}. Restore it.")
    base = str(trained["model_name_or_path"])
    size = architecture_of(base)
    config = {
        "model_name_or_path": base,
        "template": trained["template"],
        "finetuning_type": trained.get("finetuning_type", "lora"),
        "infer_dtype": size.dtype if size else "bfloat16",
        "export_dir": str(out.resolve()),
        "export_device": "cpu",
        "export_size": SHARD_GB,
        "trust_remote_code": False,
        # The processor's files have limits of their own. These are the limits of the training.
        "image_max_pixels": trained["image_max_pixels"],
        "video_max_pixels": trained["video_max_pixels"],
    }
    if config["finetuning_type"] != "lora":
        return config | {"model_name_or_path": str(run.resolve())}
    if not (run / "adapter_config.json").exists():
        raise Fault(f"{run}: no adapter_config.json in a LoRA run. Resume the run, or copy the folder again.")
    if Path(base).is_absolute() and not Path(base).is_dir():
        raise Fault(f"{run}: its base {base} is missing. Put it back; an adapter needs its base.")
    return config | {"adapter_name_or_path": str(run.resolve())}


def _launch(config: dict[str, Any], out: Path, path: Path) -> None:
    """Export with LLaMA-Factory. Raises Fault when it is not installed or fails; only then its log, `path`, is kept."""
    cli = Path(sys.executable).parent / "llamafactory-cli"
    if not cli.exists():
        raise Fault(f"{cli}: not found. Exporting needs LLaMA-Factory: make setup")
    write_text(out / EXPORT, yaml.safe_dump(config, sort_keys=True))
    env = dict(os.environ)
    if Path(config["model_name_or_path"]).is_dir():
        env |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    with path.open("wb") as log:
        log.write(f"\n$ {shlex.join([str(cli), 'export', EXPORT])}\n".encode())
        log.flush()
        done = subprocess.run(
            [str(cli), "export", str(out / EXPORT)],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise failure(path, done.returncode, "export")
    path.unlink()
