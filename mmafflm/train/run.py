"""`mmafflm train`: writes the complete config to the run's folder, trains, and writes run.json next to the weights."""

import contextlib
import math
import platform
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from mmafflm.checkpoints import last_checkpoint, rename_weights
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_settings
from mmafflm.files.writing import make_folder
from mmafflm.hub import cached_commit, folder_of, require_hub_base, settings_of
from mmafflm.media.containers import require_safe_to_guess
from mmafflm.records import write_text
from mmafflm.run_file import ORIGINAL, POSITIONS, RUN, installed, read_run, write_run
from mmafflm.terminal.command import say
from mmafflm.train.launch.launch import cache_of, environment, failure, log_of, run
from mmafflm.train.launch.processes import roots_of, run_name
from mmafflm.train.launch.reporters import environment as reporters_environment
from mmafflm.train.launch.reporters import reporter_faults
from mmafflm.train.plan.fastest import plan_for
from mmafflm.train.plan.forecast import host_notes, require_disk
from mmafflm.train.plan.plan import Plan, gpus_here, plan
from mmafflm.train.plan.token_counts import media_of_mix
from mmafflm.train.readme import write_readme
from mmafflm.train.stream.order import Rows
from mmafflm.train.stream.resume import REST, RESUMED, finish_from, replays, step_of, write_resumed
from mmafflm.train.stream.similar import training_order
from mmafflm.train.watch.nodes import AGAIN, Others, await_first
from mmafflm.train.watch.stall import FIRST_S, Stall
from mmafflm.train.watch.watch import Watch
from mmafflm.untrusted import require_harmless

CONFIG = "llamafactory.yaml"
VERSIONS = ("mmafflm", "llamafactory", "transformers", "torch", "deepspeed", "accelerate", "datasets", "tokenizers")


def train(
    recipe: Path,
    data: Dataset,
    out: Path,
    gpus: int | None = None,
    nodes: int = 1,
    node_rank: int = 0,
    master: str | None = None,
    base: str | None = None,
    fastest: str | None = None,
    seed: int | None = None,
    resume: bool = False,
) -> None:
    """Train a recipe on a build into OUT. Ctrl-C and SIGTERM first end every process of the run, then this one.

    fastest: the name of a card; the settings that are fastest on it replace the recipe's. seed: replaces the recipe's.
    Raises UsageFault when the command does not fit the recipe, OUT or the machine, Fault when data, base or run fail.
    """
    planned = plan_for(fastest, seed, partial(plan, recipe, data, gpus, nodes, base, out))
    for note in (*planned.notes, *host_notes(planned)):
        say(note)
    _require_machine(planned, node_rank)
    env = environment(planned, out, node_rank, master) | reporters_environment(planned, out)
    if finished(out) and resume:
        say(f"{out}: finished already; nothing to do.")
        return
    if node_rank:
        await_first(out)
    _refuse_folder(out, planned, data, resume, node_rank)
    require_disk(planned, out)
    _require_base(planned)
    _require_media(data)
    order = training_order(planned, data)
    make_folder(out)
    _train(planned, data, order, out, env, node_rank, resume)


def _require_machine(planned: Plan, node_rank: int) -> None:
    """Raises UsageFault when this node's number, its services or its GPUs do not fit the plan."""
    if not 0 <= node_rank < planned.nodes:
        raise UsageFault(f"--node-rank {node_rank}: with --nodes {planned.nodes} it must be 0 to {planned.nodes - 1}.")
    if faults := reporter_faults(planned, node_rank):
        raise UsageFault(faults[0])
    if not planned.cpu and not planned.ray and gpus_here() < planned.gpus:
        raise UsageFault(
            f"{planned.recipe} needs {planned.gpus} GPUs on this machine, which has {gpus_here()}. Pass --gpus N, or "
            "train the recipe pocket, which runs on a CPU."
        )


def _require_media(data: Dataset) -> None:
    """Raises Fault for a media file of the mix that has changed, or whose format is not safe for FFmpeg to guess."""
    names = media_of_mix(data)
    data.require_media(names)
    require_safe_to_guess(data.path / name for name in sorted(names))


def _require_base(planned: Plan) -> None:
    """Raises Fault for a base model, or an adapter to start from, that LLaMA-Factory would load or save wrongly.

    transformers would use random weights where those of the base do not match its config. LLaMA-Factory downloads a hub
    base that is not on this machine yet; before that, we can check only its settings.
    """
    base = planned.config["model_name_or_path"]
    if not planned.base_is_local:
        require_hub_base(base)
    folder = folder_of(base)
    if folder is None:
        if settings := settings_of(base):
            require_harmless(settings)
        return
    from mmafflm.weights import check, check_adapter, kind_of  # torch takes seconds to import

    model = check(kind_of(folder), folder)
    if (adapter := planned.config.get("adapter_name_or_path")) and Path(adapter).is_dir():
        check_adapter(model, adapter)


