"""Numbers of a camera out of series that were reduced to sums, each with its uncertainty.

An uncertainty is the standard uncertainty found by leaving out one band of the chip after the
other (delete-one jackknife; Efron & Stein, Ann. Stat. 9, 586, 1981), which needs no assumption
on how noise is distributed. Rows and columns are both tried and the larger result is given,
because noise that a row or a column shares makes one of them too small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Measured", "Tiles", "jackknife", "line_variance", "relative_response", "shrunk"]

FloatMap = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BANDS = 24
_SHADING_PX = 33
_LEAST_LIGHT = 0.1
"""Of the median: where there is less, light tells nothing about a pixel."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and its standard uncertainty, in the same unit."""

    value: float
    uncertainty: float

    def __str__(self) -> str:
        return f"{self.value:.4g} +- {self.uncertainty:.1g}"

    def times(self, factor: float) -> Measured:
        """Both times an exactly known number."""
        return Measured(self.value * factor, self.uncertainty * abs(factor))

    def root(self) -> Measured:
        """Standard deviation of a variance; one that chance made negative gives 0."""
        variance, off = self.value, self.uncertainty
        value = float(np.sqrt(max(variance, 0.0)))
        # Both ends of the interval, since the derivative has no meaning near zero.
        low, high = (float(np.sqrt(max(v, 0.0))) for v in (variance - off, variance + off))
        return Measured(value, max(value - low, high - value, float(np.sqrt(off)) - value))


class Tiles:
    """Sums of maps over about 24 x 24 tiles of a chip of `shape` (Y, X)."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.starts = [np.linspace(0, n, min(_BANDS, n // 2) + 1).astype(int)[:-1] for n in shape]

    def sums(self, values: NDArray[np.generic]) -> FloatMap:
        """Of `values` (Y, X), per tile."""
        rows = np.add.reduceat(np.asarray(values, np.float64), self.starts[0], axis=0)
        return np.asarray(np.add.reduceat(rows, self.starts[1], axis=1))


def jackknife(
    statistic: Callable[..., float], *sums: FloatMap, along: tuple[int, ...] = (0, 1)
) -> Measured:
    """`statistic` of arrays of sums per tile, given their totals, and its uncertainty.

    Each array is (..., By, Bx), or (..., B) with `along=(0,)`; the tile axes are its last ones.
    """
    tile_axes = tuple(range(-len(along), 0))
    totals = [s.sum(axis=tile_axes) for s in sums]
    uncertainty = 0.0
    for axis in along:
        others = tuple(a for a in range(-len(along), 0) if a != axis - len(along))
        bands = [s.sum(axis=others) for s in sums]
        count = bands[0].shape[-1]
        left_out = np.array(
            [
                statistic(*(t - b[..., i] for t, b in zip(totals, bands, strict=True)))
                for i in range(count)
            ]
        )
        spread = float(np.sqrt((count - 1) * left_out.var()))
        uncertainty = max(uncertainty, spread)
    return Measured(float(statistic(*totals)), uncertainty)


def line_variance(line_means: FloatMap, pixel_variance: float, pixels: int) -> Measured:
    """Variance that whole lines of pixels have in common in a frame, counts squared.

    `line_means`: (T, lines); of darks. What the `pixels` of a line, each of `pixel_variance`,
    give by chance is taken off. Frames as a whole may drift.
    """
    steps = np.diff(line_means, axis=0)
    steps -= steps.mean(axis=1, keepdims=True)
    lines = steps.shape[1]
    per_line = np.square(steps).mean(axis=0) / 2 * (lines / (lines - 1))
    starts = np.linspace(0, lines, min(_BANDS, lines // 2) + 1).astype(int)[:-1]
    return jackknife(
        lambda total, n: total / n - pixel_variance / pixels,
        np.add.reduceat(per_line, starts),
        np.diff(np.append(starts, lines)).astype(np.float64),
        along=(0,),
    )


def relative_response(
    signal: FloatMap, noise_variance: FloatMap, usable: Mask, tiles: Tiles
) -> tuple[FloatMap, FloatMap, Measured]:
    """Response of each pixel against its surroundings, its noise, and its rms without noise.

    `signal`: (Y, X) mean light; `noise_variance`: that of this mean. Uneven light is wider than
    33 pixels and is divided out, so a response that differs over wider distances counts as
    light. Where a pixel is not usable or has a tenth of the median light or less, the response
    is 1 and its noise infinite. Returns the map (Y, X), its relative noise variance (Y, X) and
    the relative rms.
    """
    lit = usable & (signal > _LEAST_LIGHT * float(np.median(signal[usable])))
    shape = signal.shape
    # Light falls off smoothly and in proportion: a polynomial of its logarithm.
    y, x = (np.polynomial.chebyshev.chebvander(np.linspace(-1, 1, n), 4) for n in shape)
    orders = [(i, j) for i in range(5) for j in range(5 - i)]
    place_y, place_x = np.nonzero(lit)
    some = slice(None, None, max(1, place_y.size // 50_000))
    design = np.stack([y[place_y[some], i] * x[place_x[some], j] for i, j in orders], axis=-1)
    found = np.linalg.lstsq(design, np.log(signal[lit][some]), rcond=None)[0]
    table = np.zeros((5, 5))
    for (i, j), coefficient in zip(orders, found, strict=True):
        table[i, j] = coefficient
    wide = np.exp(y @ table @ x.T)
    ratio = np.where(lit, signal / wide, 0.0)
    weight = ndimage.uniform_filter(lit.astype(np.float64), _SHADING_PX, mode="mirror")
    near = ndimage.uniform_filter(ratio, _SHADING_PX, mode="mirror") / np.maximum(weight, 1e-9)
    shading = np.where(lit, near * wide, 1.0)
    response = np.where(lit, signal / shading, 1.0)
    response /= response[lit].mean()
    noise = np.where(lit, noise_variance / shading**2, np.inf)
    spread = jackknife(
        lambda n, first, second, by_chance: second / n - (first / n) ** 2 - by_chance / n,
        tiles.sums(lit),
        tiles.sums(np.where(lit, response, 0.0)),
        tiles.sums(np.where(lit, response**2, 0.0)),
        tiles.sums(np.where(lit, noise, 0.0)),
    )
    return response, noise, spread.root()


def shrunk(deviation: FloatMap, noise_variance: FloatMap, true_variance: float) -> FloatMap:
    """`deviation` from zero, weighed so that its own noise does not add pattern to frames.

    The Wiener weight true / (true + noise), per pixel.
    """
    weight = true_variance / np.maximum(true_variance + noise_variance, 1e-30)
    return np.asarray(np.where(np.isfinite(noise_variance), weight * deviation, 0.0))
