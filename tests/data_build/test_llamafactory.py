"""Load every split and the mix with LLaMA-Factory's own loader, and compare the tokens with those that we intend."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmafflm.dataset import MIX, Dataset, split_file
from mmafflm.records import Record, read_records

pytest.importorskip("llamafactory")

MARKS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}


class Loader:
    """LLaMA-Factory's get_dataset for one build, called as in training: streaming, template qwen2_vl."""

    def __init__(self, data: Path, base: Path, scratch: Path) -> None:
        from llamafactory.data import get_template_and_fix_tokenizer
        from llamafactory.hparams import get_train_args
        from llamafactory.model import load_tokenizer

        self.config: dict[str, Any] = {
            "stage": "sft", "do_train": True, "finetuning_type": "full", "model_name_or_path": str(base),
            "template": "qwen2_vl", "dataset_dir": str(data / "mmaffin"), "media_dir": str(data), "streaming": True,
            "max_steps": 1, "cutoff_len": 4096, "image_max_pixels": 262144, "video_max_pixels": 16384,
            "dataloader_num_workers": 1, "buffer_size": 1, "output_dir": str(scratch / "run"),
            "cache_dir": str(scratch / "cache"),
            "accelerator_config": {"dispatch_batches": False}, "report_to": "none",
        }  # fmt: skip
        self.parse = get_train_args
        self.model_args, data_args, *_ = get_train_args({**self.config, "dataset": MIX})
        self.module = load_tokenizer(self.model_args)
        self.template = get_template_and_fix_tokenizer(self.module["tokenizer"], data_args)

    def rows(self, name: str) -> list[dict[str, Any]]:
        from llamafactory.data import get_dataset

        _, data_args, training_args, *_ = self.parse({**self.config, "dataset": name})
        loaded = get_dataset(self.template, self.model_args, data_args, training_args, stage="sft", **self.module)
        return list(loaded["train_dataset"])

    def meant(self, record: Record) -> tuple[list[int], list[int]]:
        """The token ids of prompt and answer that we intend, with one mark for each picture or clip."""
        tokenizer = self.module["tokenizer"]
        text = record.prompt
        for kind, mark in MARKS.items():
            text = text.replace(f"<{kind}>", f"<|vision_start|>{mark}<|vision_end|>")
        system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        prompt = f"{system}<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
        answer = f"{record.answer}<|im_end|>"
        return tuple(tokenizer(part, add_special_tokens=False)["input_ids"] for part in (prompt, answer))


def with_single_marks(ids: list[int], marks: set[int]) -> list[int]:
    """The ids with each run of a vision token reduced to one; tests/mmafflm/media/test_budget.py tests their number."""
    return [token for at, token in enumerate(ids) if token not in marks or at == 0 or ids[at - 1] != token]


@pytest.mark.slow
def test_every_split_and_the_mix_load_with_the_tokens_we_meant(few: Path, nano: Path, tmp_path: Path) -> None:
    data = few
    dataset, loader = Dataset.open(data), Loader(data, nano, tmp_path)
    names = {
        f"{subset}_{split}": split_file(subset, split)
        for subset, of in dataset.manifest["subsets"].items()
        for split in of
    }
    names[MIX] = dataset.manifest["mix"]["file"]
    assert set(json.loads((data / "mmaffin/dataset_info.json").read_text())) == set(names)
    marks = {loader.module["tokenizer"].convert_tokens_to_ids(mark) for mark in MARKS.values()}
    for name, file in names.items():
        records = list(read_records(data / file))
        rows = loader.rows(name)
        assert len(rows) == len(records), name
        for record, row in zip(records, rows, strict=True):
            prompt, answer = loader.meant(record)
            ids = with_single_marks(row["input_ids"], marks)
            assert ids[: len(prompt)] == prompt, record.id
            assert ids[len(prompt) :][: len(answer)] == answer, record.id
            learned = [label for label in row["labels"] if label != -100]
            assert learned[: len(answer)] == answer and len(learned) - len(answer) <= 1, record.id  # a line end
