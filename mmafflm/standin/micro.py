"""How the stand-in micro differs from nano. micro learned from real pictures (docs/notebook/fer2013.md); nano did not.

- Each sentence of the benchmark's prompts is one token. So a question about a picture has 35 tokens instead of 139 (4
  are the picture's) and costs a quarter of the computation.
- Weights start with the standard deviation 1/sqrt(inputs), smaller where their outputs are added to the residual
  stream. transformers' 0.02 is a quarter of 1/sqrt(inputs) at these widths, and with it the first steps, which learn
  the form of the answers, ruined the vision tower.
- The biases of queries and keys start at random instead of 0, so every head attends to other positions from the start.
"""

import math
import re
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast

from mmafflm.benchmark.benchmark import benchmark

SYSTEM = "You are a helpful assistant."  # the family's system prompt
PLACEHOLDERS = re.compile(r"<image>|<video>|\{\w+\}|\n")
RESIDUAL = ("o_proj.weight", "down_proj.weight", "attn.proj.weight")  # their outputs are added to the residual stream
LOOKING = ("qkv.bias", "q_proj.bias", "k_proj.bias")
LOOKING_STD = 1.5
SEED = 0  # with another seed, micro had not begun to learn after 1,000 steps (docs/notebook/fer2013.md)


def add_sentences(tokenizer: PreTrainedTokenizerFast) -> None:
    """Add a token for SYSTEM, and for each text of several words between placeholders or line breaks of the prompts."""
    prompts = [task.prompt for subset in benchmark().values() for task in subset.tasks]
    lines = [line for prompt in prompts for line in PLACEHOLDERS.split(prompt)]
    tokenizer.add_tokens(list(dict.fromkeys(line for line in [*lines, SYSTEM] if len(line.split()) > 1)))


@torch.no_grad()
def draw_weights(model: Any, seed: int = SEED) -> None:
    """Give a Qwen2_5_VLForConditionalGeneration new random weight matrices and biases of queries and keys, in place.

    The same seed gives the same values.
    """
    draw, look = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    config = model.config
    depths = {True: config.vision_config.depth, False: config.text_config.num_hidden_layers}
    for name, weight in model.named_parameters():
        if weight.dim() > 1:
            inputs = weight.shape[1] if "embed_tokens" in name else weight[0].numel()
            layers = 2 * depths["visual" in name] if name.endswith(RESIDUAL) else 1
            weight.normal_(0, 1 / math.sqrt(inputs * layers), generator=draw)
        elif name.endswith(LOOKING):
            weight.normal_(0, LOOKING_STD, generator=look)
            if "qkv" in name:  # biases of queries, keys and values; those of values are 0
                weight[2 * len(weight) // 3 :] = 0
