"""Made-up runs over all 18 subsets, with pictures, frames and clips, to test the report and its page."""

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path

from eval.score.score import score
from mmafflm.benchmark.benchmark import Subset, Task, benchmark
from mmafflm.benchmark.grammar import Gold, Labels, Number, Ordinal, Vad
from mmafflm.dataset import Dataset
from mmafflm.records import Prediction, Record, write_jsonl, write_text
from tests.data_files import write_data
from tests.media_files import clip_bytes, picture_of, write

TEXTS = {
    "ar": "أنا سعيد جداً بهذا اليوم، شكراً لكم!",
    "he": "אני כל כך שמח היום, תודה רבה!",
    "ur": "میں آج بہت خوش ہوں",
    "fa": "امروز خیلی خوشحالم",
    "zh": "物流很快，东西也不错，下次还会买。",
    "ja": "今日はとても楽しかったです。",
    "ru": "Я так рад, спасибо вам большое!",
    "hi": "मैं आज बहुत खुश हूँ",
    "th": "วันนี้ฉันมีความสุขมาก",
    "ko": "오늘 정말 행복했어요.",
    "el": "Είμαι τόσο χαρούμενος σήμερα!",
    "de": "Ich weiß nicht, warum ich so wütend bin.",
}
EVIL = '<script>document.title="taken"</script><img src=x onerror=alert(1)> &amp; "quoted" \u202e gnp.eman'


def published(task: Task) -> int:
    """As many rows as the benchmark has."""
    return task.test_rows


def made_data(path: Path, rows: Callable[[Task], int] = lambda task: 24, names: Iterable[str] | None = None) -> Dataset:
    """DATA with so many test records of every task of the subsets named, of all 18 by default."""
    media = _media(path)
    subsets = [benchmark()[name] for name in names or benchmark()]
    by_subset = {
        subset.name: [_record(subset, task, at, media) for task in subset.tasks for at in range(rows(task))]
        for subset in subsets
    }
    return write_data(path, by_subset, seed=42, versions={"mmafflm": "0.1.0"})


def _media(path: Path) -> dict[str, list[str]]:
    pictures = [f"media/{at}.jpg" for at in range(12)]
    for at, name in enumerate(pictures):
        picture_of(480, 360, at).save(write(path / name, b""), quality=80)
    write(path / "media/clip.mp4", clip_bytes(75, colourful=True))
    return {"pictures": pictures, "clips": ["media/clip.mp4"]}


def _record(subset: Subset, task: Task, at: int, media: dict[str, list[str]]) -> Record:
    draw = random.Random(f"{subset.name} {task.key} {at}")
    language = subset.languages[at % len(subset.languages)] if subset.languages else "en"
    emotion = task.emotions[at % len(task.emotions)] if task.emotions else None
    text = TEXTS.get(language, "What a day: the train was late and I am so happy.") + f" ({at}) {{x}} <b>&"
    gold = _gold(task, draw)
    pictures = media["pictures"]
    frames = [pictures[(at + frame) % 12] for frame in range(7)]
    clip: str | list[str] = media["clips"][0] if task.key == "sp" else frames
    return Record(
        id=f"{subset.name}/{task.key}/{language}/test/{at:06d}",
        subset=subset.name,
        task=task.kind,
        split="test",
        language=language,
        modality=subset.modality,
        source=f"made:{at}",
        messages=[
            {"role": "user", "content": task.ask(text, emotion or "")},
            {"role": "assistant", "content": task.answer(gold, emotion)},
        ],
        images=[pictures[at % 12]] if subset.modality == "image" else [],
        videos=[clip] if subset.modality == "video" else [],
        gold=gold,
        emotion=emotion,
    )


def _gold(task: Task, draw: random.Random) -> Gold:
    grammar = task.grammar
    if isinstance(grammar, Labels):
        weights = [1 / (at + 1) for at in range(len(grammar.names))]
        return grammar.sort(draw.choices(grammar.names, weights, k=min(grammar.most, draw.randint(1, 2))))
    if isinstance(grammar, Ordinal):
        return draw.choice(grammar.classes)[0]
    if isinstance(grammar, Vad):
        return {name: _drawn(Number(grammar.low, grammar.high, 1), draw) for name in grammar.dimensions}
    return _drawn(grammar, draw)


def _drawn(grammar: Number, draw: random.Random) -> float:
    return round(grammar.low + (grammar.high - grammar.low) * draw.betavariate(2, 2), grammar.decimals or 2)


def made_run(data: Dataset, path: Path, skill: float, resamples: int = 20, said: str = "") -> Path:
    """A RUN, scored in both modes, that is right with probability `skill` and sometimes gives no admissible answer.

    said: its answer to the first record of every subset. resamples: 0 leaves the run without scores.
    """
    records = {name: list(data.records(name, "test")) for name in data.subsets("test")}
    predictions = {}
    for name, rows in records.items():
        draw = random.Random(f"{path.name} {name}")
        predictions[name] = [Prediction(one.id, answer_of(one, skill, draw)) for one in rows]
        if said:
            predictions[name][0] = Prediction(rows[0].id, said)
        lines = ({"id": one.id, "prediction": one.prediction} for one in predictions[name])
        write_jsonl(path / "predictions" / f"{name}.jsonl", lines)
    row = {
        "schema": 1, "checkpoint": f"/models/{path.name}", "engine": "hf", "readout": "greedy", "limit": None,
        "budget": {"image_max_pixels": 262144}, "data_hash": data.hash, "ablation": "none",
        "versions": {"mmafflm": "0.1.0"}, "subsets": {name: {"expected": len(rows)} for name, rows in records.items()},
    }  # fmt: skip
    write_text(path / "run.json", json.dumps(row))
    for mode in ("strict", "paper") if resamples else ():
        write_text(path / f"scores.{mode}.json", json.dumps(score(records, predictions, mode, resamples=resamples)))
    return path


def answer_of(record: Record, skill: float, draw: random.Random) -> str:
    """An answer that is right with probability `skill` and in 2% of the rows not admissible."""
    task = benchmark()[record.subset].task(record.task)
    luck = draw.random()
    if luck < 0.02:
        return draw.choice([EVIL, "I cannot say. لا أستطيع أن أقول", "hm " * 400, ""])
    if luck < 0.02 + skill:
        return record.answer
    return task.answer(_gold(task, draw), record.emotion)
