"""The content of a raw text decides its encoding, or the file is refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_build.reading.encodings import decode
from mmafflm.errors import Fault
from tests.data_build.raw_rows import real

CHINESE = "书籍,1,这本书写得好，我很喜欢。\n酒店,0,房间不干净！\n"
MELD = "Utterance,Emotion\n“It’s the lamp,” said the café’s owner…,joy\nI don’t – oh, don’t!,anger\n"
RUSSIAN = "Мне очень нравится эта книга,1\nПлохой отель и грязный номер,0\n" * 5
KOREAN = "정말 좋아요 다음에 또 오고 싶습니다,1\n별로였어요 다시는 안 갑니다,0\n" * 5
JAPANESE = "この本はとても面白かったです,1\n部屋が汚くて二度と行きたくない,0\n" * 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"])
@pytest.mark.parametrize("text", [CHINESE, MELD])
def test_a_text_is_read_in_what_it_was_saved_in(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding), "x.csv") == text


def test_utf_16_of_either_order_with_its_mark() -> None:
    assert decode(b"\xff\xfe" + CHINESE.encode("utf-16-le"), "x.csv") == CHINESE
    assert decode(b"\xfe\xff" + CHINESE.encode("utf-16-be"), "x.csv") == CHINESE


def test_cp1252_where_the_corpus_is_western() -> None:
    assert decode(MELD.encode("cp1252"), "x.csv", ["cp1252"]) == MELD
    with pytest.raises(Fault, match=r"x\.csv:2: not UTF-8 \(byte 0x93\), and not clearly another encoding"):
        decode(MELD.encode("cp1252"), "x.csv")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("書籍,1,這本書寫得很好,我非常喜歡它的內容\n", "big5"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (KOREAN, "euc-kr"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "shift_jis"),
        (MELD.replace("é", "e"), "mac-roman"),
        ("naïve café " * 20, "mac-roman"),
    ],
)
@pytest.mark.parametrize("also", [[], ["cp1252"]])
def test_what_is_not_clear_is_refused(text: str, encoding: str, also: list[str]) -> None:
    with pytest.raises(Fault, match="Save the file as UTF-8"):
        decode(text.encode(encoding), "x.csv", also)


def test_utf_16_without_its_mark_is_refused() -> None:
    with pytest.raises(Fault, match="NUL, as in UTF-16 without a BOM"):
        decode("plain words only".encode("utf-16-le"), "x.csv")


def test_bytes_that_contradict_the_mark_are_refused() -> None:
    with pytest.raises(Fault, match=r"x\.csv:2: not UTF-8, as its BOM says"):
        decode(b"\xef\xbb\xbfa\n\xff", "x.csv")
    with pytest.raises(Fault, match="not UTF-16, as its BOM says"):
        decode(b"\xff\xfea", "x.csv")


def test_half_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(Fault, match="not clearly another encoding"):
        decode(CHINESE.encode() * 3 + CHINESE.encode("gb18030"), "x.csv")


def test_lines_of_an_old_mac_are_lines_and_others_stay() -> None:
    assert decode(b"a\rb\r", "x") == "a\nb\n"
    assert decode(b"a\r\nb\rc\r\n", "x") == "a\r\nb\rc\r\n"


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([[], ["cp1252"]]))
def test_any_bytes_are_a_text_or_a_sentence(data: bytes, also: list[str]) -> None:
    with contextlib.suppress(Fault):
        assert isinstance(decode(data, "x", also), str)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=200))
def test_any_text_in_utf_8_comes_through(text: str) -> None:
    assert decode(text.encode(), "x") == text.removeprefix("\ufeff")


@pytest.mark.parametrize("encoding", ["cp1252", "gb18030", "utf-16"])
def test_the_real_tables_of_meld_come_through_another_encoding(encoding: str) -> None:
    for split in ("train", "dev", "test"):
        text = (real("meld") / f"{split}_sent_emo.csv").read_bytes().decode("utf-8")
        assert decode(text.encode(encoding), "x", ["cp1252"]) == text