def _train(
    planned: Plan, data: Dataset, order: Rows, out: Path, env: dict[str, str], node_rank: int, resume: bool
) -> None:
    """Train from the beginning, or from the last complete checkpoint.

    Of several nodes, only the first writes the files that all of them read.
    """
    first = node_rank == 0
    checkpoint = last_checkpoint(out, planned.ranks, aside=first) if resume else None
    # We cannot tell how an older version or llamafactory-cli started a run, nor how Ray starts workers elsewhere.
    original = not planned.ray and (checkpoint is None or POSITIONS in (read_run(out) or {}))
    if first:
        write_text(out / CONFIG, planned.to_yaml())
        _write_run(out, planned, data, original, finished=False)
    watch = Watch(out, data, planned, order, step_of(checkpoint) if checkpoint else 0) if first else None
    with _reason_kept(out) if first else contextlib.nullcontext(), watch or contextlib.nullcontext():
        if checkpoint is None and not planned.similar_lengths:
            _launch(planned, out, out / CONFIG, env, node_rank, watch)
        elif checkpoint is None or step_of(checkpoint) < planned.config["max_steps"]:
            if first and checkpoint and "deepspeed" not in planned.config:
                rename_weights(checkpoint)
            if first:
                write_resumed(planned, data, order, out, checkpoint)
            _launch(planned, out, out / RESUMED, env, node_rank, watch)
        elif first:
            finish_from(checkpoint, out)
    if first:
        shutil.rmtree(out / REST, ignore_errors=True)
        _write_run(out, planned, data, original, finished=True)
        write_readme(out, planned)
        say(f"{out}: trained {planned.config['max_steps']} steps, {planned.examples} examples, each once.")
    if watch:
        watch.finish()


@contextlib.contextmanager
def _reason_kept(out: Path) -> Iterator[None]:
    """Write the sentence of a Fault that ends the run into run.json, as `ended`; `--resume` writes run.json anew."""
    try:
        yield
    except Fault as fault:
        with contextlib.suppress(Fault, OSError):  # on a full disk, only the terminal gets the sentence
            write_run(out, (read_run(out) or {}) | {"ended": str(fault)})
        raise


def _launch(planned: Plan, out: Path, config: Path, env: dict[str, str], node_rank: int, watch: Watch | None) -> None:
    """Run LLaMA-Factory to its end. Raises Fault when it fails, hangs or diverges, and when another node does."""
    # A resumed run that does not stream first reads the earlier rows again, which takes an unknown time and writes
    # nothing. Without a progress bar nothing is written either.
    silent = (config.name == RESUMED and replays(planned.config)) or planned.config.get("disable_tqdm")
    others, stall = Others(planned, out, node_rank), Stall(out, node_rank, math.inf if silent else FIRST_S)
    shutil.rmtree(cache_of(out, node_rank), ignore_errors=True)  # left by a run that was killed

    def beat() -> None:
        if watch:
            watch.beat()
        if why := stall.beat():
            raise Fault(watch.hangs(why) if watch else f"{out}: stopped, {why}. Look at the other nodes, and {AGAIN}")

    if code := run(config, out, env, node_rank, beat):
        raise others.first(failure(log_of(out, node_rank), code))
    shutil.rmtree(cache_of(out, node_rank), ignore_errors=True)  # the Arrow copy of the mix


def finished(out: Path) -> bool:
    """Whether OUT holds a finished run. Raises Fault when its run.json is not that of a training run."""
    described = read_run(out)
    if described is None:
        return False
    if "finished" not in described:
        raise Fault(f"{out / RUN}: not the run.json of a training run. Choose another --out.")
    return bool(described["finished"])


def _refuse_folder(out: Path, planned: Plan, data: Dataset, resume: bool, node_rank: int) -> None:
    """Raises UsageFault when OUT holds a run that this command must not change."""
    if out.exists() and not out.is_dir():
        raise UsageFault(f"{out}: is a file, but --out must be a folder.")
    if living := roots_of(run_name(out, node_rank)):
        raise UsageFault(f"{out}: still being trained. Wait, or stop it: kill {' '.join(map(str, living))}")
    if not resume:
        if node_rank == 0 and ((out / RUN).exists() or any(out.glob("checkpoint-*"))):
            raise UsageFault(f"{out}: already holds a run. Resume it with --resume, or choose another --out.")
        return
    if not (out / CONFIG).exists():
        say(f"{out}: no run to resume; starting at the beginning.")
        return
    if (begun := read_run(out)) and begun.get("data_hash") != data.hash:
        raise UsageFault(
            f"{out}: was started on other data than {data.path} holds now. Pass that data, or choose another --out."
        )
    before = read_settings(out / CONFIG, "Choose another --out.")
    differ = sorted(key for key in before.keys() | planned.config if before.get(key) != planned.config.get(key))
    if begun and begun.get("similar_lengths", False) != planned.similar_lengths:
        differ.append("similar_lengths")
    if differ:
        raise UsageFault(
            f"{out}: was started with another {', '.join(differ)}, and a run must not change midway. "
            "Resume it with the command that started it, or choose another --out."
        )


def _write_run(out: Path, planned: Plan, data: Dataset, original: bool, finished: bool) -> None:
    """Write run.json. original: all steps are trained with the original positions of text after clips."""
    config = planned.config
    row: dict[str, Any] = {
        "schema": 1,
        "finished": finished,
        "recipe": str(planned.recipe),
        "base": config["model_name_or_path"],
        "template": config["template"],
        "seed": config.get("seed", 42),
        "budget": planned.budget.to_json(),
        "cutoff_len": config.get("cutoff_len"),
        "data": str(data.path.resolve()),
        "data_hash": data.hash,
        "mix_rows": planned.mix.rows,
        "mix_videos": planned.mix.videos,
        "examples": planned.examples,
        "max_steps": config["max_steps"],
        "global_batch": planned.global_batch,
        "ranks": planned.ranks,
        "similar_lengths": planned.similar_lengths,
        "versions": {"python": platform.python_version(), **installed(*VERSIONS)},
    }
    if not planned.base_is_local and (commit := cached_commit(config["model_name_or_path"])):
        row["base_commit"] = commit  # for a base that is still to be downloaded, this is known at the end of the run
    write_run(out, row | {POSITIONS: ORIGINAL} if original else row)
