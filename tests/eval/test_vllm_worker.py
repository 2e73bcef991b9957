"""What a tree of answers sees of vLLM's cache, in both orders that it has there; vLLM itself runs in test_vllm.py."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from eval.engines.tree import Tree
from eval.engines.vllm_worker import NODES, TOKENS, Held, Past, TreeWeigher, _held, _together

BLOCK, HEADS, HEAD = 4, 2, 3
LENGTHS = (1, 4, 5, 8, 11)  # of prompts: their ends fall before, on and behind the end of a block
END = 99


def blocks_of(prompt: torch.Tensor, columns: bool) -> torch.Tensor:
    """A prompt's keys and values (tokens, heads, 2, head size) as a cache has them, what is not filled as garbage."""
    missing = -len(prompt) % BLOCK
    filled = torch.cat([prompt, torch.full((missing, *prompt.shape[1:]), torch.nan)]).unflatten(0, (-1, BLOCK))
    blocks = filled.transpose(1, 2)  # (blocks, heads, tokens, 2, head size)
    if not columns:
        return blocks.flatten(3)
    keys, values = blocks.unbind(3)
    return torch.cat([keys.mT.flatten(2), values.flatten(2)], 2).unflatten(2, (BLOCK, 2 * HEAD))


@pytest.mark.parametrize("columns", [False, True])
def test_a_tree_sees_all_of_its_prompt_and_nothing_else(columns: bool) -> None:
    torch.manual_seed(0)
    prompts = [torch.randn(length, HEADS, 2, HEAD) for length in LENGTHS]
    made = [blocks_of(prompt, columns) for prompt in prompts]
    cache = torch.cat(made)
    order = torch.randperm(len(cache))
    where = torch.argsort(order).split([len(one) for one in made])
    spare = [[*numbers.tolist(), 0] for numbers in where]  # one more, for what is answered meanwhile
    rows = [Held(length, 7, length - 1, blocks) for length, blocks in zip(LENGTHS, spare, strict=True)]
    tree = Tree.of([[1, 2], [1, 3], [4]], END)
    past = Past.of(rows, tree, BLOCK, "cpu")
    keys, values = past.keys_values(cache[order], columns)
    assert keys.shape == values.shape == (len(rows), HEADS, 3 * BLOCK, HEAD)
    nodes = len(tree.tokens)
    for row, prompt in enumerate(prompts):
        before = len(prompt) - 1  # the last is the root
        seen = torch.stack([keys[row, :, :before], values[row, :, :before]], 2)
        assert torch.equal(seen, prompt[:before].transpose(0, 1))
        mask = past.mask[row, 0]
        assert mask[:, :before].all() and not mask[:, before : 3 * BLOCK].any()
        below = mask[:, 3 * BLOCK :]
        assert below[:, 0].all() and not below[0, 1:].any() and torch.equal(below[1:, 1:], tree.ancestry())
        assert mask.shape == (1 + nodes, 3 * BLOCK + 1 + nodes)


def test_prompts_go_together_as_far_as_there_is_room() -> None:
    lengths = [100, TOKENS // 2, 50, TOKENS + 1, 7, 7, 7]
    held = [Held(length, 0, 0, []) for length in lengths]

    def groups(nodes: int) -> list[list[int]]:
        return [[one.length for one in rows] for rows in _together(held, Tree.of([range(nodes)], END))]

    assert groups(3) == [lengths[:2], [50], [TOKENS + 1], [7, 7, 7]]
    assert groups(NODES // 2 - 1) == [lengths[:2], [50], [TOKENS + 1], [7, 7], [7]]
    assert groups(NODES) == [[length] for length in lengths]
    assert not list(_together([], Tree.of([[1]], END)))


def runner(computed: int, scheduled: int) -> Any:
    """vLLM's, behind a step that took 3 tokens of another prompt, and `scheduled` of one with 5 after `computed`."""
    prompt = SimpleNamespace(prompt_token_ids=[11, 12, 13, 14, 15], mrope_position_delta=-2, block_ids=([8, 9],))
    batch = SimpleNamespace(req_id_to_index={"other": 0, "one": 1}, num_computed_tokens_cpu=np.array([0, computed]))
    starts = SimpleNamespace(np=np.array([0, 3, 3 + scheduled, 0]))
    return SimpleNamespace(requests={"one": prompt, "gone": prompt}, input_batch=batch, query_start_loc=starts)


@pytest.mark.parametrize(("computed", "scheduled", "whole"), [(0, 5, True), (6, 1, True), (0, 4, False), (4, 1, True)])
def test_a_prompt_that_vllm_reads_again_is_not_held_yet(computed: int, scheduled: int, whole: bool) -> None:
    """Where its cache is full vLLM takes a prompt's blocks for another, and begins again with it later."""
    expected = Held(length=5, last=15, position=2, blocks=[8, 9])
    assert _held(runner(computed, scheduled), "one") == (expected if whole else None)
    assert _held(runner(computed, scheduled), "gone") is None  # it was not part of the step
    worker = TreeWeigher()
    worker.model_runner = runner(0, 4)
    assert worker.weigh_tree(["one", "gone"], [[1], [2]], END) == {}
