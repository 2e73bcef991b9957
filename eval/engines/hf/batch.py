"""Batches for the engine hf: rows padded on the left, and masks of the tokens that each token attends to."""

from typing import NamedTuple

import torch

from eval.engines.hf.vision import Pixels
from eval.engines.tree import Tree


class PromptRow(NamedTuple):
    """One question: token ids and positions (3, tokens), both without the shared beginning, and its pixels."""

    ids: list[int]
    positions: torch.Tensor
    look: Pixels | None


class Batch(NamedTuple):
    """Left-padded rows: tensors of shape (rows, longest); positions (3, rows, longest)."""

    ids: torch.Tensor
    real: torch.Tensor  # False for padding
    positions: torch.Tensor
    looks: tuple[Pixels, ...]  # the pixels of the rows that have any, in order

    def causal(self, dtype: torch.dtype) -> torch.Tensor:
        """A mask to add to the scores, (rows, 1, longest, longest).

        It is 0 for a token itself and the tokens before it, and the dtype's minimum for later tokens and padding.
        """
        longest = self.ids.shape[1]
        past = torch.ones(longest, longest, dtype=torch.bool, device=self.ids.device).tril()
        # Not -inf: without a shared beginning, padding attends to no token, so it would be NaN and spread to others.
        hidden = torch.zeros(len(self.ids), 1, longest, longest, dtype=dtype, device=self.ids.device)
        return hidden.masked_fill(~(past & self.real[:, None, None, :]), torch.finfo(dtype).min)

    def followed_by(self, tree: Tree, dtype: torch.dtype) -> tuple["Batch", torch.Tensor]:
        """Each row followed by the tree, and the mask: a token of the tree attends to its row and its ancestors.

        Tokens of equal depth have the same position; depth 1 follows the row's highest position.
        """
        prompt, device = self.ids.shape[1], self.ids.device
        tokens = torch.tensor(tree.tokens, device=device).expand(len(self.ids), -1)
        where = self.positions.amax((0, 2))[:, None] + torch.tensor(tree.depths, device=device)
        real = torch.cat([self.real, torch.ones_like(tokens, dtype=torch.bool)], 1)
        positions = torch.cat([self.positions, where.expand(3, -1, -1)], 2)
        whole = Batch(torch.cat([self.ids, tokens], 1), real, positions, self.looks)
        mask = whole.causal(dtype)
        mask[:, :, prompt:, prompt:].masked_fill_(~tree.ancestry().to(device), torch.finfo(dtype).min)
        return whole, mask
