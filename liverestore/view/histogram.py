"""How many pixels have which count: raw and restored on one axis; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from liverestore.view.levels import saturation_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from liverestore.frame import Frame, Restored
    from liverestore.view.levels import Levels

__all__ = [
    "AxisFollower",
    "Bins",
    "Curve",
    "HistogramMeter",
    "HistogramPicture",
    "bins_over",
    "count_in",
    "heights",
    "round_ticks",
    "sample_of",
    "span_of",
]

BINS = 256
MAX_SAMPLES = 131_072
"""More pixels than this are not read: the curve of a histogram does not get smoother."""
_OUTLIERS = 1e-4
"""Share of the pixels at either end that does not decide where the axis ends: hot pixels."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Equally wide bins, in counts, from the lower edge of the first one."""

    low: float
    width: float
    number: int

    @property
    def high(self) -> float:
        """Upper edge of the last bin."""
        return self.low + self.width * self.number


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One image's histogram."""

    counts: NDArray[np.int64]
    """(bins,) pixels read in each bin."""
    read: int
    """Pixels read, also those outside of the bins."""
    lowest: float
    highest: float
    """Smallest and largest count read."""
    below: float
    above: float
    """Shares (0..1) of the pixels read that lie below black and above white."""


@dataclass(frozen=True, slots=True, eq=False)
class HistogramPicture:
    """What the histogram shows at a moment."""

    bins: Bins
    axis: tuple[float, float]
    """Counts at the left and right end."""
    raw: Curve | None
    restored: Curve | None
    saturation: int | None
    """The camera's highest count; None where it has none."""
    whole: bool
    """Whether the raw image has whole counts."""
    every: int
    """Of the rows and columns every n-th was read."""


def sample_of(
    pixels: NDArray[np.generic], max_samples: int = MAX_SAMPLES
) -> tuple[NDArray[np.generic], int]:
    """Every n-th row and column of `pixels` (Y, X) as (N,) finite values, and n."""
    every = max(1, math.ceil(math.sqrt(pixels.size / max_samples)))
    sample = pixels[::every, ::every].ravel()
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
    return sample, every


def span_of(sample: NDArray[np.generic], outliers: float = _OUTLIERS) -> tuple[float, float] | None:
    """Counts between which all but a share of `outliers` at either end lie; None if empty."""
    if sample.size == 0:
        return None
    skip = int(outliers * sample.size)
    ends = (skip, sample.size - 1 - skip)
    ordered = np.partition(sample, ends)
    return float(ordered[ends[0]]), float(ordered[ends[1]])


def bins_over(low: float, high: float, *, whole: bool, number: int = BINS) -> Bins:
    """At most `number` bins that cover `low` to `high` (counts).

    With `whole` counts each bin holds the same number of them, else the curve would be a
    comb.

    >>> bins_over(0, 1023, whole=True)
    Bins(low=-0.5, width=4.0, number=256)
    """
    if not whole:
        return Bins(low, max(high - low, 1e-12) / number, number)
    first, last = math.floor(low), math.ceil(high)
    width = max(1, math.ceil((last - first + 1) / number))
    return Bins(first - 0.5, float(width), math.ceil((last - first + 1) / width))


def count_in(bins: Bins, sample: NDArray[np.generic]) -> NDArray[np.int64]:
    """(bins,) number of values of `sample` (N,) in each bin; those outside count nowhere."""
    at = (sample.astype(np.float32) - np.float32(bins.low)) / np.float32(bins.width)
    # One bin more at either end takes what is outside.
    np.clip(at, -1.0, bins.number, out=at)
    found = np.bincount((at + 1.0).astype(np.intp), minlength=bins.number + 2)
    inside: NDArray[np.int64] = found[1 : bins.number + 1].astype(np.int64)
    return inside


def heights(counts: NDArray[np.int64], top: int, *, log: bool) -> NDArray[np.float64]:
    """Heights (0..1) of the bins of a plot that ends at `top` pixels; log of 1 + pixels."""
    if top <= 0:
        return np.zeros(counts.shape)
    values = counts.astype(np.float64)
    return np.log1p(values) / math.log1p(top) if log else values / top


