"""Train two steps of small models on the CPU, each in a fork, and print the peak memory that each took.

The method: first import everything, once for all cases. Each case is then a fork of this process. It trains a tiny
model, so that libraries and thread pools are loaded, takes the resident set as the baseline, resets the kernel's
high-water mark (/proc/self/clear_refs), and makes the model and AdamW, a short step, and a step of two accumulated
micro-batches, of which the first is short: the second meets its gradients, and has the peak. It prints the high-water
mark minus the baseline, in bytes, and the seconds of CPU that the steps took. With MALLOC_MMAP_THRESHOLD_ at 64 KiB
the allocator returns each freed tensor to the kernel, as a GPU's allocator returns it to its pool.
"""

import ctypes
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

MERGED = 4  # patches per vision token
WHOLE, WHOLE_TOKENS = ("internvl", "gemma3"), 256  # families whose pictures all have 256 tokens (a tile, for InternVL)


def status(name: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def batch(config: Any, case: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A micro-batch of equally long examples; with vision tokens, each has one picture with a square grid."""
    micro, tokens, vision = case["micro"], case["tokens"], case["vision_tokens"]
    ids = torch.randint(20, config.text_config.vocab_size - 20, (micro, tokens))
    made = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
    if config.model_type == "gemma3":
        made["token_type_ids"] = torch.zeros_like(ids)
    if not vision:
        return made
    ids[:, 1 : vision + 1] = config.image_token_id
    seen = (ids == config.image_token_id).int()
    if config.model_type in WHOLE:  # pictures of one size, each of WHOLE tokens
        side = config.vision_config.image_size
        width, height = side if isinstance(side, (list, tuple)) else (side, side)
        return made | {
            "pixel_values": torch.randn(micro * vision // WHOLE_TOKENS, 3, height, width),
            "token_type_ids": seen,
        }
    side = int(vision**0.5) * 2
    assert side * side == vision * MERGED
    ids[:, 0] = config.vision_start_token_id
    made["pixel_values"] = torch.randn(micro * side * side, 6 * config.vision_config.patch_size**2)
    made["image_grid_thw"] = torch.tensor([[1, side, side]] * micro)
    return made | {"mm_token_type_ids": seen}


def small(kind: str, vision: int) -> dict[str, int]:
    """The tokens of a short example, which has a picture when `vision` is not 0."""
    if kind in WHOLE and vision:
        return {"tokens": WHOLE_TOKENS + 16, "vision_tokens": WHOLE_TOKENS}
    return {"tokens": 32, "vision_tokens": min(16, vision)}


def train(config: Any, case: dict[str, Any]) -> float:
    """Take a short optimizer step, then one of two micro-batches, of which the second is full.

    Returns the seconds of CPU (user and system) that the two steps took.
    """
    model: Any = AutoModelForImageTextToText.from_config(config)
    half = case.get("half", False)  # bf16 as in pocket.yaml: trained weights in fp32, the rest in bf16, under autocast
    if case["lora"]:
        from peft import LoraConfig, get_peft_model

        names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        found = [name for name, _ in model.named_modules() if name.split(".")[-1] in names and "visual" not in name]
        model = get_peft_model(model, LoraConfig(r=case["lora"], target_modules=found, task_type="CAUSAL_LM"))
    elif case["frozen"]:
        model.model.visual.patch_embed.requires_grad_(False)  # the projector trains, as in LLaMA-Factory
        model.model.visual.blocks.requires_grad_(False)
        if half:
            model.model.visual.blocks.bfloat16()
    if case["checkpointing"]:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": True})
    model.train()
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad])
    short = case | {"micro": 1} | small(config.model_type, case["vision_tokens"])
    began = time.process_time()
    for micro_batches in ([short], [short, case]):  # the first makes the state, the second the gradients
        for one in micro_batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = model(**batch(config, one)).loss
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.process_time() - began


def measure(case: dict[str, Any]) -> None:
    """Print the peak of a case as a line of JSON."""
    sizes = json.loads(Path(case["config"]).read_text())
    least = sizes | {"text_config": sizes["text_config"] | {"num_hidden_layers": 1, "vocab_size": 512}}
    train(AutoConfig.for_model(**least), case | {"micro": 1} | small(sizes["model_type"], 16))
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    baseline = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    cpu_s = round(train(AutoConfig.for_model(**sizes), case), 1)
    print(json.dumps({"peak": status("VmHWM") - baseline, "baseline": baseline, "cpu_s": cpu_s}), flush=True)


def main() -> None:
    """Measure the cases in turn; the first argument is a list of them, as JSON."""
    torch.set_num_threads(1)  # two spinning threads next to another test take ten times as long
    gc.collect()
    gc.freeze()  # so that a fork's collections neither visit these objects nor copy their pages
    for case in json.loads(sys.argv[1]):
        child = os.fork()
        if child == 0:
            measure(case)
            os._exit(0)
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(code)


if __name__ == "__main__":
    main()
