"""The words that a prompt asks about: its text or transcript, without the prompt's own sentences."""

import re
from functools import cache

from mmafflm.benchmark.benchmark import Task


@cache
def pattern_of(prompt: str) -> re.Pattern[str]:
    """A pattern for the prompt with any text, emotion and white space."""
    parts = re.split(r"(\{text\}|\{transcript\}|\{emotion\})", prompt)
    wild = {"{text}": "(?P<text>.*)", "{transcript}": "(?P<text>.*)", "{emotion}": r"(?P<emotion>\w+)"}
    words = [wild.get(part) or r"\s+".join(re.escape(word) for word in re.split(r"\s+", part)) for part in parts]
    return re.compile("".join(words).replace("<image>", r"<image>\s*").replace("<video>", r"<video>\s*"), re.S)


def words_of(task: Task, prompt: str) -> str:
    """The text or transcript in a record's prompt; "" if the task has none. A prompt that is not ours: quoted_text."""
    if "{text}" not in task.prompt and "{transcript}" not in task.prompt:
        return ""
    match = pattern_of(task.prompt).fullmatch(prompt)
    return match["text"] if match else quoted_text(prompt)


def quoted_text(prompt: str) -> str:
    """The text in a prompt that is not ours: what follows the first "Text:" or "Content:", or else the whole prompt."""
    body = re.sub(r"^(?:<image>|<video>)\s*", "", prompt)
    tail = r"(?:\.\s*Emotion(?: E)?:.*|\.?\s*Intensity (?:Score|Class):?)?"
    match = re.search(rf"\b(?:Text|Content):\s*(.*?){tail}$", body, re.S)
    return (match[1] if match else body).strip()
