"""An engine without a model, for tests of asking rather than answers, and the content of its runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from eval.engines import Answers, Question


class Counting:
    """An engine that answers with the prompt's length, and can break after some batches."""

    name = "hf"

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.asked, self.left, self.loaded = 0, breaks_after, False

    def accepts(self) -> tuple[str, ...]:
        return ("text", "image", "video")

    def load(self) -> None:
        self.loaded = True

    def tokens(self, text: str) -> int:
        return len(text.split())

    def describe(self) -> dict[str, object]:
        return {"decoding": {}, "dtype": "auto"}

    def answer(
        self, questions: Sequence[Question], wanted: Sequence[int], most_tokens: int, batch_size: int
    ) -> Iterator[Answers]:
        for start in range(0, len(wanted), batch_size):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            batch = wanted[start : start + batch_size]
            self.asked += len(batch)
            yield [(position, str(len(questions[position].prompt))) for position in batch]


def content(out: Path) -> dict[str, bytes]:
    """The answers of a finished run, file by file; checks that no process's share is left."""
    assert not (out / "shards").exists()
    return {path.name: path.read_bytes() for path in sorted((out / "predictions").iterdir())}
