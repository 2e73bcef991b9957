"""What vLLM's own processes do for a readout: weigh a tree of answers behind prompts that they have read.

vLLM asks one token after the other, or reads a prompt again from its last whole block on for every candidate. But what
it has read stands in its cache, so all candidates of many prompts go through the model in one pass, each token seeing
its prompt and its ancestors, as the engine hf does it (eval/engines/tree.py). vLLM mixes this class into its workers
(worker_extension_cls), and VllmEngine calls it between two steps while the prompts are held.

It reads the cache of vLLM's V1 model runner: a layer's blocks are [blocks, KV heads, tokens, 2 * head size], keys
before values, whatever their order in memory. The kernels for the CPU have the values behind all keys of a block, and
the keys in columns; those for AMX have an order of their own. What is read wrongly weighs wrongly, so VllmEngine has
the first question weighed without this class too, and does without it where the two differ.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from eval.engines.tree import Tree

# What is left of a GPU when vLLM has made its cache is little: room for a step of some thousand tokens.
TOKENS = 1 << 15  # of prompts that are weighed together: their keys and values of one layer are copied
NODES = 2048  # of their trees
POSITIONS = 256  # whose logits are there at a time


class Held(NamedTuple):
    """A prompt that a worker has read: its length, its last token, the position of that, and its cache's blocks."""

    length: int
    last: int
    position: int
    blocks: list[int]


class TreeWeigher:
    """Mixed into vLLM's Worker, whose model_runner it uses."""

    model_runner: Any

    def weigh_tree(self, names: list[str], answers: list[list[int]], end: int) -> dict[str, list[float]]:
        """ln P(answer, end | prompt) of each answer, for those of the running requests `names` that are still held.

        Empty where this worker has no logits (tensor parallel: only the first has them).
        """
        held = {name: one for name in names if (one := _held(self.model_runner, name))}
        tree = Tree.of(answers, end)
        with torch.inference_mode():
            logs = [
                found for rows in _together([*held.values()], tree) for found in _weigh(self.model_runner, rows, tree)
            ]
        return dict(zip(held, logs, strict=True)) if logs else {}


def _held(runner: Any, name: str) -> Held | None:
    """None when the blocks are another's, or not all read again: vLLM takes them back where its cache is too small."""
    batch, request = runner.input_batch, runner.requests[name]
    at, ids = batch.req_id_to_index.get(name), request.prompt_token_ids
    if at is None:  # the last step was taken without it
        return None
    began, ended = runner.query_start_loc.np[at : at + 2]
    if batch.num_computed_tokens_cpu[at] + ended - began < len(ids):
        return None
    return Held(len(ids), ids[-1], len(ids) - 1 + request.mrope_position_delta, request.block_ids[0])


