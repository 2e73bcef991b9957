"""Attention over a beginning that all rows of a batch share, without a copy of it per row.

transformers' own attention repeats keys and values for every row, query head and token. With the stand-in model pocket
this takes 90% of a decoding step on a CPU. Here one matrix product handles the shared keys for the whole batch, and
each row's own keys are in a buffer that is allocated once.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface

NAME = "mmaffben_shared"

Layer = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer, each (key-value heads, tokens, head size)."""


class KeyValues:
    """The keys and values of a batch: the shared beginning, and each row's own. Replaces transformers' cache."""

    def __init__(self, beginning: Sequence[Layer], room: int) -> None:
        self.beginning = beginning
        self.room = room  # the most tokens of its own that a row will have
        self.own: dict[int, list[torch.Tensor]] = {}  # by layer: keys, values; each (rows, heads, room, head size)
        self.filled: dict[int, int] = {}

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any) -> Layer:
        """Add keys and values (rows, heads, new, head size) to a layer; returns all that the rows have added so far."""
        rows, heads, new, size = keys.shape
        if layer not in self.own:
            self.own[layer] = [keys.new_empty(rows, heads, self.room, size) for _ in range(2)]
            self.filled[layer] = 0
        start, end = self.filled[layer], self.filled[layer] + new
        for buffer, part in zip(self.own[layer], (keys, values), strict=True):
            buffer[:, :, start:end] = part
        self.filled[layer] = end
        own = self.own[layer]
        return own[0][:, :, :end], own[1][:, :, :end]

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only these rows."""
        for layer, buffers in self.own.items():
            self.own[layer] = [buffer[rows] for buffer in buffers]

    @classmethod
    def join(cls, parts: Sequence["KeyValues"], room: int) -> "KeyValues":
        """Concatenate the rows of several KeyValues; rows with fewer tokens get zeros on the left."""
        whole = cls(parts[0].beginning, room)
        for layer in parts[0].own:
            longest = max(part.filled[layer] for part in parts)
            whole.filled[layer] = longest
            whole.own[layer] = []
            for which in range(2):
                one = parts[0].own[layer][which]
                buffer = one.new_zeros(
                    sum(len(part.own[layer][which]) for part in parts), one.shape[1], room, one.shape[3]
                )
                at = 0
                for part in parts:
                    own, filled = part.own[layer][which], part.filled[layer]
                    buffer[at : at + len(own), :, longest - filled : longest] = own[:, :, :filled]
                    at += len(own)
                whole.own[layer].append(buffer)
        return whole

    def as_beginning(self) -> list[Layer]:
        """The first row's own keys and values, as the shared beginning of another batch."""
        ends = self.filled
        return [(keys[0, :, : ends[layer]], values[0, :, : ends[layer]]) for layer, (keys, values) in self.own.items()]


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    memory: KeyValues,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' attention interface: query (rows, heads, new, size) -> (rows, new, heads, size).

    attention_mask is added to the scores of a row's own keys: (rows, 1, new or 1, own). Every token attends to all of
    the shared beginning.
    """
    shared = memory.beginning[module.layer_idx] if memory.beginning else (key[0, :, :0], value[0, :, :0])
    query = query * scaling
    rows, heads, new, size = query.shape
    few, tokens = key.shape[1], shared[0].shape[1]
    many = heads // few * new  # query heads of one key-value head, times tokens
    query = query.reshape(rows, few, many, size)
    together = query.transpose(0, 1).reshape(few, rows * many, size)
    of_shared = (together @ shared[0].transpose(1, 2)).view(few, rows, many, tokens).transpose(0, 1)
    of_own = (query @ key.transpose(2, 3)).view(rows, few, -1, new, key.shape[2]) + attention_mask[:, :, None]
    scores = torch.cat([of_shared, of_own.view(rows, few, many, -1)], -1)
    weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
    seen = weights[..., tokens:] @ value
    if tokens:
        first = weights[..., :tokens].transpose(0, 1).reshape(few, rows * many, tokens) @ shared[1]
        seen = seen + first.view(few, rows, many, size).transpose(0, 1)
    return seen.view(rows, heads, new, size).transpose(1, 2), None


AttentionInterface.register(NAME, attend)
