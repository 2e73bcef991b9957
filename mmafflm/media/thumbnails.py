"""Small pictures inside a page. Pixels are decoded and encoded again, so that no bytes of the original file get in."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmafflm.files.inside import media_path
from mmafflm.media.budget import Budget
from mmafflm.media.decode import Broken, open_clip, open_picture
from mmafflm.records import Record

PICTURE_SIDE, FRAME_SIDE, FRAMES = 320, 176, 4  # pixels of the longest side; frames shown of a clip
QUALITY = 62
_CLIP = Budget(PICTURE_SIDE**2, FRAME_SIDE**2, 2.0, FRAMES)
_CLIP_MIDDLE_S = 2.0  # of a clip stored as a file, only the middle is decoded; the whole clip would take a second


@dataclass(frozen=True)
class Picture:
    """A thumbnail as a data: URI with its size in pixels. Without a picture, `note` gives the reason."""

    alt: str
    uri: str = ""
    width: int = 0
    height: int = 0
    note: str = ""


class Thumbnails:
    """Makes thumbnails of records until they take up `most` characters of the page."""

    def __init__(self, root: Path, most: int = 2_000_000) -> None:
        self.root, self.left, self.refused = root, most, 0

    def of(self, record: Record) -> list[Picture]:
        """The record's pictures, and up to four frames of each clip. A file that cannot be read becomes a note.

        Raises Fault for a name that leads out of the folder.
        """
        found = [self._open(name, f"picture of {record.id}", PICTURE_SIDE) for name in record.images]
        for clip in record.videos:
            if isinstance(clip, str):
                found += self._clip(clip, record.id)
                continue
            frames = _spread(clip)
            found += [self._open(name, f"frame {at} of {len(clip)} of {record.id}", FRAME_SIDE) for at, name in frames]
        return found

    def _open(self, name: str, alt: str, side: int) -> Picture:
        path = media_path(self.root, name)
        if not path.exists():
            return Picture(alt, note=f"{name}: missing")
        try:
            return self._encode(open_picture(path), alt, side)
        except Broken as error:
            return Picture(alt, note=f"{name}: {error}")

    def _clip(self, name: str, who: str) -> list[Picture]:
        path = media_path(self.root, name)
        if not path.exists():
            return [Picture(f"clip of {who}", note=f"{name}: missing")]
        try:
            frames = open_clip(path, _CLIP, max_s=_CLIP_MIDDLE_S).frames
        except Broken as error:
            return [Picture(f"clip of {who}", note=f"{name}: {error}")]
        return [self._encode(one, f"frame {at} of the clip of {who}", FRAME_SIDE) for at, one in enumerate(frames, 1)]

    def _encode(self, picture: Image.Image, alt: str, side: int) -> Picture:
        picture.thumbnail((side, side))
        out = io.BytesIO()
        picture.save(out, "WEBP", quality=QUALITY, method=4)
        uri = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
        if len(uri) > self.left:
            self.refused += 1
            return Picture(alt, note="not shown: the page has reached its limit for pictures")
        self.left -= len(uri)
        return Picture(alt, uri, picture.width, picture.height)


def _spread(frames: list[str]) -> list[tuple[int, str]]:
    """At most four frames, spread from the first to the last, with their places counted from 1."""
    most = min(FRAMES, len(frames))
    places = sorted({round(at * (len(frames) - 1) / max(1, most - 1)) for at in range(most)})
    return [(place + 1, frames[place]) for place in places]