def _together(held: Sequence[Held], tree: Tree) -> Iterator[list[Held]]:
    """Prompts in their order, so many that they are TOKENS when each is as long as the longest, and NODES behind."""
    rows: list[Held] = []
    most = max(1, NODES // (1 + len(tree.tokens)))
    longest = 0
    for one in held:
        longest = max(longest, one.length)
        if rows and (longest * (len(rows) + 1) > TOKENS or len(rows) == most):
            yield rows
            rows, longest = [], one.length
        rows.append(one)
    if rows:
        yield rows


def _weigh(runner: Any, rows: list[Held], tree: Tree) -> Iterator[list[float]]:
    """The tree behind each prompt. The prompt's last token is read again: the first tokens of the answers follow it."""
    model, device = runner.get_model(), runner.device
    language = model.language_model.model
    size = 1 + len(tree.tokens)
    ids = torch.tensor([[row.last, *tree.tokens] for row in rows], device=device)
    depths = torch.tensor([0, *tree.depths], device=device)
    places = torch.tensor([row.position for row in rows], device=device)[:, None] + depths
    places = places.flatten().expand(3, -1).contiguous()
    past = Past.of(rows, tree, language.layers[0].self_attn.attn.kv_cache.shape[2], device)
    hidden, residual = language.embed_input_ids(ids.flatten()), None
    for layer in language.layers:
        if residual is None:
            residual, hidden = hidden, layer.input_layernorm(hidden)
        else:
            hidden, residual = layer.input_layernorm(hidden, residual)
        hidden = _attention(layer.self_attn, places, hidden, past)
        hidden, residual = layer.post_attention_layernorm(hidden, residual)
        hidden = layer.mlp(hidden)
    hidden, _ = language.norm(hidden, residual)
    for some in hidden.split(size * max(1, POSITIONS // size)):
        logits = model.compute_logits(some)
        if logits is not None:
            yield from map(tree.weigh, logits.split(size))


class Past(NamedTuple):
    """What the tokens of a tree see of a prompt: its blocks, and the mask over them and the tree."""

    blocks: torch.Tensor  # (rows, blocks of the longest prompt)
    mask: torch.Tensor  # (rows, 1, 1 + nodes, tokens of the blocks + 1 + nodes), True is seen

    @classmethod
    def of(cls, rows: Sequence[Held], tree: Tree, block: int, device: Any) -> "Past":
        """`block` tokens stand in a block. A prompt's last token is the root of the tree and not read of the cache."""
        before = torch.tensor([row.length - 1 for row in rows], device=device)
        width = -(-max(row.length for row in rows) // block)
        blocks = [row.blocks[:width] + [0] * (width - len(row.blocks)) for row in rows]
        size = 1 + len(tree.tokens)
        mask = torch.zeros(len(rows), 1, size, width * block + size, dtype=torch.bool, device=device)
        mask[..., : width * block] = (torch.arange(width * block, device=device) < before[:, None])[:, None, None]
        mask[..., width * block] = True
        mask[..., 1:, width * block + 1 :] = tree.ancestry().to(device)
        return cls(torch.tensor(blocks, device=device), mask)

    def keys_values(self, cache: torch.Tensor, columns: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """A layer's keys and values of the prompts, (rows, KV heads, tokens, head size) each.

        columns: a block holds first all keys, each in a column, and then the values, as on a CPU.
        """
        found = cache[self.blocks].transpose(1, 2)  # (rows, KV heads, blocks, tokens, 2 * head size)
        if not columns:
            keys, values = found.chunk(2, -1)
        else:
            *_, tokens, both = found.shape
            keys, values = found.reshape(*found.shape[:-2], 2 * tokens, both // 2).chunk(2, -2)
            keys = keys.reshape(*keys.shape[:-2], both // 2, tokens).mT
        return keys.flatten(2, 3), values.flatten(2, 3)


def _attention(attention: Any, places: torch.Tensor, hidden: torch.Tensor, past: Past) -> torch.Tensor:
    """vLLM's own projections and positions around the attention of each row's tree to its prompt and itself."""
    rows, _, size, _ = past.mask.shape
    heads, of_keys, head = attention.num_heads, attention.num_kv_heads, attention.head_dim
    both, _ = attention.qkv_proj(hidden)
    query, key, value = both.split([attention.q_size, attention.kv_size, attention.kv_size], -1)
    query, key = attention.rotary_emb(places, query, key)
    cache = attention.attn.kv_cache
    keys, values = past.keys_values(cache, columns=cache.device.type == "cpu")
    keys = torch.cat([keys, key.reshape(rows, size, of_keys, head).transpose(1, 2)], 2)
    values = torch.cat([values, value.reshape(rows, size, of_keys, head).transpose(1, 2)], 2)
    # the queries that share a key as more tokens of one head: no key is copied for them
    shared = query.reshape(rows, size, of_keys, heads // of_keys, head).permute(0, 2, 3, 1, 4).flatten(2, 3)
    mask = past.mask.repeat(1, 1, heads // of_keys, 1)
    seen = torch.nn.functional.scaled_dot_product_attention(shared, keys, values, mask, scale=attention.scaling)
    seen = seen.reshape(rows, of_keys, heads // of_keys, size, head).permute(0, 3, 1, 2, 4)
    out: torch.Tensor = attention.o_proj(seen.reshape(rows * size, heads * head))[0]
    return out
