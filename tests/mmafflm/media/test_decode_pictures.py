"""Pictures of every mode and depth, and what is not a picture."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmafflm.media.decode import Broken, open_picture
from tests.media_files import picture_of


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def test_pictures_of_every_mode_become_rgb() -> None:
    base = picture_of(60, 40)
    for picture, form in [
        (base.convert("CMYK"), "JPEG"), (base.convert("L"), "JPEG"), (base.convert("P"), "PNG"),
        (base.convert("RGBA"), "PNG"), (base.convert("LA"), "PNG"), (base.convert("1"), "PNG"), (base, "BMP"),
    ]:  # fmt: skip
        opened = open_picture(saved(picture, form))
        assert (opened.mode, opened.size) == ("RGB", (60, 40))
    assert np.array_equal(np.asarray(open_picture(saved(base))), np.asarray(base))


def test_sixteen_bits_are_not_a_white_picture() -> None:
    deep = Image.fromarray(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64))
    opened = np.asarray(open_picture(saved(deep)))
    assert opened[0, 0, 0] == 0 and opened[-1, -1, 0] >= 253 and abs(opened.mean() - 127) < 3


def test_a_dark_picture_of_sixteen_bits_is_dark() -> None:
    dark = Image.fromarray(np.full((8, 8), 255, dtype=np.uint16))
    assert open_picture(saved(dark)).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("most", [255, 4095, 65535])
def test_a_grey_ramp_of_any_depth_goes_from_black_to_white(most: int) -> None:
    """PGM files: their numbers are big-endian and may have any maximum."""
    ramp = np.linspace(0, most, 256).round()
    content = b"P5\n256 1\n%d\n" % most + ramp.astype(">u2" if most > 255 else np.uint8).tobytes()
    shown = np.asarray(open_picture(content))[0, :, 0].astype(int)
    assert abs(shown - np.arange(256)).max() <= 1


def test_tiff_is_not_read() -> None:
    for order in ("<u2", ">u2"):
        deep = Image.fromarray(np.arange(0, 65536, 256).astype(order).reshape(16, 16))
        with pytest.raises(Broken, match="a TIFF picture, which is not read: save it as PNG"):
            open_picture(saved(deep, "TIFF"))


def test_the_decoders_warnings_stay_off_the_terminal(recwarn: pytest.WarningsRecorder) -> None:
    torn = Image.Exif()
    torn[0x0112] = 6
    jpeg = saved(picture_of(60, 40), "JPEG", exif=torn.tobytes()[:-9] + b"\xff" * 9)
    open_picture(jpeg)
    assert not recwarn.list


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert open_picture(saved(clear)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    base = picture_of(60, 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_picture(saved(base, "PNG", exif=exif))
    assert opened.size == ((60, 40) if orientation < 5 else (40, 60))


def test_what_is_no_picture_has_a_reason() -> None:
    jpeg = saved(picture_of(200, 200), "JPEG")
    for content, reason in [
        (b"", "not a picture"),
        (b"<html>", "not a picture"),
        (jpeg[: len(jpeg) // 2], "broken picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),  # EPS would start a program
        (_bomb(30_000, 30_000), "picture of more than 89478485 pixels"),
        (_bomb(10_000, 9_000), "picture of more than 89478485 pixels"),  # Pillow only warns about it
        (b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0, 1), "a picture of floating-point numbers"),
    ]:
        with pytest.raises(Broken, match=reason):
            open_picture(content)


def _bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that claims to be this large."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
