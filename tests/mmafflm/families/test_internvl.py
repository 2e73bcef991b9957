"""InternVL3 cuts a picture into the tiles that transformers cuts."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmafflm.families.base import MediaSize
from mmafflm.families.internvl import text, tiles, tokens


@given(st.integers(1, 3000), st.integers(1, 3000))
@example(512, 512)
@example(896, 896)
@example(640, 480)
@settings(max_examples=300, deadline=None)
def test_tiles(width: int, height: int) -> None:
    from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

    columns, rows = get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)
    assert tiles(width, height) == columns * rows + (columns * rows > 1)


def test_what_a_prompt_holds() -> None:
    assert (tiles(512, 512), tiles(640, 480), tiles(48, 48)) == (1, 13, 1)
    assert tokens(MediaSize(640, 480)) == 13 * 256 + 2
    film = text(MediaSize(640, 480, 2))
    assert film.startswith("Frame1: <img><IMG_CONTEXT>") and "</img>\nFrame2: <img>" in film
    assert film.count("<IMG_CONTEXT>") == 512 and tokens(MediaSize(640, 480, 2)) == 2 * (256 + 2 + 4) + 1
