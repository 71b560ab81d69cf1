"""Whether a specimen moved or bleached while references of it were taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stillness", "bleached", "stillness"]

FloatArray = NDArray[np.float64]

_PERMUTATIONS = 400
_NEAR = 1 / 3
_FAR = 2 / 3
_CLOSE, _MORE = (1, 2), 4
"""Lags, in references, and how much farther apart others are, about the same moment, whose
difference tells how far the specimen gets between neighbours."""
_ADDED_SHARE = 1 / 2.4
"""Of the difference between near and far: what steady drift adds to an error against all
references. With d times the time from the middle, a pair u of the series apart shares
d^2 ((1 - u)^2 / 12 - u^2 / 4) on average; near minus far is 0.200 d^2, and the variance of the
time 0.083."""


@dataclass(frozen=True, slots=True)
class Stillness:
    """What movement adds to an error, in the units of the references squared."""

    added: float
    """Against all references of the series, were they used; may be below 0 by chance."""
    doubt: float
    """Its standard deviation by chance."""
    added_by_step: float
    """From one reference to the next."""
    step_doubt: float

    @property
    def seen(self) -> bool:
        """Whether there is movement beyond what chance makes."""
        return self.added > 3 * self.doubt or self.added_by_step > 3 * self.step_doubt


def stillness(products: FloatArray) -> Stillness:
    """From `FrameProducts.residual_products` (R, R), in the order of time.

    What two references share beside the picture does not depend on the time between them, if
    nothing moves. Chance is what the same numbers give with their times shuffled.
    """
    count = len(products)
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    near = (lag > 0) & (lag <= max(1, _NEAR * count))
    far = lag >= _FAR * count

    def falls(values: FloatArray) -> tuple[float, float]:
        steps = []
        for gap in _CLOSE:
            # Pairs about one moment: what the series as a whole drifts is in both.
            close = np.diagonal(values, gap)[_MORE // 2 : count - gap - _MORE // 2]
            steps.append(close - np.diagonal(values, gap + _MORE))
        return float(values[near].mean() - values[far].mean()), float(np.concatenate(steps).mean())

    rng = np.random.default_rng(0)
    by_chance = np.array(
        [
            falls(products[np.ix_(order, order)])
            for order in (rng.permutation(count) for _ in range(_PERMUTATIONS))
        ]
    )
    fall, step = falls(products)
    # Of even movement, d from one to the next, a pair shares -d^2 lag^2 / 4 beside what it shares
    # by its moment; half the mean squared difference of neighbours is d^2 / 2.
    squared = float(np.mean([(gap + _MORE) ** 2 - gap**2 for gap in _CLOSE]))
    doubt, step_doubt = (float(v) for v in by_chance.std(axis=0))
    return Stillness(
        added=_ADDED_SHARE * fall,
        doubt=_ADDED_SHARE * doubt,
        added_by_step=2 * step / squared,
        step_doubt=2 * step_doubt / squared,
    )


def bleached(signal: FloatArray) -> float:
    """Share of the light that was lost from the first to the last of `signal` (R,), by an
    exponential through all of them; below 0 where it became brighter.
    """
    if signal.min() <= 0:
        return 0.0
    n = np.arange(len(signal))
    slope = np.polyfit(n, np.log(signal), 1)[0]
    return float(1 - np.exp(slope * (len(signal) - 1)))
