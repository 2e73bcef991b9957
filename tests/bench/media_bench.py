"""LLaMA-Factory's input pipeline over 720p clips, as mp4 and as the build's frames; and the build's own speed.

Tokenizes, loads and collates in one process, like a data loader worker; the pixels must be identical.
"""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from data_build.media.extract import MediaTask, extract, media_workers, take
from data_build.media.journal import Taken
from data_build.reading.corpus import RawMedia
from data_build.reading.raw import list_raw
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.records import write_jsonl, write_text
from mmafflm.standin.standin import make_standin
from tests.budget import BUDGET
from tests.media_files import clip_bytes, write

CLIPS = 24
FRAMES, FPS, SIZE = 75, 25, (1280, 720)  # 3 s, like an utterance of MELD
DIFFERENT = 6  # clips that are encoded; the others are copies, which makes no difference to the decoder


def write_rows(folder: Path, name: str, videos: list[Any]) -> None:
    """A data set in LLaMA-Factory's form under `name`."""
    task = benchmark()["MELD_EC"].tasks[0]
    turns = [
        [{"role": "user", "content": task.ask(f"Utterance {number}.")}, {"role": "assistant", "content": "0. neutral"}]
        for number in range(len(videos))
    ]
    write_jsonl(
        folder / f"{name}.jsonl",
        ({"messages": turn, "videos": [video]} for turn, video in zip(turns, videos, strict=True)),
    )


def pipeline(folder: Path, nano: Path, name: str) -> tuple[float, list[torch.Tensor]]:
    """Seconds of one pass over the set, and the pixels of each clip."""
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer

    config = {
        "model_name_or_path": str(nano), "template": "qwen2_vl", "stage": "sft", "do_train": True,
        "finetuning_type": "full", "dataset": name, "dataset_dir": str(folder), "media_dir": str(folder),
        "streaming": True, "max_steps": 1, "dataloader_num_workers": 1, "cutoff_len": 4096, "use_cpu": True,
        "output_dir": str(folder / "out"), "report_to": "none", **BUDGET.to_json(),
    }  # fmt: skip
    model_args, data_args, training_args, finetuning_args, _ = get_train_args(config)
    module = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data_args)
    model = load_model(module["tokenizer"], model_args, finetuning_args, False)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **module)["train_dataset"]
    collate = SFTDataCollatorWith4DAttentionMask(template=template, model=model, label_pad_token_id=-100, **module)
    began = time.perf_counter()
    seen = [collate([row])["pixel_values_videos"] for row in rows]
    return time.perf_counter() - began, seen


def main() -> None:
    """Print both ratios."""
    torch.set_num_threads(1)  # a data loader worker has one thread
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_standin("nano", folder / "nano")
        different = [clip_bytes(FRAMES + number, FPS, SIZE, colourful=True) for number in range(DIFFERENT)]
        for number in range(CLIPS):
            write(folder / f"raw/clip{number}.mp4", different[number % DIFFERENT])
        files = {file.name: file for file in list_raw(folder / "raw")}
        media = {name: RawMedia("video", name) for name in files}
        with media_workers(1) as workers:
            taken = extract("bench", [one.to_json() for one in media.values()], files, folder, workers, BUDGET)
        frames = {json.loads(text)["file"]: one for text, one in taken.items()}
        _extraction(folder, media)
        names = sorted(files)
        write_rows(folder, "mp4", [f"raw/{name}" for name in names])
        write_rows(folder, "frames", [[file for file, _, _ in frames[name].files] for name in names])
        info = {
            name: {"file_name": f"{name}.jsonl", "formatting": "sharegpt",
                   "columns": {"messages": "messages", "videos": "videos"},
                   "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                            "assistant_tag": "assistant"}}
            for name in ("mp4", "frames")
        }  # fmt: skip
        write_text(folder / "dataset_info.json", json.dumps(info))
        pipeline(folder, folder / "nano", "frames")  # imports and caches
        clip_s, of_clips = pipeline(folder, folder / "nano", "mp4")
        frame_s, of_frames = pipeline(folder, folder / "nano", "frames")
    same = all(torch.equal(a, b) for a, b in zip(of_clips, of_frames, strict=True))
    print(f"input pipeline, {CLIPS} clips of {FRAMES / FPS:g} s at {SIZE[0]} x {SIZE[1]}: mp4 "
          f"{clip_s / CLIPS * 1e3:.1f} ms a clip, frames {frame_s / CLIPS * 1e3:.1f} ms, ratio {clip_s / frame_s:.1f}; "
          f"pixels {'identical' if same else 'DIFFERENT'}")  # fmt: skip


def _extraction(folder: Path, media: dict[str, RawMedia]) -> None:
    """Decode, scale and store in this process: the speed of one core."""
    began = time.perf_counter()
    results = [
        take(MediaTask(f"again{number}", one, f"again{number}", str(folder), str(folder / "raw" / name)))
        for number, (name, one) in enumerate(media.items())
    ]
    took = time.perf_counter() - began
    assert all(isinstance(one, Taken) and one.files for one in results)
    seconds = sum((FRAMES + number % DIFFERENT) / FPS for number in range(len(media)))
    print(f"extraction: {took / len(media) * 1e3:.0f} ms a clip, {seconds / took:.1f} times real time on one core")


if __name__ == "__main__":
    main()
