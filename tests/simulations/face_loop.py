"""Train a stand-in on FER2013 in a plain torch loop, without LLaMA-Factory: docs/notebook/fer2013.md has the figures.

    python -m tests.simulations.face_loop head CKPT DATA                 # a linear head on the frozen vision tower
    python -m tests.simulations.face_loop head CKPT DATA --mean          # the head sees the mean of a picture's tokens
    python -m tests.simulations.face_loop head CKPT DATA --before 100    # after 100 steps at 2e-3 with --short
    python -m tests.simulations.face_loop model CKPT DATA --short --rate 7e-4 --beta2 0.95

CKPT is made by `mmafflm standin`, DATA a build with FER2013. Prompts, pictures and answers are the record's own, by the
processor of the checkpoint. AdamW, weight decay 0.1, gradient norm clipped at 1, a cosine schedule after 20 steps of
warm-up, one seed. "label loss" is that of the first token of the answer, which names the class: its mean over the last
50 steps. "accuracy" is that of the class with the highest score, for 1,024 test pictures.
"""

import argparse
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from eval.engines import Question
from eval.engines.hf.generic import GenericPath
from eval.run.checkpoint import find_checkpoint
from mmafflm.dataset import Dataset
from mmafflm.records import Record

BATCH, WARM, LAST, TESTS = 32, 20, 50, 1024
SHORT = 6  # tokens of the prompt's end that --short keeps besides the picture


