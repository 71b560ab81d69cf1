"""Black and white level of the display, and the warning that the camera saturates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import Frame, FrameHeader

__all__ = [
    "Autostretch",
    "Levels",
    "level_decimals",
    "saturated_fraction",
    "saturation_level",
    "tail_levels",
]

Levels = tuple[float, float]
"""(black, white) in counts, black < white."""


def _apart(low: float, high: float) -> Levels:
    """Levels of a flat image must still be two different numbers."""
    return (low, high) if high > low else (low, low + max(1.0, abs(low) * 1e-6))


def tail_levels(
    pixels: NDArray[np.generic], ignore_percent: float, *, max_samples: int = 65_536
) -> Levels | None:
    """Levels (counts) that leave `ignore_percent` of the pixels outside at either end.

    `pixels` is (Y, X) of any real dtype; every n-th row and column is read, so that at
    most `max_samples` enter. NaN and infinite pixels are left out; None when none is left.
    """
    stride = max(1, math.ceil(math.sqrt(pixels.size / max_samples)))
    sample = pixels[::stride, ::stride].astype(np.float64).ravel()
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return None
    tail = min(max(ignore_percent, 0.0), 49.9)
    low, high = np.percentile(sample, [tail, 100.0 - tail])
    return _apart(float(low), float(high))


def level_decimals(levels: Levels, *, whole: bool) -> int:
    """Decimals that tell the levels apart: none for an integer camera (`whole`).

    >>> level_decimals((0.0, 1.0), whole=False), level_decimals((126.0, 45_807.9), whole=False)
    (3, 0)
    """
    if whole:
        return 0
    return min(9, max(0, 3 - math.floor(math.log10(levels[1] - levels[0]))))


class Autostretch:
    """Levels that follow the image at their own rate, without flicker.

    Measured at most every `period_s` and smoothed with the time constant
    `time_constant_s`; the first measurement after `reset` is taken as it is. Time is
    handed in, in seconds of any one clock.
    """

    def __init__(
        self,
        ignore_percent: float = 0.1,
        *,
        period_s: float = 0.2,
        time_constant_s: float = 0.4,
    ) -> None:
        self.ignore_percent = ignore_percent
        self._period_s = period_s
        self._time_constant_s = time_constant_s
        self._smooth: Levels | None = None
        self._measured_at_s: float | None = None

    @property
    def levels(self) -> Levels | None:
        """The levels now; None before the first measurement."""
        return self._smooth

    def reset(self) -> None:
        """Take the next image's levels at once (another frame size, another percentage)."""
        self._smooth = None
        self._measured_at_s = None

    def update(self, pixels: NDArray[np.generic], now_s: float) -> Levels | None:
        """Levels for showing `pixels` (Y, X) at `now_s`, in counts."""
        since = None if self._measured_at_s is None else now_s - self._measured_at_s
        if since is not None and since < self._period_s:
            return self._smooth
        measured = tail_levels(pixels, self.ignore_percent)
        if measured is None:
            return self._smooth
        self._measured_at_s = now_s
        if self._smooth is None or since is None:
            self._smooth = measured
        else:
            share = 1.0 - math.exp(-since / self._time_constant_s)
            low, high = self._smooth
            self._smooth = _apart(
                low + share * (measured[0] - low), high + share * (measured[1] - high)
            )
        return self._smooth


def saturation_level(header: FrameHeader) -> int | None:
    """The highest count the camera can give; None for float32, which has none."""
    if header.dtype == "float32":
        return None
    full = int(np.iinfo(header.dtype).max)
    return full if header.bit_depth is None else min(full, 2**header.bit_depth - 1)


def saturated_fraction(raw: Frame) -> float | None:
    """Share (0..1) of the raw frame's pixels at the camera's highest count.

    Counted on every pixel of the raw frame: a restored image can hide saturation.
    """
    level = saturation_level(raw.header)
    if level is None or raw.pixels.size == 0:
        return None
    return float(np.count_nonzero(raw.pixels >= np.asarray(level, raw.pixels.dtype))) / float(
        raw.pixels.size
    )
