"""A loss that leaves its path is stopped; noise is not."""

import math
import random

from mmafflm.train.watch.divergence import Judge


def judged(losses: list[float], judge: Judge | None = None) -> tuple[int, str | None, Judge]:
    """The step at which the judge stops a run with these losses (0: never), the reason, and the judge."""
    judge = judge or Judge()
    for step, loss in enumerate(losses, 1):
        if why := judge.judge(step, loss):
            return step, why, judge
    return 0, None, judge


def falling(steps: int, start: float = 3.0, end: float = 0.4, noise: float = 0.15) -> list[float]:
    draw = random.Random(3)
    return [(end + (start - end) * math.exp(-step / 10)) * (1 + draw.gauss(0, noise)) for step in range(steps)]


def test_noise_spikes_and_small_losses_are_no_divergence() -> None:
    assert judged(falling(400))[0] == 0
    spiky = falling(400)
    spiky[100] = spiky[101] = spiky[250] = 40.0
    assert judged(spiky)[0] == 0
    assert judged(falling(400, start=8.3, end=0.01, noise=0.9))[0] == 0
    assert judged(falling(400, start=0.5, end=0.45))[0] == 0  # a run with little to learn


def test_a_loss_that_leaves_is_stopped_and_the_step_before_is_known() -> None:
    losses = falling(60) + [0.5 * 1.3**step for step in range(20)]
    step, why, judge = judged(losses)
    assert 64 <= step <= 70 and why and "diverges" in why
    assert 55 <= judge.sound_step <= 63
    step, why, judge = judged([8.3, 8.2, *[40.0 * step for step in range(1, 9)]])
    assert 0 < step <= 6 and judge.sound_step == 2  # it had learned nothing, then diverged
    step, why, judge = judged([*falling(30), math.nan])
    assert step == 31 and why == "the loss is nan at step 31" and judge.sound_step >= 28


def test_a_gradient_that_is_no_number_is_fp16s_own_business() -> None:
    assert "gradient is not a number" in str(Judge().judge(1, 3.0, math.nan))
    assert Judge(fp16=True).judge(1, 3.0, math.nan) is None