class Faces:
    """FER2013's questions as the model's input, with the answer's tokens at the end."""

    def __init__(self, path: GenericPath, short: bool) -> None:
        self.path, self.short = path, short
        self.image = path.model.config.image_token_id

    def batch(self, rows: list[Record]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Inputs, and the tokens of the answers: (rows, tokens), -100 where an answer is shorter than the longest."""
        made = dict(self.path.inputs([Question(row.prompt, tuple(row.images)) for row in rows]))
        ids = made.pop("input_ids")
        if self.short:
            seen = (ids[0] == self.image).nonzero().flatten()
            ids = torch.cat([ids[:, seen[0] - 1 : seen[-1] + 2], ids[:, -SHORT:]], 1)
        answers = [[*self.path.tokenizer(row.answer)["input_ids"], self.path.end_of_turn()] for row in rows]
        longest = max(map(len, answers))
        wanted = torch.tensor([[*one, *[-100] * (longest - len(one))] for one in answers])
        made["input_ids"] = torch.cat([ids, wanted.clamp(min=0)], 1)
        made["attention_mask"] = torch.ones_like(made["input_ids"])
        made["mm_token_type_ids"] = (made["input_ids"] == self.image).long()
        return made, wanted

    def scores(self, rows: list[Record]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits where the answer's tokens are predicted (rows, tokens, vocabulary), and those tokens."""
        made, wanted = self.batch(rows)
        return self.path.model(**made).logits[:, -wanted.shape[1] - 1 : -1], wanted

    def tokens(self, rows: list[Record]) -> torch.Tensor:
        """The tower's output: (rows, tokens of a picture, width)."""
        made = self.path.inputs([Question(row.prompt, tuple(row.images)) for row in rows])
        return torch.stack(
            self.path.model.model.get_image_features(made["pixel_values"], made["image_grid_thw"]).pooler_output
        )


def batches(rows: list[Record], steps: int, seed: int) -> Iterator[list[Record]]:
    """Rows in a random order, all of them before any comes again."""
    order = random.Random(seed)
    drawn: list[Record] = []
    for _ in range(steps):
        if len(drawn) < BATCH:
            drawn = order.sample(rows, len(rows))
        yield [drawn.pop() for _ in range(BATCH)]


def trained(weights: list[Any], losses: Any, rows: list[Record], steps: int, asked: argparse.Namespace) -> float:
    """Train these weights. `losses` gives the loss and the label loss of a batch. The mean of the last label losses."""
    step = torch.optim.AdamW(weights, lr=asked.rate, betas=(0.9, asked.beta2), weight_decay=0.1)
    pace = [min((at + 1) / WARM, (1 + math.cos(math.pi * at / steps)) / 2) for at in range(steps + 1)]
    rates = torch.optim.lr_scheduler.LambdaLR(step, pace.__getitem__)
    last: list[float] = []
    for some in batches(rows, steps, asked.seed):
        loss, label = losses(some)
        step.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        step.step()
        rates.step()
        last.append(label.item())
    return sum(last[-LAST:]) / len(last[-LAST:])


def whole_model(faces: Faces, rows: list[Record], steps: int, asked: argparse.Namespace) -> float:
    """Train all weights on the answers. The label loss."""

    def losses(some: list[Record]) -> tuple[torch.Tensor, torch.Tensor]:
        scores, wanted = faces.scores(some)
        return cross_entropy(scores.flatten(0, 1), wanted.flatten()), cross_entropy(scores[:, 0], wanted[:, 0])

    return trained(list(faces.path.model.parameters()), losses, rows, steps, asked)


@torch.no_grad()
def accuracy(found: Any, tests: list[Record]) -> float:
    """The share of the tests whose class `found` gives."""
    parts = [tests[at : at + 64] for at in range(0, len(tests), 64)]
    return sum(int(found(part).sum()) for part in parts) / len(tests)


def head(faces: Faces, rows: list[Record], tests: list[Record], asked: argparse.Namespace) -> tuple[float, float]:
    """Train a linear head on the frozen tower. The label loss and the accuracy."""
    if asked.before:
        whole_model(faces, rows, asked.before, argparse.Namespace(rate=2e-3, beta2=0.999, seed=asked.seed))
    classes = sorted({row.answer for row in rows})

    @torch.no_grad()
    def seen(some: list[Record]) -> torch.Tensor:
        tokens = faces.tokens(some)
        return tokens.mean(1) if asked.mean else tokens.flatten(1)

    def gold(some: list[Record]) -> torch.Tensor:
        return torch.tensor([classes.index(row.answer) for row in some])

    norm = float(faces.tokens(tests[:64]).detach().norm(dim=-1).mean())
    print(f"the mean norm of a vision token: {norm:.2f}")
    torch.manual_seed(asked.seed)
    linear = torch.nn.Sequential(torch.nn.LayerNorm(seen(rows[:2]).shape[1]), torch.nn.LazyLinear(len(classes)))
    linear(seen(rows[:2]))

    def losses(some: list[Record]) -> tuple[torch.Tensor, torch.Tensor]:
        loss = cross_entropy(linear(seen(some)), gold(some))
        return loss, loss

    label = trained(list(linear.parameters()), losses, rows, asked.steps, asked)
    return label, accuracy(lambda some: linear(seen(some)).argmax(1) == gold(some), tests)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulations.face_loop")
    parser.add_argument("what", choices=("head", "model"))
    parser.add_argument("ckpt")
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=300, help="of 32 rows")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--beta2", type=float, default=0.999)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help=f"of the prompt, only the picture and {SHORT} last tokens")
    parser.add_argument("--mean", action="store_true")
    parser.add_argument("--before", type=int, default=0)
    asked = parser.parse_args()
    data = Dataset.open(asked.data)
    path = GenericPath(find_checkpoint(asked.ckpt), "float32", data.path, data.budget)
    faces = Faces(path, asked.short or bool(asked.before))
    rows = [*data.records("FER2013", "train")]
    tests = random.Random(asked.seed).sample([*data.records("FER2013", "test")], TESTS)
    if asked.what == "head":
        label, right = head(faces, rows, tests, asked)
    else:
        label = whole_model(faces, rows, asked.steps, asked)

        def found(some: list[Record]) -> torch.Tensor:
            scores, wanted = faces.scores(some)
            return scores[:, 0].argmax(1) == wanted[:, 0]

        right = accuracy(found, tests)
    print(f"{asked.steps * BATCH} rows: label loss {label:.3f}, accuracy {right:.3f}", flush=True)


if __name__ == "__main__":
    main()