def round_ticks(low: float, high: float, wanted: int) -> list[float]:
    """About `wanted` round numbers between `low` and `high`.

    >>> round_ticks(0.0, 1000.0, 5)
    [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    if not high > low:
        return []
    raw_step = (high - low) / max(1, wanted)
    decade = 10.0 ** math.floor(math.log10(raw_step))
    step = next(m * decade for m in (1.0, 2.0, 5.0, 10.0) if m * decade >= raw_step * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


class AxisFollower:
    """Ends of the axis that follow the data without trembling.

    They move at once when the data leave them, and else only when the data fill less than
    `least_filled` of them.
    """

    def __init__(self, least_filled: float = 0.6) -> None:
        self._least_filled = least_filled
        self._axis: tuple[float, float] | None = None

    def reset(self) -> None:
        """Fit the next data closely."""
        self._axis = None

    def update(self, span: tuple[float, float], levels: Sequence[Levels]) -> tuple[float, float]:
        """Ends (counts) for data that span `span` and for the `levels` set.

        A level further away than the data are wide does not pull the axis there: the data
        would become a spike.
        """
        low, high = span
        reach = max(high - low, 1.0)
        low = min([low, *(max(black, span[0] - reach) for black, _ in levels)])
        high = max([high, *(min(white, span[1] + reach) for _, white in levels)])
        if self._axis is not None:
            left, right = self._axis
            inside = left <= low and high <= right
            if inside and high - low >= self._least_filled * (right - left):
                return self._axis
        gap = 0.08 * max(high - low, 1.0)
        # No camera counts below zero: room to the left of it would say nothing.
        self._axis = (max(low - gap, min(low, 0.0)), high + gap)
        return self._axis


class HistogramMeter:
    """Histograms of what is shown, measured at most every `period_s` (5 Hz).

    Time is handed in, in seconds of any one clock.
    """

    def __init__(self, *, period_s: float = 0.2) -> None:
        self._period_s = period_s
        self._measured_at_s: float | None = None
        self._measured_of: object = None
        self._axis = AxisFollower()
        self._picture: HistogramPicture | None = None
        self.whole_range = False
        """Whether the axis shows all counts that the camera can give."""

    @property
    def picture(self) -> HistogramPicture | None:
        """The last measurement."""
        return self._picture

    def reset(self) -> None:
        """Measure at the next chance, and fit the axis anew."""
        self._measured_at_s = None
        self._measured_of = None
        self._axis.reset()

    def update(
        self,
        raw: Frame | None,
        restored: Frame | Restored | None,
        levels: tuple[Levels | None, Levels | None],
        now_s: float,
        *,
        hold_axis: bool = False,
    ) -> HistogramPicture | None:
        """The histograms at `now_s` of `raw` and `restored`, whose `levels` are given.

        The last one again while nothing changed or it is too early; None before the first
        image. `hold_axis` keeps the ends of the axis, while the mouse holds on to it.
        """
        early = self._measured_at_s is not None and now_s - self._measured_at_s < self._period_s
        of = (raw, restored, levels, self.whole_range)
        same = isinstance(self._measured_of, tuple) and all(
            a is b or (i >= 2 and a == b)
            for i, (a, b) in enumerate(zip(of, self._measured_of, strict=True))
        )
        if raw is None or early or same:
            return self._picture
        self._measured_at_s, self._measured_of = now_s, of
        picture = self._measure(raw, restored, levels, hold_axis)
        if picture is not None:
            self._picture = picture
        return self._picture

    def _measure(
        self,
        raw: Frame,
        restored: Frame | Restored | None,
        levels: tuple[Levels | None, Levels | None],
        hold_axis: bool,
    ) -> HistogramPicture | None:
        raw_sample, every = sample_of(raw.pixels)
        made = None if restored is None else sample_of(restored.pixels)[0]
        samples = [s for s in (raw_sample, made) if s is not None]
        spans = [span for span in map(span_of, samples) if span is not None]
        if not spans:
            return None
        saturation = saturation_level(raw.header)
        whole = raw.header.dtype != "float32"
        span = (min(low for low, _ in spans), max(high for _, high in spans))
        if self.whole_range and saturation is not None:
            axis = (0.0, float(saturation))
        elif hold_axis and self._picture is not None:
            axis = self._picture.axis
        else:
            axis = self._axis.update(span, [pair for pair in levels if pair is not None])
        bins = bins_over(*axis, whole=whole)
        return HistogramPicture(
            bins,
            axis,
            _curve(bins, raw_sample, levels[0]),
            None if made is None else _curve(bins, made, levels[1]),
            saturation,
            whole,
            every,
        )


def _curve(bins: Bins, sample: NDArray[Any], levels: Levels | None) -> Curve | None:
    if sample.size == 0:
        return None
    below = above = 0.0
    if levels is not None:
        below = float(np.count_nonzero(sample < levels[0])) / sample.size
        above = float(np.count_nonzero(sample > levels[1])) / sample.size
    return Curve(
        count_in(bins, sample), sample.size, float(sample.min()), float(sample.max()), below, above
    )
