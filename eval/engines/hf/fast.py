"""The engine hf's fast path, for families that define their positions: a task's shared beginning is computed once.

We have our own loop because `generate` cannot use a shared beginning, keeps all rows until the last row of a batch has
ended, and reads sampling defaults from the checkpoint (Qwen2.5-VL's generation_config has repetition_penalty 1.05,
which penalises an answer for repeating a label from the prompt). A row of a batch looks like this:

    shared beginning | left padding | the prompt's own rest | answer ...

Padding is masked and takes up no position, so a row's numbers do not depend on its neighbours.
"""

from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForImageTextToText, AutoProcessor

from eval.engines import Answers, Likelihoods, Question
from eval.engines.content import modality
from eval.engines.hf.batch import Batch, PromptRow
from eval.engines.hf.loading import end_tokens, facts_of, loaded
from eval.engines.hf.prefix_attention import NAME, KeyValues, Layer
from eval.engines.hf.vision import Pixels, Vision, features
from eval.engines.tree import Tree
from eval.run.checkpoint import Checkpoint
from mmafflm.families.find import family_of
from mmafflm.media.budget import Budget
from mmafflm.weights import reading

PORTION = 1000  # questions to tokenize at a time: the tokenizer's output is far larger than the ids that we keep


class FastPath:
    """A checkpoint of a family that defines its positions (mmafflm/families)."""

    def __init__(self, checkpoint: Checkpoint, dtype: str, root: Path, budget: Budget) -> None:
        """Read tokenizer and weights. Raises Fault when transformers cannot read them or the weights do not fit."""
        processors: Any = AutoProcessor  # some of transformers' type hints are wrong
        with reading(checkpoint.model):
            processor = processors.from_pretrained(checkpoint.model, trust_remote_code=False)
            self.tokenizer: Any = processor.tokenizer
        self.model: Any = loaded(AutoModelForImageTextToText, checkpoint, dtype)
        family = family_of(self.model.config.model_type, checkpoint.model)
        self.vision = Vision(processor, root, budget, family)
        self.device = self.model.device
        self.tokens_at_a_time = 512 if self.device.type == "cpu" else 8192
        self.model.set_attn_implementation({"text_config": NAME})
        self.end_of_turn: int = self.tokenizer.convert_tokens_to_ids(family.conversation.end_of_turn)
        ends = end_tokens(self.model, checkpoint.model) | {self.end_of_turn}
        self.ends = torch.tensor(sorted(ends), device=self.device)
        self.pad = int(self.ends[0])  # any token will do: padding is masked in a prompt and cut off in an answer
        self.facts = facts_of(self.model, processor, self.tokenizer.chat_template)

    def tokens(self, text: str) -> int:
        """The number of tokens of `text`."""
        return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def try_out(self, questions: Sequence[Question], weighed: bool = False) -> None:
        """Generate one token for each question; record the sizes of the inputs. Raises whatever answer() raises."""
        for question in questions:
            list(self.answer([question], [0], 1, 1))
            look, clips = self.vision.pixels(question), map(self.vision.shown.size_of_clip, question.videos)
            made = {"pixel_values": look.images, "pixel_values_videos": look.videos}
            self.facts["inputs"][modality(question)] = {
                "tokens": len(self.encode([question])[0]),
                **({"frames": [clip.frames for clip in clips]} if question.videos else {}),
                **{name: list(part.shape) for name, part in made.items() if part is not None},
            }

    def encode(self, questions: Sequence[Question]) -> "list[array[int]]":
        """The token ids of each question as a user's turn, up to the beginning of the answer."""
        portions = (questions[at : at + PORTION] for at in range(0, len(questions), PORTION))
        return [array("i", ids) for portion in portions for ids in self._encode(portion)]

    def _encode(self, questions: Sequence[Question]) -> list[list[int]]:
        turns = [[{"role": "user", "content": self.vision.text(question)}] for question in questions]
        texts = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        """Answers to questions[i] for i in `wanted`, a batch at a time, the longest first."""
        for chosen, beginning, rows in self._batches(questions, wanted, batch_size):
            ids = self._greedy(beginning, rows, most_tokens)
            yield list(zip(chosen, self.tokenizer.batch_decode(ids, skip_special_tokens=True), strict=True))

    def likelihoods(
        self, questions: Sequence[Question], wanted: Sequence[int], candidates: Sequence[str], batch_size: int
    ) -> Iterator[Likelihoods]:
        """ln P(candidate, end of turn | questions[i]) for i in `wanted`, a batch at a time, the longest first."""
        # tokenized separately from the prompt, as LLaMA-Factory tokenizes an answer in training
        answers = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in candidates]
        tree = Tree.of(answers, self.end_of_turn)
        for chosen, beginning, rows in self._batches(questions, wanted, batch_size):
            yield list(zip(chosen, self._weigh(beginning, rows, tree), strict=True))

    def _batches(
        self, questions: Sequence[Question], wanted: Sequence[int], batch_size: int
    ) -> Iterator[tuple[list[int], list[Layer], list[PromptRow]]]:
        """Batches as (positions in `questions`, the shared beginning, the rows that follow it), longest rows first."""
        rows = self.encode(questions)
        shared = min(_shared_tokens(rows), *(self._media_at(row) for row in rows)) if rows else 0
        beginning = self._beginning(list(rows[0][:shared])) if wanted else []
        # Longest first: too little memory shows at once, and batches need little padding.
        order = sorted(wanted, key=lambda position: (-len(rows[position]), position))
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        with ThreadPoolExecutor(max_workers=1) as ahead:  # read the next batch's pictures while the model runs
            looks = [ahead.submit(self._looks, questions, chosen) for chosen in batches[:1]]
            for number, chosen in enumerate(batches):
                looks += [ahead.submit(self._looks, questions, later) for later in batches[number + 1 : number + 2]]
                found = looks.pop(0).result()
                yield (
                    chosen,
                    beginning,
                    [
                        self._row(list(rows[position]), shared, look)
                        for position, look in zip(chosen, found, strict=True)
                    ],
                )

    def _looks(self, questions: Sequence[Question], chosen: list[int]) -> list[Pixels | None]:
        picked = [questions[position] for position in chosen]
        return [self.vision.pixels(one) if one.images or one.videos else None for one in picked]

    def _media_at(self, row: Sequence[int]) -> int:
        """The position of a row's first picture or clip, at which the shared beginning ends at the latest."""
        media = {self.model.config.image_token_id, self.model.config.video_token_id}
        return next((at for at, token in enumerate(row) if token in media), len(row))

    def _row(self, ids: list[int], shared: int, look: Pixels | None) -> PromptRow:
        """A row without its shared beginning."""
        if look is None:
            where = torch.arange(shared, len(ids)).expand(3, -1)
        else:
            where = self.vision.positions(self.model, ids, look)[:, shared:]
        return PromptRow(ids[shared:], where, look)

    @torch.inference_mode()
    def _beginning(self, ids: list[int]) -> list[Layer]:
        """Keys and values of the shared beginning, per layer."""
        if not ids:
            return []
        memory = KeyValues([], len(ids))
        batch = self._left_pad([self._row(ids, 0, None)])
        self._forward(batch, batch.causal(self.model.dtype), memory)
        return memory.as_beginning()

    @torch.inference_mode()
    def _greedy(self, beginning: list[Layer], rows: list[PromptRow], most_tokens: int) -> list[list[int]]:
        """The answers' token ids, without the end token. A row leaves the batch when its answer ends."""
        best, mask, memory = self._read(beginning, rows, most_tokens)
        # an answer begins after the row's highest position: a picture has more tokens than positions
        where = torch.tensor([[int(row.positions.max())] for row in rows], device=self.device)
        answers: list[list[int]] = [[] for _ in rows]
        alive = list(range(len(rows)))  # the row of `answers` behind each row of the batch
        while True:
            going = ~torch.isin(best, self.ends)
            if not bool(going.all()):
                kept = going.nonzero()[:, 0]
                alive = [alive[row] for row in kept.tolist()]
                best, mask, where = best[kept], mask[kept], where[kept]
                memory.keep(kept)
            for row, token in zip(alive, best.tolist(), strict=True):
                answers[row].append(token)
            if not alive or len(answers[alive[0]]) == most_tokens:
                return answers
            mask = torch.cat([mask, mask.new_zeros(len(alive), 1, 1, 1)], -1)
            where = where + 1
            step = Batch(best[:, None], torch.ones_like(where, dtype=torch.bool), where.expand(3, -1, -1), ())
            best = self._forward(step, mask, memory)

    def _read(
        self, beginning: list[Layer], rows: list[PromptRow], most_tokens: int
    ) -> tuple[torch.Tensor, torch.Tensor, KeyValues]:
        """Each row's first answer token, the mask (rows, 1, 1, longest) of its last token, and the rows' KV cache.

        Processes some rows at a time, padded to the longest of them: this saves padding, and memory for the scores.
        """
        longest = max(len(row.ids) for row in rows)
        step = max(1, self.tokens_at_a_time // longest)
        first, masks, memories = [], [], []
        for at in range(0, len(rows), step):
            batch = self._left_pad(rows[at : at + step])
            mask = batch.causal(self.model.dtype)
            memories.append(KeyValues(beginning, batch.ids.shape[1]))
            first.append(self._forward(batch, mask, memories[-1]))
            missing = longest - batch.ids.shape[1]
            masks.append(functional.pad(mask[:, :, -1:], (missing, 0), value=torch.finfo(mask.dtype).min))
        return torch.cat(first), torch.cat(masks), KeyValues.join(memories, longest + most_tokens)

    @torch.inference_mode()
    def _weigh(self, beginning: list[Layer], rows: list[PromptRow], tree: Tree) -> list[list[float]]:
        """Each candidate's log-likelihood after each row. Rows and trees go through the model together, in batches."""
        longest = max(len(row.ids) for row in rows) + len(tree.tokens)
        step = max(1, self.tokens_at_a_time // longest)
        found = []
        for at in range(0, len(rows), step):
            batch = self._left_pad(rows[at : at + step])
            prompt = batch.ids.shape[1]
            batch, mask = batch.followed_by(tree, self.model.dtype)
            out = self.model.model(
                inputs_embeds=self._embed(batch),
                attention_mask={"full_attention": mask},
                position_ids=batch.positions,
                past_key_values=(memory := KeyValues(beginning, longest)),
                use_cache=True,
                memory=memory,
            )
            found += [tree.weigh(logits) for logits in self.model.lm_head(out.last_hidden_state[:, prompt - 1 :])]
        return found

    def _forward(self, batch: Batch, mask: torch.Tensor, memory: KeyValues) -> torch.Tensor:
        """The likeliest token after the last token of each row, (rows,)."""
        out = self.model(
            inputs_embeds=self._embed(batch),
            attention_mask={"full_attention": mask},
            position_ids=batch.positions,
            past_key_values=memory,
            use_cache=True,
            logits_to_keep=1,
            memory=memory,
        )
        best: torch.Tensor = out.logits[:, -1].argmax(-1)
        return best

    def _embed(self, batch: Batch) -> torch.Tensor:
        """Embeddings (rows, longest, hidden size), with the vision tower's features in place of pictures and clips."""
        embedded: torch.Tensor = self.model.get_input_embeddings()(batch.ids)
        if batch.looks:
            config = self.model.config
            places = {"images": config.image_token_id, "videos": config.video_token_id}
            for name, found in features(self.model, batch.looks).items():
                embedded[batch.ids == places[name]] = found.to(embedded)
        return embedded

    def _left_pad(self, rows: list[PromptRow]) -> Batch:
        """The batch of these rows; they follow the shared beginning."""
        sizes = [len(row.ids) for row in rows]
        longest = max(sizes)
        ids = [[self.pad] * (longest - size) + row.ids for row, size in zip(rows, sizes, strict=True)]
        real = [[False] * (longest - size) + [True] * size for size in sizes]
        where = [functional.pad(row.positions, (longest - len(row.ids), 0)) for row in rows]
        return Batch(
            torch.tensor(ids, device=self.device),
            torch.tensor(real, device=self.device),
            torch.stack(where, 1).to(self.device),
            tuple(row.look for row in rows if row.look),
        )


def _shared_tokens(rows: "list[array[int]]") -> int:
    """How many first tokens all rows share. At least one token of each row is not counted: it predicts the answer."""
    first, last = min(rows), max(rows)  # in dictionary order: all rows share what these two share
    shared = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return min(shared, min(map(len, rows)) - 1)
