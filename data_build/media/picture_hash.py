"""Two ways to compare pictures: a difference hash of 64 bits, and a thumbnail of grey levels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def difference_hash(picture: Image.Image) -> int:
    """dHash, 64 bits: for each of 8 x 8 cells of the grey picture, whether it is darker than its right neighbour."""
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (grey[:, 1:] > grey[:, :-1]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def thumbnail(picture: Image.Image) -> NDArray[np.float32]:
    """64 x 64 grey levels (0 to 255), for comparing two pictures."""
    return np.asarray(picture.convert("L").resize((64, 64), Image.Resampling.BOX), dtype=np.float32)


def shift_levels(thumb: NDArray[np.float32]) -> float:
    """The mean difference, in grey levels, between a thumbnail and the same thumbnail moved by one pixel.

    The same photograph in another crop, size or contrast differs by about this much. In FER2013, pairs that differ by
    up to 1.5 times this value show one photograph, and 99% of the pairs of different photographs differ by more than
    1.84 times this value. A smooth picture has a smaller value than a detailed one (docs/notebook/fer2013.md).
    """
    down, across = np.abs(np.diff(thumb, axis=0)).mean(), np.abs(np.diff(thumb, axis=1)).mean()
    return float(down + across) / 2
