"""Micro-batches of similar lengths: each step keeps its rows and is padded less; pictures and clips stay apart."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmafflm.errors import UsageFault
from mmafflm.train.plan.plan import plan
from mmafflm.train.stream.order import batches
from mmafflm.train.stream.similar import CLIPS, PICTURES, TEXT, grouped, training_order
from mmafflm.train.watch.exposure import Exposure
from tests.mmafflm.recipes import recipe_with
from tests.mmafflm.tiny_data import make_data, make_record, text_records

SIZES = st.tuples(*[st.integers(1, 4)] * 4)


@given(SIZES, st.randoms(use_true_random=False))
def test_each_step_keeps_its_rows_and_is_padded_no_more(sizes: tuple[int, ...], draw: "np.random.Generator") -> None:
    steps, accumulation, ranks, micro = sizes
    order = np.arange(steps * accumulation * ranks * micro)
    draw.shuffle(order)  # type: ignore[arg-type]
    lengths = np.array([draw.randint(1, 50) for _ in order])  # type: ignore[attr-defined]
    order = order.reshape(-1, ranks, micro)
    made = grouped(order, accumulation, np.zeros_like(lengths), lengths)
    assert made.shape == order.shape
    for before, after in zip(order.reshape(steps, -1), made.reshape(steps, -1), strict=True):
        assert sorted(before) == sorted(after) and (np.diff(lengths[after]) >= 0).all()
    assert lengths[made].max(-1).sum() <= lengths[order].max(-1).sum()


def test_texts_are_dealt_between_pictures_and_clips() -> None:
    kinds = np.array([CLIPS, PICTURES, TEXT, CLIPS, PICTURES, TEXT, PICTURES, TEXT])
    made = grouped(np.arange(8).reshape(4, 1, 2), 4, kinds, np.arange(8)[::-1])
    assert kinds[made].reshape(-1).tolist() == [PICTURES] * 3 + [TEXT] * 3 + [CLIPS] * 2


def test_a_recipe_asks_for_it(tmp_path: Path, base: str) -> None:
    data = make_data(tmp_path / "data", text_records(64))
    plain, similar = (
        plan(recipe_with(tmp_path, similar_lengths=asked), data, base=base, out=tmp_path / "run")
        for asked in (False, True)
    )
    assert plain.config == similar.config and np.array_equal(training_order(plain, data), batches(64, plain.config, 1))
    before, after = (Exposure(data, one, training_order(one, data)).tokens(1, 4) for one in (plain, similar))
    assert before and after and after.real == before.real and after.padded < before.padded
    for changes in ({"similar_lengths": "yes"}, {"similar_lengths": True, "streaming": False}):
        with pytest.raises(UsageFault, match=r"similar_lengths must be true or false|Set streaming: true"):
            plan(recipe_with(tmp_path, **changes), data, base=base)


def test_pictures_and_clips_without_texts_between_them(tmp_path: Path, base: str) -> None:
    """A step of one picture, no text and fifteen clips."""
    records = [make_record(n, "", "joy", images=n == 0, videos=n > 0) for n in range(16)]
    recipe = recipe_with(tmp_path, similar_lengths=True, deepspeed="deepspeed/zero3.json")
    planned = plan(recipe, data := make_data(tmp_path / "data", records), base=base, out=tmp_path / "run")
    with pytest.raises(UsageFault, match=r"1 of 2 micro-batches would hold pictures and clips.*too few texts"):
        training_order(planned, data)
