"""Row noise and fixed pattern of a camera, from frames of any specimen.

Row noise is what all pixels of a row have in common. Blocks of a row that lie apart share it
and share nothing else, so the mean product of their means is its variance; a second difference
from row to row first takes away what the specimen has in common with itself.

Fixed pattern is what the mean of the first half of a movie shares with the mean of the second.
So does a specimen that keeps still, but a microscope cannot image detail as fine as a pixel: of
detail that a high-pass filter of rising order lets through, the specimen's part falls, and the
part of a pattern that differs from pixel to pixel stays. Where the numbers of successive orders
do not agree, the image is sampled too coarsely, or has too few frames, and nothing is told.

Limits. Lines of a specimen that run exactly along the rows of a single frame count as row noise
there. Stretches of a pattern along rows or columns are found only as far as whole lines go.
Frames that were registered or resampled have their pattern smeared, and too little is found.
Response that differs from pixel to pixel counts as pattern in proportion to the light; the
darkest quarter of the picture is used, so that it is little.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

__all__ = ["fixed_pattern_counts", "row_noise_counts", "row_noise_counts_of_frame"]

FloatArray = NDArray[np.float64]

_BLOCKS = 8
_LEAST_BLOCK_PX = 8
_LEAST_FRAMES = 8
_PAIRS = 24
_CLIP = 5.0
_ORDERS = (2, 4, 6)
_AGREE = 0.15
_LEAST_SIGMA = 2.5
"""What is less than this many standard uncertainties above zero is called zero."""


def row_noise_counts(movie: NDArray[np.generic]) -> float | None:
    """Standard deviation of row noise, counts, from a (T, Y, X) movie with T >= 2.

    From differences of neighbouring frames, so that neither specimen nor fixed pattern enters
    unless it moves. 0.0 where chance explains it, None for rows that are too short or too
    few (64x16).
    """
    count = movie.shape[0]
    starts = np.unique(np.linspace(0, count - 2, min(count - 1, _PAIRS)).astype(int))
    part = _middle(movie)
    pairs = (
        _finite((part[t + 1].astype(np.float64) - part[t].astype(np.float64)) / np.sqrt(2))
        for t in starts
    )
    return _from_pictures(pairs)


def row_noise_counts_of_frame(frame: NDArray[np.generic]) -> float | None:
    """The same from a single (Y, X) frame: an upper bound, see the limits above."""
    return _from_pictures([_finite(_middle(frame).astype(np.float64))])


def fixed_pattern_counts(movie: NDArray[np.generic]) -> float | None:
    """Rms of the fixed offset pattern, counts, from a (T, Y, X) movie.

    Pattern of single pixels, of rows and of columns together. 0.0 where chance explains it.
    None where it cannot be told: fewer than 8 frames or 64x64 pixels, or a picture with detail
    as fine as a pixel.
    """
    if movie.shape[0] < _LEAST_FRAMES or min(movie.shape[1:]) < _BLOCKS * _LEAST_BLOCK_PX:
        return None
    # Frames in turn, so that both means show the same specimen however it moves.
    first, second = (
        _finite(sum(frame.astype(np.float64) for frame in frames) / len(frames))
        for frames in (_middle(movie)[0::2], _middle(movie)[1::2])
    )
    single = _single_pixel_variance(first, second)
    if single is None:
        return None
    lines = sum(
        _believed(_common(_block_means(a), _block_means(b))[None])
        for a, b in ((first, second), (first.T, second.T))
    )
    return float(np.sqrt(single + lines))


def _middle(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """The middle of large frames, which tells enough; the last two axes are (Y, X)."""
    rows, columns = (
        slice(max(0, (size - most) // 2), (size + most) // 2)
        for size, most in zip(pixels.shape[-2:], (512, 1024), strict=True)
    )
    return pixels[..., rows, columns]


def _finite(picture: FloatArray) -> FloatArray:
    good = np.isfinite(picture)
    if good.all():
        return picture
    return np.where(good, picture, np.median(picture[good]) if good.any() else 0.0)


def _from_pictures(pictures: Iterable[FloatArray]) -> float | None:
    values = []
    for picture in pictures:
        if picture.shape[0] < 16 or picture.shape[1] < _BLOCKS * _LEAST_BLOCK_PX:
            return None
        means = _block_means(picture)
        values.append(_common(means, means))
    return float(np.sqrt(_believed(np.array(values))))


def _common(one: FloatArray, two: FloatArray) -> FloatArray:
    """(rows,) mean product of different blocks of the same row in two pictures."""
    blocks = one.shape[1]
    products = one.sum(axis=1) * two.sum(axis=1) - (one * two).sum(axis=1)
    return np.asarray(products / (blocks * (blocks - 1)))


def _believed(values: FloatArray) -> float:
    """Mean of (pictures, rows) values, or 0.0 where chance explains it."""
    # A second difference reaches over three rows: neighbouring values are not independent.
    usable = values[:, : values.shape[1] // 3 * 3]
    groups = usable.reshape(values.shape[0], -1, 3).mean(axis=2).ravel()
    found = float(values.mean())
    uncertainty = float(groups.std(ddof=1) / np.sqrt(groups.size))
    return found if found > _LEAST_SIGMA * uncertainty else 0.0


def _block_means(picture: FloatArray) -> FloatArray:
    """(rows, blocks) means of the second difference along y, scaled to keep white noise.

    Blocks leave out a few pixels between them, which noise of neighbours may bridge. Things
    that move or end are clipped.
    """
    bent = (picture[:-2] - 2 * picture[1:-1] + picture[2:]) / np.sqrt(6)
    limit = _CLIP * _robust(bent)
    bent = np.clip(bent, -limit, limit)
    size = bent.shape[1] // _BLOCKS
    gap = min(4, size // 4)
    blocks = bent[:, : size * _BLOCKS].reshape(bent.shape[0], _BLOCKS, size)
    means = blocks[:, :, : size - gap].mean(axis=2)
    # A structure in one block is no row noise, however bright.
    most = 4 * _robust(means)
    return np.asarray(np.clip(means, -most, most))


def _robust(values: FloatArray) -> float:
    some = values.ravel()[:: max(1, values.size // 2**16)]
    return 1.4826 * float(np.median(np.abs(some - np.median(some))))


def _single_pixel_variance(first: FloatArray, second: FloatArray) -> float | None:
    """Of the pattern that differs from pixel to pixel; None where it cannot be told."""
    level = _smooth(0.5 * (first + second))
    dark = level <= np.quantile(level, 0.25)
    last: tuple[float, float] | None = None
    for order in _ORDERS:
        found, uncertainty = _shared(first, second, dark, order)
        if last is not None:
            off = abs(last[0] - found)
            both = float(np.hypot(last[1], uncertainty))
            if off < max(_AGREE * max(found, 0.0), _LEAST_SIGMA * both):
                return found if found > _LEAST_SIGMA * uncertainty else 0.0
        last = found, uncertainty
    return None


def _shared(
    first: FloatArray, second: FloatArray, where: NDArray[np.bool_], order: int
) -> tuple[float, float]:
    """Covariance of two pictures after a difference of `order` along both axes, and its
    uncertainty. White noise keeps its variance.
    """
    one, two = _difference(first, order), _difference(second, order)
    margin = order // 2
    inside = where[margin:-margin, margin:-margin]
    x, y = one[inside], two[inside]
    # Hot pixels are defects, not pattern; far outliers are things that blink.
    limit_x, limit_y = _CLIP * _robust(x), _CLIP * _robust(y)
    keep = (np.abs(x) < limit_x) & (np.abs(y) < limit_y)
    products = x[keep] * y[keep]
    if products.size < 64:
        return 0.0, float("inf")
    # The filter makes neighbours alike, so there are fewer independent values.
    independent = products.size / _effective_area(order)
    return float(products.mean()), float(products.std() / np.sqrt(independent))


def _difference(picture: FloatArray, order: int) -> FloatArray:
    for axis in (0, 1):
        picture = np.diff(picture, order, axis=axis)
    return picture / float(np.square(_kernel(order)).sum())


def _kernel(order: int) -> FloatArray:
    kernel = np.ones(1)
    for _ in range(order):
        kernel = np.convolve(kernel, [1.0, -1.0])
    return kernel


def _effective_area(order: int) -> float:
    """Sum of the squared correlations of filtered white noise, over both axes."""
    kernel = _kernel(order)
    correlation = np.convolve(kernel, kernel[::-1])
    return float(np.square(correlation / correlation.max()).sum() ** 2)


def _smooth(picture: FloatArray, radius: int = 3) -> FloatArray:
    """Mean of 7 x 7 pixels, borders repeated."""
    for axis in (0, 1):
        width = [(0, 0), (0, 0)]
        width[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(picture, width, mode="edge"), axis=axis)
        n, size = picture.shape[axis], 2 * radius + 1
        picture = (
            total.take(range(size, size + n), axis=axis) - total.take(range(n), axis=axis)
        ) / size
    return picture
