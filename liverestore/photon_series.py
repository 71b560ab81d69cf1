"""A series of frames under steady light, reduced frame by frame to what photon transfer needs.

Temporal noise is taken from the differences of successive frames, in which everything that
stays (offsets, unequal pixels, uneven light) is gone, and slow drift nearly so. The mean of
each row of a difference is taken out first: row noise, and light that flickers faster than a
rolling shutter reads, would otherwise count as noise of the pixels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError

__all__ = ["SeriesSums", "sum_series"]

FloatMap = NDArray[np.float64]

_LEAST_PX = 32


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSums:
    """One series of `frames` frames. Maps are (Y, X), in counts or counts squared."""

    frames: int
    mean: FloatMap
    """Mean of each pixel, as recorded; float64."""
    variance: NDArray[np.float32]
    """Temporal variance of each pixel without the part that its row shares, from successive
    differences; of light that was scaled to the mean of the first frame."""
    slow_variance: NDArray[np.float32]
    """The same from the spread about the mean, so that drift counts in full."""
    frame_means: FloatMap
    """(T,) mean of each frame; above the dark offset for flats."""
    row_means: FloatMap
    """(T, Y) mean of each row, likewise."""
    column_means: FloatMap
    """(T, X)."""
    zero_share: float
    """Of all values, those at or below zero."""
    top_share: float
    """Those at or above the highest number that the camera can give."""
    highest: float
    highest_share: float
    """The highest value, and the share of all values that are equal to it."""

    @property
    def degrees_of_freedom(self) -> float:
        """Of `variance` in one pixel: 2 (T-1)^2 / (3T-4), von Neumann et al. 1941."""
        return 2 * (self.frames - 1) ** 2 / (3 * self.frames - 4)

    @property
    def flicker(self) -> float:
        """Relative rms of the frame means."""
        mean = float(self.frame_means.mean())
        return float(self.frame_means.std(ddof=1) / mean) if mean > 0 else float("inf")

    @property
    def signal_factor(self) -> float:
        """`variance` of light over what the mean signal gives; 1 without flicker."""
        m = self.frame_means
        return float(m[0] ** 2 * np.mean(1 / m) / m.mean())

    @property
    def readout_factor(self) -> float:
        """`variance` of the readout over that of an unscaled frame; 1 without flicker."""
        return float(np.mean((self.frame_means[0] / self.frame_means) ** 2))


def sum_series(
    frames: Iterable[NDArray[np.generic]],
    name: str,
    *,
    least: int,
    dark: FloatMap | None = None,
    top: float | None = None,
) -> SeriesSums:
    """Read `frames`, each (Y, X) of counts, once and one at a time.

    `name` is what messages call the series. `dark`: the offset map; with it each frame is
    taken above it and scaled to the mean of the first, so that a lamp that flickers as a whole
    adds no noise. `top`: the highest number that the camera gives; None takes that of the
    integer type. Raises `UserError` for fewer than `least` frames, frames that are no (Y, X)
    pictures of one size of 32x32 or more, of numbers that are not finite, or without light
    where `dark` is given.
    """
    work: _Work | None = None
    number = 0
    for number, frame in enumerate(frames, start=1):
        counts = np.asarray(frame)
        if counts.ndim != 2 or min(counts.shape) < _LEAST_PX or counts.dtype.kind not in "uif":
            raise UserError(
                f"{name}: got a frame of shape {counts.shape}, {counts.dtype}; give (Y, X) "
                f"frames of counts, {_LEAST_PX}x{_LEAST_PX} or more"
            )
        wanted = counts.shape if dark is None else dark.shape
        if work is None:
            work = _Work(wanted, dark, _top(counts, top))
        if counts.shape != work.shape:
            raise UserError(
                f"{name}: got a frame of {_size(counts.shape)} among frames of "
                f"{_size(work.shape)}; take all series with one ROI and binning"
            )
        if counts.dtype.kind == "f" and not np.isfinite(counts).all():
            raise UserError(f"{name}: frame {number} has NaN or infinite pixels; take it again")
        work.add(counts)
        if dark is not None and work.frame_means[-1] <= 0:
            raise UserError(
                f"{name}: frame {number} is not brighter than the darks; open the light path, "
                "or give the darks as darks"
            )
    if work is None or number < least:
        raise UserError(
            f"{name}: got {number} frames, at least {least} are needed to know the noise; "
            "take more frames"
        )
    return work.finish()


def _top(counts: NDArray[np.generic], top: float | None) -> float:
    if top is not None:
        return top
    if counts.dtype.kind == "f":
        return float("inf")
    bits = 8 * counts.dtype.itemsize - (counts.dtype.kind == "i")
    return float(2**bits - 1)


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


class _Work:
    def __init__(self, shape: tuple[int, ...], dark: FloatMap | None, top: float) -> None:
        self.shape = shape
        self._dark, self._top = dark, top
        self._sum = np.zeros(shape)
        self._steps = np.zeros(shape)
        self._offsets, self._squares = np.zeros(shape), np.zeros(shape)
        self._first: FloatMap | None = None
        self._last: FloatMap | None = None
        self.frame_means: list[float] = []
        self._rows: list[FloatMap] = []
        self._columns: list[FloatMap] = []
        self._zeros = self._tops = self._at_highest = 0
        self._highest = -np.inf

    def add(self, counts: NDArray[np.generic]) -> None:
        frame = counts.astype(np.float64)
        self._zeros += int(np.count_nonzero(frame <= 0))
        self._tops += int(np.count_nonzero(frame >= self._top))
        highest = float(frame.max())
        if highest > self._highest:
            self._highest, self._at_highest = highest, 0
        if highest == self._highest:
            self._at_highest += int(np.count_nonzero(frame == highest))
        self._sum += frame
        if self._dark is not None:
            frame -= self._dark
        rows = frame.mean(axis=1)
        mean = float(rows.mean())
        self.frame_means.append(mean)
        self._rows.append(rows)
        self._columns.append(frame.mean(axis=0))
        if self._dark is not None:
            scale = self.frame_means[0] / mean if mean > 0 else 1.0
            frame *= scale
            rows = rows * scale
        frame -= rows[:, None]
        if self._first is None or self._last is None:
            self._first = frame
        else:
            self._steps += np.square(frame - self._last)
            away = frame - self._first
            self._offsets += away
            self._squares += np.square(away)
        self._last = frame

    def finish(self) -> SeriesSums:
        t = len(self.frame_means)
        # The row's mean was taken from its own pixels.
        whole = self.shape[1] / (self.shape[1] - 1)
        values = t * self._sum.size
        return SeriesSums(
            frames=t,
            mean=self._sum / t,
            variance=(self._steps * (whole / (2 * (t - 1)))).astype(np.float32),
            slow_variance=((self._squares - self._offsets**2 / t) * (whole / (t - 1))).astype(
                np.float32
            ),
            frame_means=np.array(self.frame_means),
            row_means=np.array(self._rows),
            column_means=np.array(self._columns),
            zero_share=self._zeros / values,
            top_share=self._tops / values,
            highest=self._highest,
            highest_share=self._at_highest / values,
        )
