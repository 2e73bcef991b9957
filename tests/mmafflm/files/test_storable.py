from hypothesis import given
from hypothesis import strategies as st

from mmafflm.files.storable import storable
from mmafflm.records import dump


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_any_text_can_be_stored_and_is_short(text: str) -> None:
    kept = storable(text, 100)
    assert dump({"prediction": kept}) and "\0" not in kept and len(kept) < 6 * 150
    assert storable(kept, len(kept)) == kept


def test_ordinary_text_stays() -> None:
    text = "1. joy\n\t8. 信任 \U0001f600 é"
    assert storable(text) == text
    assert storable("\ud800 \x00 \x1b") == "� ␀ ␛"
    assert storable("a" * 6 + "b" * 6, 4) == "aa\n[cut: 8 of 12 characters]\nbb"
