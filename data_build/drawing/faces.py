"""Drawn faces that show an emotion and how strong it is, for the made-up picture and video corpora.

A model of a million parameters has to learn them from some hundred pictures. In 60 steps it learned the colour of a
face, and strokes of 8 px in a picture of 112 px, but not thin strokes without colour. So each emotion has its own
colour and mouth; the stronger the emotion, the more colour, mouth and brows differ from a plain face.
"""

from random import Random
from typing import NamedTuple

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

PLAIN: Colour = (205, 190, 175)  # a face without emotion
INK: Colour = (25, 20, 20)
STROKE = 0.11  # fraction of the face's height: 9 px for a face 84 px high, the smallest in a picture of 112 px
INNER = 2  # faces are drawn this many times larger and then reduced, for smooth edges


class Look(NamedTuple):
    """How an emotion looks at its strongest. Lengths are fractions of the face's height."""

    colour: Colour
    grey: tuple[int, int]  # brightness of the face and of the background in grey pictures
    mouth: tuple[float, ...]  # heights of the lip from left to right, -1 is up, 1 is down; empty: an open mouth
    brow: float  # 1: inner ends low (a scowl), -1: inner ends high
    eye: float  # height
    vad: tuple[float, float, float]  # valence, arousal, dominance in -1..1


LOOKS = {
    "neutral": Look((110, 110, 110), (128, 40), (0, 0, 0, 0, 0), 0.0, 0.10, (0.0, -0.6, 0.1)),
    "happiness": Look((255, 215, 20), (245, 130), (-1, 0.5, 1, 0.5, -1), -0.3, 0.08, (1.0, 0.5, 0.5)),
    "sadness": Look((40, 90, 225), (60, 160), (1, -0.5, -1, -0.5, 1), -1.0, 0.06, (-0.8, -0.8, -0.6)),
    "anger": Look((225, 30, 25), (100, 245), (0.6, 0, 0, 0, 0.6), 1.0, 0.07, (-0.9, 0.9, 0.9)),
    "fear": Look((150, 60, 205), (215, 15), (0.8, -0.8, 0.8, -0.8, 0.8), -0.8, 0.20, (-1.0, 1.0, -1.0)),
    "surprise": Look((30, 215, 215), (165, 215), (), -0.5, 0.18, (0.4, 1.0, -0.2)),
    "disgust": Look((50, 150, 45), (30, 90), (-1, -0.5, 0, 0.5, 1), 0.6, 0.05, (-0.7, 0.2, 0.4)),
    "other": Look((255, 140, 190), (90, 10), (-0.8, 0.8, 0, -0.8, 0.8), 0.0, 0.10, (0.0, 0.0, 0.0)),
}
EMOTIONS = [emotion for emotion in LOOKS if emotion != "other"]  # only SAMSEMO has the class "other"


def vad(emotion: str, intensity: float) -> tuple[float, float, float]:
    """Valence, arousal and dominance in -1..1 of a drawn emotion."""
    valence, arousal, dominance = LOOKS[emotion].vad
    return valence * intensity, arousal * intensity, dominance * intensity


def draw(emotion: str, intensity: float, random: Random, size: tuple[int, int]) -> Image.Image:
    """An RGB picture of `size` (width, height) with a face, whose size is 0.75 to 0.95 of the shorter side."""
    picture = backdrop(random, size)
    side = int(min(size) * random.uniform(0.75, 0.95))
    face = draw_face(emotion, intensity, side)
    picture.paste(face, (random.randint(0, size[0] - side), random.randint(0, size[1] - side)), face)
    return picture


def draw_grey(emotion: str, intensity: float, random: Random, side: int = 48) -> Image.Image:
    """A square grey picture (L) filled by a face; brightness replaces the colour."""
    bright, behind = (level + random.randint(-9, 9) for level in LOOKS[emotion].grey)
    picture = Image.new("L", (side, side), min(max(behind, 0), 255))
    least = int(side * 0.83)
    face = draw_face(emotion, intensity, random.randint(least, side), (bright, bright, bright)).convert("LA")
    place = (random.randint(0, side - face.width), random.randint(0, side - face.height))
    picture.paste(face.getchannel("L"), place, face.getchannel("A"))
    return picture


def backdrop(random: Random, size: tuple[int, int]) -> Image.Image:
    """An RGB picture of a greyish wall with two greyish rectangles; it carries no information on the emotion."""
    picture = Image.new("RGB", size, _dull(random))
    pen = ImageDraw.Draw(picture)
    for _ in range(2):
        left, top = random.randint(0, size[0]), random.randint(0, size[1])
        pen.rectangle((left, top, left + size[0] // 3, top + size[1] // 2), _dull(random))
    return picture


def _dull(random: Random) -> Colour:
    grey = random.randint(150, 235)
    red, green, blue = (grey + random.randint(-10, 10) for _ in range(3))
    return red, green, blue


def draw_face(emotion: str, intensity: float, side: int, skin: Colour | None = None) -> Image.Image:
    """A square face (RGBA, transparent around it), `side` pixels high. skin: its colour, by default the emotion's."""
    look = LOOKS[emotion]
    large = side * INNER
    face = Image.new("RGBA", (large, large))
    pen = ImageDraw.Draw(face)
    if skin is None:  # even a weak emotion must differ from a plain face
        skin = _mixed(PLAIN, look.colour, 0.35 + 0.65 * intensity)
    pen.ellipse((0, 0, large - 1, large - 1), skin)
    ink = INK if sum(skin) > 220 else (245, 245, 245)
    _draw_eyes(pen, large, look, intensity, ink)
    _draw_mouth(pen, large, look, intensity, ink)
    return face.reduce(INNER)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _draw_eyes(pen: ImageDraw.ImageDraw, side: int, look: Look, intensity: float, ink: Colour) -> None:
    half = (0.10 + (look.eye - 0.10) * intensity) / 2
    tilt = 0.08 * look.brow * intensity
    for inward, centre in ((1, 0.31), (-1, 0.69)):  # inward: direction of the nose
        pen.ellipse([side * at for at in (centre - 0.06, 0.40 - half, centre + 0.06, 0.40 + half)], ink)
        outer, inner = (centre - inward * 0.12, 0.22 - tilt), (centre + inward * 0.12, 0.22 + tilt)
        pen.line([side * at for at in (*outer, *inner)], ink, int(side * 0.06))


def _draw_mouth(pen: ImageDraw.ImageDraw, side: int, look: Look, intensity: float, ink: Colour) -> None:
    if not look.mouth:
        wide, high = 0.10 + 0.06 * intensity, 0.06 + 0.11 * intensity
        pen.ellipse([side * at for at in (0.5 - wide, 0.72 - high, 0.5 + wide, 0.72 + high)], ink)
        return
    depth = 0.03 + 0.08 * intensity
    step = 0.46 / (len(look.mouth) - 1)
    lip = [(side * (0.27 + step * at), side * (0.71 + depth * height)) for at, height in enumerate(look.mouth)]
    pen.line(lip, ink, int(side * STROKE), joint="curve")
    round_end = side * STROKE / 2
    for x, y in (lip[0], lip[-1]):
        pen.ellipse((x - round_end, y - round_end, x + round_end, y + round_end), ink)
