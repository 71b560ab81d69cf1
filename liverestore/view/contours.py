"""Contour lines of the surface refocused to, in image pixels; no Qt.

A surface is smooth, so some thousand places of it are enough, whatever the size of the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.dpm import Dpm

__all__ = ["Contour", "Contours", "find_contours", "sampled"]

_NODES = 65
"""Along the longer side of the frame."""
_MOST_LINES = 8
_PLACES_PER_PX = 4096
_NO_EDGE = 0.3137
"""Crossings lie at even parts of a pixel, which must not be where places are parted."""


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """The places of one distance."""

    level_um: float
    segments: NDArray[np.float64]
    """(N, 2, 2): the ends (x, y) of pieces of the line, in image pixels."""
    limit: bool
    """Whether it is where the engine's reach ends."""

    def runs(self) -> list[list[tuple[float, float]]]:
        """The same pieces joined end to end, so that they are painted as lines without seams."""
        # Two pieces compute the place where they meet each by its own way.
        places = np.floor(self.segments * _PLACES_PER_PX + _NO_EDGE).astype(np.int64)
        keys = [((a[0], a[1]), (b[0], b[1])) for a, b in places.tolist()]
        points = [((a[0], a[1]), (b[0], b[1])) for a, b in self.segments.tolist()]
        meeting: dict[tuple[int, int], list[int]] = {}
        for n, pair in enumerate(keys):
            for key in pair:
                meeting.setdefault(key, []).append(n)
        # Where a line passes through a corner, some pieces are a mere point.
        left = {n for n, (one, other) in enumerate(keys) if one != other}
        runs = []
        for first in range(len(keys)):
            if first not in left:
                continue
            left.remove(first)
            run, ends = list(points[first]), list(keys[first])
            # Once to either end; a closed line comes back by itself.
            for _ in range(2):
                run.reverse()
                ends.reverse()
                while (after := next((n for n in meeting[ends[1]] if n in left), None)) is not None:
                    left.remove(after)
                    far = 1 if keys[after][0] == ends[1] else 0
                    run.append(points[after][far])
                    ends[1] = keys[after][far]
            runs.append(run)
        return runs

    @property
    def text(self) -> str:
        """The level as it is read on the screen."""
        number = f"{self.level_um:+g}".replace("-", "\u2212") if self.level_um else "0"
        return f"{number} µm" + (" limit" if self.limit else "")

    def label_at(self, place: tuple[float, float], most: int = 1) -> list[tuple[float, float]]:
        """Up to `most` points (x, y) of the line, the nearest to `place` first."""
        middles = self.segments.mean(1)
        order = np.square(middles - np.array(place)).sum(1).argsort(kind="stable")
        chosen = order[:: max(1, math.ceil(len(order) / most))]
        return [(float(x), float(y)) for x, y in middles[chosen]]


@dataclass(frozen=True, slots=True, eq=False)
class Contours:
    """The lines of one surface over frames of `shape` (Y, X)."""

    shape: tuple[int, int]
    lines: tuple[Contour, ...]
    beyond: NDArray[np.bool_] | None
    """(y, x) of a coarse grid over the frame: where the engine does not reach. None: nowhere."""
    grid: tuple[float, float, float, float]
    """(left, top, width, height) of the grid's cells, in image pixels."""
    beyond_share: float
    """Of the frame, 0 to 1."""


def find_contours(
    dpm: Dpm, shape: tuple[int, int], pixel_size_um: float | None, reach_um: float
) -> Contours:
    """Lines at round distances within `reach_um` above and below the plane in focus, and at it.

    Raises `UserError` where `dpm` does not fit frames of `shape`.
    """
    surface, x, y = sampled(dpm, shape, pixel_size_um)
    lines = []
    for level_um, limit in _levels(float(surface.min()), float(surface.max()), reach_um):
        segments = _segments(surface - level_um, x, y)
        if len(segments):
            lines.append(Contour(level_um, segments, limit))
    beyond = np.abs(surface) > reach_um * (1 + 1e-6)
    steps = [
        float(n[1] - n[0]) if len(n) > 1 else float(s) for n, s in ((x, shape[1]), (y, shape[0]))
    ]
    grid = (x[0] - steps[0] / 2, y[0] - steps[1] / 2, steps[0] * len(x), steps[1] * len(y))
    return Contours(
        shape, tuple(lines), beyond if beyond.any() else None, grid, float(beyond.mean())
    )


def sampled(
    dpm: Dpm, shape: tuple[int, int], pixel_size_um: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(y, x) um at a grid of places, and their x and y in image pixels.

    Raises `UserError` where `dpm` does not fit frames of `shape`.
    """
    longer = max(shape)
    step = max(1.0, (longer - 1) / (_NODES - 1))
    counts = [int((n - 1) / step + 1e-6) + 1 for n in shape]
    places = [
        n / 2 + (np.arange(c) - (c - 1) / 2) * step for n, c in zip(shape, counts, strict=True)
    ]
    if dpm.map_shape is not None or pixel_size_um is None:
        # A map has values at its own pixels only.
        whole = dpm.surface_um(shape, pixel_size_um)
        rows, columns = (np.floor(place).astype(np.intp) for place in places)
        values = whole[np.ix_(rows, columns)]
    else:
        values = dpm.surface_um((counts[0], counts[1]), pixel_size_um * step)
    y, x = (np.asarray(place, np.float64) for place in places)
    return values.astype(np.float64), x, y


def _levels(low: float, high: float, reach_um: float) -> list[tuple[float, bool]]:
    """Round levels between `low` and `high` within the reach, and the reach itself: (um, limit)."""
    levels = [(sign * reach_um, True) for sign in (-1.0, 1.0) if low < sign * reach_um < high]
    low, high = max(low, -reach_um), min(high, reach_um)
    if high - low < 1e-3:
        return levels
    step = 10.0 ** math.floor(math.log10((high - low) / _MOST_LINES))
    step *= next(f for f in (1, 2, 5, 10) if (high - low) / (f * step) <= _MOST_LINES)
    first, last = math.ceil(low / step), math.floor(high / step)
    taken = {level for level, _ in levels}
    rounds = [round(n * step, 9) + 0.0 for n in range(first, last + 1)]
    return levels + [(level, False) for level in rounds if level not in taken]


def _segments(
    height: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where `height` (y, x) is 0: a piece in each of two triangles of each cell that it crosses."""
    if min(height.shape) < 2:
        return np.empty((0, 2, 2))
    # A corner that is exactly 0 would end a line in two triangles, or in none.
    height = np.where(height == 0, 1e-12, height)
    corners = np.stack(np.broadcast_arrays(x[None, :], y[:, None], height), -1)
    a, b = corners[:-1, :-1].reshape(-1, 3), corners[:-1, 1:].reshape(-1, 3)
    c, d = corners[1:, :-1].reshape(-1, 3), corners[1:, 1:].reshape(-1, 3)
    triangles = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)])
    above = triangles[:, :, 2] > 0
    triangles = triangles[above.any(1) & ~above.all(1)]
    following = np.roll(triangles, -1, 1)
    crossed = (triangles[:, :, 2] > 0) != (following[:, :, 2] > 0)
    # Exactly two of the three sides of such a triangle are crossed.
    start, end = triangles[crossed], following[crossed]
    share = start[:, 2] / (start[:, 2] - end[:, 2])
    points = start[:, :2] + share[:, None] * (end[:, :2] - start[:, :2])
    return np.asarray(points.reshape(-1, 2, 2), np.float64)
