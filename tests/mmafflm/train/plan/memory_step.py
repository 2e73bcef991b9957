"""One process that trains two steps of a small Qwen2.5-VL on the CPU and prints the memory that they took at the peak.

The method: everything is imported and a tiny model is trained first, so that libraries and thread pools are there;
then the resident set is the baseline, the kernel's high-water mark is put back (/proc/self/clear_refs), and model,
AdamW, a short step and one of two accumulated micro-batches follow. Printed: high-water mark less baseline, in bytes,
and the seconds of CPU that the steps took.
With MALLOC_MMAP_THRESHOLD_ at 64 KiB the allocator gives each freed tensor back to the kernel, as a GPU's allocator
would to its pool.
"""

import ctypes
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

MERGED = 4  # patches of a vision token


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def batch(config: Any, case: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Micro-batch of equally long examples; with vision tokens, each has one picture of a square grid."""
    micro, tokens, vision = case["micro"], case["tokens"], case["vision_tokens"]
    ids = torch.randint(20, config.text_config.vocab_size - 20, (micro, tokens))
    made = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
    if not vision:
        return made
    side = int(vision**0.5) * 2
    assert side * side == vision * MERGED
    ids[:, 0], ids[:, 1 : vision + 1] = config.vision_start_token_id, config.image_token_id
    made["pixel_values"] = torch.randn(micro * side * side, 1176)
    made["image_grid_thw"] = torch.tensor([[1, side, side]] * micro)
    made["mm_token_type_ids"] = (ids == config.image_token_id).int()
    return made


def train(config: Any, case: dict[str, Any]) -> float:
    """A short optimizer step, which makes the optimizer's state, and one of two whole micro-batches beside it.

    Returns the seconds of CPU that the two steps took, user's and system's.
    """
    model: Any = Qwen2_5_VLForConditionalGeneration(config)  # type: ignore[no-untyped-call]
    half = case.get("half", False)  # bf16 as pocket.yaml has it: what trains in fp32, the rest in bf16, under autocast
    if case["lora"]:
        from peft import LoraConfig, get_peft_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        found = [name for name, _ in model.named_modules() if name.split(".")[-1] in names and "visual" not in name]
        model = get_peft_model(model, LoraConfig(r=case["lora"], target_modules=found, task_type="CAUSAL_LM"))
    elif case["frozen"]:
        model.model.visual.patch_embed.requires_grad_(False)  # the projector trains, as LLaMA-Factory has it
        model.model.visual.blocks.requires_grad_(False)
        if half:
            model.model.visual.blocks.bfloat16()
    if case["checkpointing"]:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": True})
    model.train()
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])
    short = case | {"micro": 1, "tokens": 32, "vision_tokens": min(16, case["vision_tokens"])}
    began = time.process_time()
    for micro_batches in ([short], [case, case]):
        for one in micro_batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = model(**batch(config, one)).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.process_time() - began


def main() -> None:
    """Print the peak of the case that is the first argument, as JSON."""
    case = json.loads(sys.argv[1])
    torch.set_num_threads(1)  # two that spin beside another test take ten times as long
    sizes = json.loads(Path(case["config"]).read_text())
    small = sizes | {"text_config": sizes["text_config"] | {"num_hidden_layers": 1, "vocab_size": 512}}
    train(Qwen2_5_VLConfig(**small), case | {"micro": 1, "tokens": 32, "vision_tokens": 16})
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    baseline = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    cpu_s = round(train(Qwen2_5_VLConfig(**sizes), case), 1)
    print(json.dumps({"peak": status("VmHWM") - baseline, "baseline": baseline, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
