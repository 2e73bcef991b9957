"""Change the questions. Other pictures, or no text, show whether the model uses them at all (the paper's "modality
ignorance"). Another prompt shows how much of the score comes from the prompt (variants.py)."""

from collections.abc import Sequence

from eval.ask.variants import PROMPTS, form
from eval.engines import Question
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.errors import UsageFault
from mmafflm.records import Record

ABLATIONS = {
    "none": "the benchmark's own questions",
    "blank": "every picture and frame is replaced by a grey one of the same size",
    "shuffled": "every record has the pictures or clips of another record of its subset",
    "silent": "no text and no transcript",
    **PROMPTS,
}
PROMPT = "prompt"  # all of PROMPTS, one run for each


def questions(records: Sequence[Record], ablation: str = "none") -> list[Question]:
    """The questions of one task's records, changed by the ablation. Raises UsageFault for an unknown ablation."""
    if ablation not in ABLATIONS:
        raise UsageFault(f"--ablation {ablation}: not one of {', '.join(ABLATIONS)}")
    asked = [_question(record) for record in records]
    match ablation:
        case "blank":
            return [question._replace(blank=True) for question in asked]
        case "shuffled":
            # Shift by a third, so that no record keeps its pictures. From six records on, no record gets those of the
            # next one, which may come from the same dialogue or picture.
            step = max(1, len(asked) // 3)
            others = [*asked[step:], *asked[:step]]
            return [
                question._replace(images=other.images, videos=other.videos)
                for question, other in zip(asked, others, strict=True)
            ]
        case "silent":
            return [
                question._replace(prompt=benchmark()[record.subset].task(record.task).ask("", record.emotion or ""))
                for question, record in zip(asked, records, strict=True)
            ]
        case prompt if prompt in PROMPTS:
            forms = [form(benchmark()[record.subset].task(record.task), prompt) for record in records]
            return [
                question._replace(prompt=one.ask(record))
                for question, record, one in zip(asked, records, forms, strict=True)
            ]
    return asked


def _question(record: Record) -> Question:
    videos = tuple(video if isinstance(video, str) else tuple(video) for video in record.videos)
    return Question(record.prompt, tuple(record.images), videos)
