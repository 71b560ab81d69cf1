"""Counts along a line across the image, averaged over its width; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.roi import Place

__all__ = ["Line", "carried_line", "clipped_line", "profile", "profile_interval_s"]

_PIECE = 128
_AROUND = 8
"""Pixels beside the samples that enter a spline; one farther away counts less than 1e-4."""


@dataclass(frozen=True, slots=True)
class Line:
    """From (x0, y0) to (x1, y1) in image pixels; the first pixel's centre is at (0.5, 0.5)."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def length_px(self) -> float:
        """Between the ends."""
        return math.hypot(self.x1 - self.x0, self.y1 - self.y0)

    def away(self, at: tuple[float, float]) -> float:
        """Distance in pixels of the point (x, y) `at` from the line between its ends."""
        dx, dy = self.x1 - self.x0, self.y1 - self.y0
        share = 0.0
        if self.length_px > 0:
            share = ((at[0] - self.x0) * dx + (at[1] - self.y0) * dy) / self.length_px**2
        share = min(max(share, 0.0), 1.0)
        return math.hypot(at[0] - self.x0 - share * dx, at[1] - self.y0 - share * dy)


def profile(
    pixels: NDArray[np.generic], line: Line, width_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance from the line's start in pixels, and counts there, both (N,) float64.

    Samples are one pixel apart, on `width_px` lines side by side one pixel apart, over which
    the mean is taken; where some of them run outside of the (Y, X) `pixels`, over the others.
    Not a number where all are outside. Values between pixels by cubic splines: a linear
    interpolation would widen a sharp peak by several percent.
    """
    steps = max(1, math.floor(line.length_px))
    distance = np.arange(steps + 1, dtype=np.float64)
    length = max(line.length_px, 1e-12)
    ux, uy = (line.x1 - line.x0) / length, (line.y1 - line.y0) / length
    aside = np.arange(width_px, dtype=np.float64) - (width_px - 1) / 2
    x = line.x0 + ux * distance[:, None] - uy * aside
    y = line.y0 + uy * distance[:, None] + ux * aside
    height, width = pixels.shape
    inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    values = np.empty(x.shape)
    # Piece by piece, because all that lies around a long slanting line is most of the frame.
    for first in range(0, steps + 1, _PIECE):
        piece = slice(first, first + _PIECE)
        values[piece] = _between(pixels, x[piece] - 0.5, y[piece] - 0.5)
    used = inside.sum(axis=1)
    mean = np.full(steps + 1, np.nan)
    np.divide(np.where(inside, values, 0.0).sum(axis=1), used, out=mean, where=used > 0)
    return distance, mean


def profile_interval_s(line: Line, width_px: int) -> float:
    """Time between two profiles: 0.1 s, longer where more than 4096 samples are taken.

    So their cost stays below some 6 % of the time, whatever the length.
    """
    return 0.1 * max(1.0, line.length_px * width_px / 4096)


def _between(
    pixels: NDArray[np.generic], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values at columns `x` and rows `y`, which count from the pixels' centres."""
    spans = []
    for at, size in ((y, pixels.shape[0]), (x, pixels.shape[1])):
        first = min(max(math.floor(at.min()) - _AROUND, 0), size - 1)
        spans.append(slice(first, max(min(math.ceil(at.max()) + _AROUND + 1, size), first + 1)))
    spline = ndimage.spline_filter(pixels[spans[0], spans[1]], order=3, mode="mirror")
    places = [y - spans[0].start, x - spans[1].start]
    values: NDArray[np.float64] = ndimage.map_coordinates(
        spline, places, order=3, mode="mirror", prefilter=False
    )
    return values


def clipped_line(line: Line, shape: tuple[int, int]) -> Line | None:
    """What of `line` lies in a frame of `shape` (Y, X); None for less than one pixel."""
    start, end = 0.0, 1.0
    for at, by, size in (
        (line.x0, line.x1 - line.x0, shape[1]),
        (line.y0, line.y1 - line.y0, shape[0]),
    ):
        if by == 0.0:
            if not 0.0 <= at <= size:
                return None
            continue
        enters, leaves = sorted((-at / by, (size - at) / by))
        start, end = max(start, enters), min(end, leaves)
    if (end - start) * line.length_px < 1.0:
        return None
    dx, dy = line.x1 - line.x0, line.y1 - line.y0
    return Line(line.x0 + start * dx, line.y0 + start * dy, line.x0 + end * dx, line.y0 + end * dy)


def carried_line(line: Line, old: Place, new: Place, shape: tuple[int, int]) -> Line | None:
    """The same line across the sample in a frame of `shape` placed `new`; None outside."""
    start, end = old.carry(line.x0, line.y0, new), old.carry(line.x1, line.y1, new)
    return clipped_line(Line(*start, *end), shape)
