"""Pixels of frames as columns of numbers, from which the noise of a camera is estimated."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Samples",
    "fine_samples",
    "plain_samples",
    "saturation",
    "window",
    "without",
    "without_rows",
]

FloatArray = NDArray[np.float64]

_HIGH_PASS = np.array([1.0, -2.0, 1.0])
"""Second difference; applied along both axes it lets no plane and no straight edge along an
axis through (Immerkaer, CVIU 64, 300, 1996)."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Pixels as columns: own `level`; `residual`, whose variance is that of one pixel; a
    `guide` to the level that shares no noise with them, so that sorting by it favours
    neither high nor low values; a `smooth` level; the steepness of the picture there.
    """

    level: FloatArray
    residual: FloatArray
    guide: FloatArray
    smooth: FloatArray
    slope: FloatArray
    plain: FloatArray

    @staticmethod
    def joined(parts: list[Samples]) -> Samples:
        """All pixels of all parts."""
        return Samples(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(Samples)
            )
        )

    def chosen(self, which: NDArray[np.bool_]) -> Samples:
        """The pixels where `which` (N,) is true."""
        return Samples(*(getattr(self, field.name)[which] for field in fields(self)))


def window(shape: tuple[int, ...], pixels: int, number: int) -> tuple[slice, slice]:
    """The `number`-th of windows of at most so many pixels, spread over a frame (Y, X)."""
    share = min(1.0, float(np.sqrt(pixels / (shape[0] * shape[1]))))
    out = []
    # Golden-ratio steps: any few windows lie far apart.
    for length, step in zip(shape, (0.7549, 0.5698), strict=True):
        size = min(length, max(int(length * share), 16))
        start = round((0.5 + number * step) % 1 * (length - size))
        out.append(slice(start, start + size))
    return out[0], out[1]


def plain_samples(difference: FloatArray, level: FloatArray, bad: NDArray[np.bool_]) -> Samples:
    """Differences as they are, against the mean of both frames."""
    three = _box(level, 1)
    guide = (9 * three - level) / 8
    use = ~bad
    flat = np.zeros(int(use.sum()))
    return Samples(level[use], difference[use], guide[use], three[use], flat, difference[use])


def without(image: FloatArray, bad: NDArray[np.bool_]) -> FloatArray:
    """Bad pixels replaced by the median of the good ones."""
    if not bad.any():
        return image
    return np.where(bad, np.median(image[~bad]) if not bad.all() else 0.0, image)


def fine_samples(picture: FloatArray, level: FloatArray, bad: NDArray[np.bool_]) -> Samples:
    """High-passed `picture` against the (Y, X) `level` around it, where nothing is bad."""
    residual = _separable(picture, _HIGH_PASS) / 6
    three = _box(level, 1)
    guide = (49 * _box(level, 3) - 9 * three) / 40
    # Steepness from two blocks on either side, which the residual does not see.
    block = _box(level, 2)
    slope = np.hypot(
        np.roll(block, -4, 0) - np.roll(block, 4, 0), np.roll(block, -4, 1) - np.roll(block, 4, 1)
    )
    use = _box(bad.astype(np.float64), 3) == 0
    use[:6], use[-6:], use[:, :6], use[:, -6:] = False, False, False, False
    own = _separable(level, _HIGH_PASS**2) / 36
    return Samples(own[use], residual[use], guide[use], three[use], slope[use], picture[use])


def saturation(counts: NDArray[np.generic]) -> float:
    """Counts from here on are clipped: the top of an unsigned integer type, else infinity."""
    if counts.dtype.kind == "u":
        return float(2 ** (8 * counts.dtype.itemsize) - 1)
    return float("inf")


def without_rows(difference: FloatArray) -> FloatArray:
    """`difference` (Y, X) without what each row has in common; things that move are clipped."""
    limit = 3 * 1.4826 * float(np.median(np.abs(difference)))
    rows = np.clip(difference, -limit, limit).mean(axis=1, keepdims=True)
    return np.asarray(difference - rows)


def _box(image: FloatArray, radius: int) -> FloatArray:
    """Mean of (2 radius + 1) squared pixels, borders mirrored."""
    return _separable(image, np.full(2 * radius + 1, 1 / (2 * radius + 1)))


def _separable(image: FloatArray, kernel: FloatArray) -> FloatArray:
    """Odd symmetric kernel along both axes, borders mirrored."""
    r = kernel.size // 2
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (r, r)
        padded = np.pad(image, width, mode="reflect")
        n = image.shape[axis]
        image = np.sum(
            [w * padded.take(range(i, i + n), axis=axis) for i, w in enumerate(kernel)], axis=0
        )
    return image
