"""The functions that the code in an exported folder calls: its rows, their media, and the scores of answers to them."""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from PIL import Image

from eval.engines import Question
from eval.engines.media import MediaReader
from eval.engines.openai.message import mp4
from eval.export_tasks.tasks import Doc
from eval.score.score import task_metrics
from mmafflm.benchmark.benchmark import benchmark
from mmafflm.dataset import Dataset
from mmafflm.errors import Fault, UsageFault
from mmafflm.files.documents import read_json
from mmafflm.files.inside import media_path
from mmafflm.records import read_jsonl, replacing

ABOUT = "mmaffben.json"  # records the path of DATA and what was exported
MOVED = "MMAFFBEN_DATA"  # environment variable: the path of DATA, if it has moved


Answered = tuple[str, str, str]  # the task's exported name, the record's id, the answer


@cache
def exported(folder: Path) -> "Exported":
    """The exported folder, opened once per process: some harnesses load its code again for every function."""
    return Exported(folder)


class Exported:
    """A folder that `mmaffben export-tasks` wrote.

    Pictures and clips are read from DATA: the folder in MMAFFBEN_DATA, else the recorded path relative to this folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = cache(self._by_id)
        self._scored = lru_cache(maxsize=8)(self._metrics)

    @cached_property
    def about(self) -> dict[str, Any]:
        """The content of mmaffben.json."""
        return read_json(self.folder / ABOUT, "Export the tasks again.")

    @cached_property
    def data(self) -> Dataset:
        """DATA. Raises Fault when it is not at its path or is another build than the exported one."""
        path = Path(os.environ.get(MOVED) or self.folder / self.about["data"]).resolve()
        try:
            data = Dataset.open(path)
        except UsageFault:
            raise Fault(f"{path}: no such folder. Move DATA together with {self.folder}, or set {MOVED}.") from None
        if data.hash != self.about["data_hash"]:
            raise Fault(f"{path}: this is not the build from which {self.folder} was exported. Export the tasks again.")
        return data

    def docs(self, name: str) -> list[Doc]:
        """The rows of one task."""
        return list(read_jsonl(self.folder / "data" / f"{name}.jsonl"))

    def names(self) -> list[str]:
        """The names of the tasks."""
        return list(self.about["tasks"])

    def results(self, doc: Doc, text: str) -> dict[str, Answered]:
        """{metric: the row's entry for metrics()}, with the same entry for each metric of the row's task."""
        return dict.fromkeys(self.about["tasks"][doc["task"]]["metrics"], (doc["task"], doc["id"], text))

    def metrics(self, answers: Iterable[Sequence[str]]) -> dict[str, float]:
        """The strict-mode scores of answers to one task, as `mmaffben score` computes them; NaN if undefined."""
        return self._scored(tuple((name, one, text) for name, one, text in answers))

    def pictures(self, doc: Doc) -> list[Image.Image]:
        """The row's pictures, in the order of the <image> marks in its question."""
        return self._media.images(self._question(doc))

    def frames(self, doc: Doc) -> list[Image.Image]:
        """The frames of the row's clips, in order."""
        question = self._question(doc)
        counts = [self._media.size_of_clip(video).frames for video in question.videos]
        clips = self._media.clips(question)
        return [one for clip, count in zip(clips, counts, strict=True) for one in clip.pictures[:count]]

    def picture_files(self, doc: Doc) -> list[str]:
        """The files of pictures()."""
        return [str(media_path(self.data.path, name)) for name in self._question(doc).images]

    def frame_files(self, doc: Doc) -> list[str]:
        """The files of the frames of the row's clips, as stored. Those of a video file are first written to clips/."""
        return [file for video in self._question(doc).videos for file in self._frames(video)]

    def clips(self, doc: Doc) -> list[str]:
        """The row's clips as video files. Those stored as frames are first written to clips/ as lossless mp4."""
        return [self._clip(video) for video in self._question(doc).videos]

    def _metrics(self, answers: tuple[Answered, ...]) -> dict[str, float]:
        (name,) = {name for name, _, _ in answers}
        about, own = self.about["tasks"][name], self._own(name)
        docs = [own[one] for _, one, _ in answers]
        task = benchmark()[about["subset"]].task(about["task"])
        golds, emotions = [json.loads(doc["gold"]) for doc in docs], [doc["emotion"] or None for doc in docs]
        found = task_metrics(task, golds, emotions, [text for _, _, text in answers])
        return {metric: found.get(metric, math.nan) for metric in about["metrics"]}

    def _by_id(self, name: str) -> dict[str, Doc]:
        return {doc["id"]: doc for doc in self.docs(name)}

    @cached_property
    def _media(self) -> MediaReader:
        return MediaReader(self.data.path, self.data.budget)

    def _question(self, doc: Doc) -> Question:
        own = self._own(doc["task"])[doc["id"]]
        clips = (clip if isinstance(clip, str) else tuple(clip) for clip in json.loads(own["videos"]))
        return Question(own["question"], tuple(own["images"]), tuple(clips))

    def _frames(self, video: str | tuple[str, ...]) -> list[str]:
        if not isinstance(video, str):
            return [str(media_path(self.data.path, name)) for name in video]
        folder = self._made(video)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            count = self._media.size_of_clip(video).frames
            for at, picture in enumerate(self._media.frames(video).pictures[:count]):
                with replacing(partial / f"{at:04d}.png") as out:
                    picture.save(out, "PNG")
            partial.replace(folder)
        return sorted(map(str, folder.glob("*.png")))

    def _clip(self, video: str | tuple[str, ...]) -> str:
        if isinstance(video, str):
            return str(media_path(self.data.path, video))
        path = self._made(video).with_suffix(".mp4")
        if not path.exists():
            with replacing(path) as out:
                out.write(mp4(self._media.frames(video)))
        return str(path)

    def _made(self, video: str | tuple[str, ...]) -> Path:
        """The path in clips/ of a clip's converted form, without the suffix."""
        return self.folder / "clips" / hashlib.sha256(json.dumps(video).encode()).hexdigest()[:32]
