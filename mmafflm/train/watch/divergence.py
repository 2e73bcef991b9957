"""Decide when a loss has diverged, and up to which step it was sound."""

import math
import statistics
from collections import deque

WINDOW = 5  # logged losses in the running median; two spikes in a row hardly move it


class Judge:
    """Judges each logged loss, in order.

    A loss has diverged when two things hold: its running median is more than twice the lowest it has been, and more
    than half of what was gained since the first logged loss is lost again. Each alone would give false alarms: a loss
    of 0.02 doubles by chance, and a run that has gained nothing yet loses half of it in one batch. A loss that is not
    finite has diverged at once. So has one whose gradient is not a number, except under fp16: its loss scaler expects
    such gradients and skips their step.
    """

    def __init__(self, fp16: bool = False) -> None:
        self.fp16 = fp16
        self.recent: deque[float] = deque(maxlen=WINDOW)
        self.first = self.lowest = math.nan
        self.sound_step = 0  # the last step whose loss is nearer to the lowest median than to the limit

    @property
    def limit(self) -> float:
        """The largest allowed running median."""
        return max(2 * self.lowest, (self.first + self.lowest) / 2)

    def judge(self, step: int, loss: float, grad_norm: float | None = None) -> str | None:
        """None, or the reason why the run must stop, as the end of a sentence."""
        if not math.isfinite(loss):
            return f"the loss is {loss} at step {step}"
        if grad_norm is not None and math.isnan(grad_norm) and not self.fp16:
            return f"the gradient is not a number at step {step} (loss {loss:.4g})"
        if math.isnan(self.first):
            self.first = self.lowest = loss
        self.recent.append(loss)
        median = statistics.median(self.recent)
        if len(self.recent) == WINDOW:
            if median > self.limit:
                return (
                    f"the loss diverges: the median of the last {WINDOW} logged losses is {median:.4g} at step {step}, "
                    f"over {self.limit:.4g} (it began at {self.first:.4g}, the lowest median was {self.lowest:.4g})"
                )
            self.lowest = min(self.lowest, median)
        if loss <= (self.lowest + self.limit) / 2:
            self.sound_step = step
        return None
