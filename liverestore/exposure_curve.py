"""Error against exposure as a smooth curve that only falls, and where it reaches a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

__all__ = ["falling_curve", "least_exposure", "resampled"]

FloatArray = NDArray[np.float64]

_POINTS = 400
_LEAST_SHARE = 1e-4


def falling_curve(
    exposures_ms: FloatArray, errors: FloatArray, weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """400 exposures from the shortest to the longest, and the error at each.

    `exposures_ms` (L,), longest first; `errors` (L,) mean squared errors, `weights` (L,) of
    their logarithms. More light never harms: errors that say otherwise are pooled (isotonic
    regression of the logarithm, pool adjacent violators), and the monotone cubic of Fritsch
    and Carlson leads through them over the logarithm of the exposure.
    """
    # An error at or below zero is one that the noise of the references hides.
    safe = np.maximum(errors, _LEAST_SHARE * max(float(errors.max()), 1e-300))
    fitted = isotonic_regression(np.log(safe), weights=weights, increasing=True).x
    at = np.log(exposures_ms[::-1])
    grid = np.linspace(at[0], at[-1], _POINTS)
    return np.exp(grid), np.exp(PchipInterpolator(at, fitted[::-1])(grid))


def least_exposure(curve: tuple[FloatArray, FloatArray], target: float) -> float | None:
    """The shortest exposure of `curve` whose error is at most `target`; None: there is none."""
    exposures_ms, errors = curve
    kept = np.flatnonzero(errors <= target * (1 + 1e-9))
    if kept.size == 0:
        return None
    first = int(kept[0])
    if first == 0:
        return float(exposures_ms[0])
    high, low = np.log(errors[first - 1]), np.log(errors[first])
    share = (high - np.log(target)) / (high - low) if high > low else 1.0
    step = np.log(exposures_ms[first] / exposures_ms[first - 1])
    return float(exposures_ms[first - 1] * np.exp(min(share, 1.0) * step))


def resampled(count: int, rng: np.random.Generator) -> FloatArray:
    """How often each of `count` frames is drawn in one replicate of a bootstrap.

    One draw less than frames: so few frames, drawn as many times, would vary too little
    (by 1 - 1/n; Rao and Wu, J. Am. Stat. Assoc. 83, 231, 1988).
    """
    draws = rng.integers(count, size=max(count - 1, 1))
    return np.bincount(draws, minlength=count).astype(np.float64)
