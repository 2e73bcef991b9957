"""Candidate answers as a tree of tokens: a beginning that several of them share is stored, and computed, once.

The nine labels of XED, "1. joy" to "0. neutral", are 27 tokens, and every label has the same position after the prompt.
So the model processes the whole tree after its prompt in one pass. Each token attends to its ancestors and to no other
branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch


@dataclass
class Tree:
    """Tokens, parents before children; parent -1 is the prompt. A step is (preceding node, token that follows it)."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)  # 1 for the first token after the prompt
    paths: list[list[tuple[int, int]]] = field(default_factory=list)  # each candidate's steps, including the end token

    @classmethod
    def of(cls, answers: Sequence[Sequence[int]], end: int) -> "Tree":
        """Build the tree of the answers' tokens. `end` follows each answer; it is only predicted, so it has no node."""
        tree, known = cls(), {}  # type: Tree, dict[tuple[int, int], int]
        for answer in answers:
            before, path = -1, []
            for token in answer:
                step = (before, token)
                path.append(step)
                if step not in known:
                    known[step] = len(tree.tokens)
                    tree.tokens.append(token)
                    tree.parents.append(before)
                    tree.depths.append(len(path))
                before = known[step]
            tree.paths.append([*path, (before, end)])
        return tree

    def ancestry(self) -> torch.Tensor:
        """A mask (nodes, nodes): True where the second node is the first node itself or one of its ancestors."""
        size = len(self.tokens)
        seen = torch.eye(size, dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen

    def weigh(self, logits: torch.Tensor) -> list[float]:
        """Each candidate's log-likelihood for one row.

        logits: those after the prompt and after each node, (1 + nodes, vocabulary).
        """
        logits = logits.float()
        total = logits.logsumexp(-1)
        before = [node + 1 for path in self.paths for node, _ in path]
        after = [token for path in self.paths for _, token in path]
        steps = iter((logits[before, after] - total[before]).tolist())
        return [sum(islice(steps, len(path))) for path in self.paths]
