"""The numbers of an ROI: mean, spread and range of its pixels; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from liverestore.view.roi import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["READ_PX", "RoiStats", "mean_of", "row_step", "stats_interval_s", "stats_of"]

READ_PX = 1 << 20
"""Up to so many pixels (1024 x 1024) all are read, of larger ROIs every n-th row: the mean
is taken of each frame shown, and reading 2048 x 2048 twice would cost 5 ms a frame."""

_QUICK_PX = 1 << 18
_QUICKEST_S = 0.2


@dataclass(frozen=True, slots=True)
class RoiStats:
    """Of the pixels' values, in counts."""

    mean: float
    sd: float
    """With n - 1, as ImageJ's; not a number for a single pixel."""
    low: float
    high: float
    median: float


def row_step(rect: Rect) -> int:
    """Every how manieth row of `rect` is read; 1: all pixels."""
    return math.ceil(rect.area_px / READ_PX)


def stats_interval_s(rect: Rect) -> float:
    """Time between two rounds of `stats_of`: 0.2 s, longer above 512 x 512 px.

    So their cost stays below some 3 % of the time, whatever the size.
    """
    return _QUICKEST_S * max(1.0, min(rect.area_px, READ_PX) / _QUICK_PX)


def mean_of(pixels: NDArray[np.generic], rect: Rect) -> float:
    """Mean of the (Y, X) `pixels` in `rect`, of every `row_step`-th row, in counts."""
    return float(_sample(pixels, rect).mean(dtype=np.float64))


def stats_of(pixels: NDArray[np.generic], rect: Rect) -> RoiStats:
    """All numbers of the (Y, X) `pixels` in `rect`, of every `row_step`-th row."""
    sample = _sample(pixels, rect)
    low, high = float(sample.min()), float(sample.max())
    if sample.dtype.kind not in "ui":
        values = sample.astype(np.float64).ravel()
        sd = float(values.std(ddof=1)) if values.size > 1 else math.nan
        return RoiStats(float(values.mean()), sd, low, high, float(np.median(values)))
    # Counting the counts is exact for integers, and six times as quick as a median.
    first = int(low)
    times = np.bincount(np.subtract(sample, first, dtype=sample.dtype).ravel())
    level = np.arange(times.size, dtype=np.float64)
    n = int(times.sum())
    mean = float(times @ level) / n
    spread = float(times @ (level - mean) ** 2)
    reached = np.cumsum(times)
    middle = np.searchsorted(reached, [(n - 1) // 2, n // 2], side="right")
    return RoiStats(
        first + mean,
        math.sqrt(spread / (n - 1)) if n > 1 else math.nan,
        low,
        high,
        first + float(middle.mean()),
    )


def _sample(pixels: NDArray[np.generic], rect: Rect) -> NDArray[np.generic]:
    rows, columns = rect.slices
    return pixels[rows, columns][:: row_step(rect)]
