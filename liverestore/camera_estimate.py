"""Gain, offset and read noise of a camera from the frames themselves.

The variance of a pixel is a straight line of its mean, `variance = a mean + b` in counts,
where 1/a is the gain in electrons per count (Foi et al., IEEE TIP 17, 1737, 2008). A movie
shows the variance in the differences of its frames; a single frame shows it in what is left
after a high-pass filter, where the picture itself is smooth.

From the line alone offset and read noise cannot be told apart (`b` holds both). Stabilising
needs only the line; the offset matters a little for the exact inverse at low light. Unless a
measured offset is given, the read noise is taken as the largest that the darkest region
allows, up to 3 electrons.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_stabilise import CameraModel
from liverestore.errors import UserError

__all__ = ["estimate_from_frame", "estimate_from_movie"]

FloatArray = NDArray[np.float64]

_HIGH_PASS = np.array([1.0, -2.0, 1.0])
"""Second difference; applied along both axes it lets no plane and no straight edge along an
axis through (Immerkaer, CVIU 64, 300, 1996)."""
_LARGEST_GUESSED_READ_NOISE_E = 3.0
_BINS = 48
_LEAST_PIXELS = 64


def estimate_from_movie(
    movie: NDArray[np.generic], *, offset_counts: float | None = None
) -> CameraModel:
    """Camera model from a movie (T, Y, X) of counts, T at least 2, of one field of view.

    Uses at most 64 pairs of neighbouring frames. What moves or blinks adds variance; it is
    kept out as far as it is sparse. `offset_counts`: the measured offset, where known.
    Raises `UserError` for another shape.
    """
    if movie.ndim != 3 or movie.shape[0] < 2 or min(movie.shape[1:]) < 8:
        raise UserError(
            f"camera estimate: got a movie of shape {movie.shape}; "
            "give (T, Y, X) with two frames of 8x8 pixels or more"
        )
    pairs = np.unique(np.linspace(0, movie.shape[0] - 2, min(movie.shape[0] - 1, 64)).astype(int))
    samples = []
    for t in pairs:
        first, second = movie[t].astype(np.float64), movie[t + 1].astype(np.float64)
        level = 0.5 * (first + second)
        difference = (second - first) / np.sqrt(2)
        # A lamp that flickers moves the whole frame.
        difference -= np.median(difference[np.isfinite(difference)])
        good = np.isfinite(level) & (np.maximum(first, second) < _saturation(movie))
        level[~good] = np.median(level[good]) if good.any() else 0.0
        guide = (9 * _box(level, 1) - level) / 8
        samples.append(_Samples(level[good], difference[good], guide[good], guide[good]))
    return _model(_Samples.joined(samples), offset_counts, "movie")


def estimate_from_frame(
    frame: NDArray[np.generic], *, offset_counts: float | None = None
) -> CameraModel:
    """Camera model from one frame (Y, X) of counts.

    Structure as fine as a pixel cannot be told from noise; only the smoother half of the
    pixels of each brightness is used. A frame without any noise or any range of brightness
    gives a model whose origin is "assumed". Raises `UserError` for another shape.
    """
    if frame.ndim != 2 or min(frame.shape) < 16:
        raise UserError(
            f"camera estimate: got a frame of shape {frame.shape}; give (Y, X), 16x16 or more"
        )
    x = frame.astype(np.float64)
    bad = ~np.isfinite(x) | (x >= _saturation(frame))
    x[bad] = np.median(x[~bad]) if not bad.all() else 0.0
    residual = _separable(x, _HIGH_PASS) / 6
    level = _separable(x, _HIGH_PASS**2) / 36
    three = _box(x, 1)
    guide = (49 * _box(x, 3) - 9 * three) / 40
    # Steepness from two blocks on either side, which the residual does not see.
    block = _box(x, 2)
    slope = np.hypot(
        np.roll(block, -4, 0) - np.roll(block, 4, 0), np.roll(block, -4, 1) - np.roll(block, 4, 1)
    )
    use = _box(bad.astype(np.float64), 3) == 0
    use[:6], use[-6:], use[:, :6], use[:, -6:] = False, False, False, False
    samples = _Samples(level[use], residual[use], guide[use], three[use], slope[use])
    return _model(samples, offset_counts, "frame")


@dataclass(frozen=True, slots=True)
class _Samples:
    """Pixels as columns: own `level`; `residual`, whose variance is that of one pixel; a
    `guide` to the level that shares no noise with them, so that sorting by it favours
    neither high nor low values; a `smooth` level; the steepness of the picture there.
    """

    level: FloatArray
    residual: FloatArray
    guide: FloatArray
    smooth: FloatArray
    slope: FloatArray | None = None

    @staticmethod
    def joined(parts: list[_Samples]) -> _Samples:
        return _Samples(
            np.concatenate([p.level for p in parts]),
            np.concatenate([p.residual for p in parts]),
            np.concatenate([p.guide for p in parts]),
            np.concatenate([p.smooth for p in parts]),
        )

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> _Samples:
        slope = None if self.slope is None else self.slope[which]
        return _Samples(
            self.level[which], self.residual[which], self.guide[which], self.smooth[which], slope
        )


def _saturation(counts: NDArray[np.generic]) -> float:
    """Counts from here on are clipped: the top of an integer type, else the highest value
    when many pixels share it.
    """
    if counts.dtype.kind == "u":
        return float(2 ** (8 * counts.dtype.itemsize) - 1)
    return float("inf")


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


def _binned(samples: _Samples) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, variance and number of pixels in bins of the guide, half of them of equal width
    and half of equal count.
    """
    guide = samples.guide
    low, high = np.quantile(guide, [0.0005, 0.9995])
    edges = np.unique(
        np.concatenate(
            [
                np.linspace(low, high, _BINS // 2 + 1),
                np.quantile(guide, np.linspace(0.0005, 0.9995, _BINS // 2 + 1)),
            ]
        )
    )
    which = np.digitize(guide, edges)
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(1, edges.size + 1))
    means, variances, numbers = [], [], []
    for start, end in itertools.pairwise(bounds):
        members = order[start:end]
        if samples.slope is not None and members.size >= 2 * _LEAST_PIXELS:
            steep = samples.slope[members]
            members = members[steep <= np.median(steep)]
        if members.size < _LEAST_PIXELS:
            continue
        means.append(float(samples.level[members].mean()))
        variances.append(float(np.square(samples.residual[members]).mean()))
        numbers.append(members.size)
    return np.array(means), np.array(variances), np.array(numbers, np.float64)


def _line(mean: FloatArray, variance: FloatArray, number: FloatArray) -> tuple[float, float]:
    """Robust straight line; bins that lie above it (structure, motion) count less."""
    weight_rest = np.ones_like(mean)
    slope, intercept = 0.0, float(np.average(variance, weights=number))
    for _ in range(30):
        fitted = np.maximum(slope * mean + intercept, 1e-12 + 1e-3 * variance.mean())
        # The variance of a variance goes with its square.
        weight = weight_rest * number / fitted**2
        centre = np.average(mean, weights=weight)
        middle = np.average(variance, weights=weight)
        spread = np.average((mean - centre) ** 2, weights=weight)
        if spread <= 0:
            return 0.0, float(middle)
        slope = float(np.average((mean - centre) * (variance - middle), weights=weight) / spread)
        intercept = float(middle - slope * centre)
        fitted = np.maximum(slope * mean + intercept, 1e-12 + 1e-3 * variance.mean())
        deviation = (variance - fitted) / fitted
        scale = 1.4826 * np.median(np.abs(deviation)) + 1e-3
        t = deviation / scale
        weight_rest = 1 / (1 + np.where(t > 0, (t / 1.5) ** 2, (t / 4) ** 2))
    return slope, intercept


def _model(samples: _Samples, offset_counts: float | None, origin: str) -> CameraModel:
    if samples.level.size < 2 * _LEAST_PIXELS:
        return _assumed(0.0, offset_counts or 0.0)
    kept = samples
    for last in (False, False, True):
        mean, variance, number = _binned(kept)
        if mean.size == 0:
            mean, variance = (
                kept.level.mean(keepdims=True),
                np.square(kept.residual).mean(keepdims=True),
            )
            number = np.array([float(kept.level.size)])
        a, b = _line(mean, variance, number)
        if not last:
            # Cosmic rays, hot pixels, things that moved: far outside of what the line allows.
            floor = 0.25 * max(float(np.quantile(variance, 0.05)), 1e-12)
            allowed = 25 * np.maximum(a * samples.smooth + b, floor)
            kept = samples.chosen(np.square(samples.residual) <= allowed)
            if kept.level.size < 2 * _LEAST_PIXELS:
                kept = samples
    dark = float(np.quantile(samples.smooth, 0.01))
    typical = float(np.average(variance, weights=number))
    # A line that is flat, or that the range of brightness cannot support, says nothing.
    if mean.size < 3 or typical <= 0 or a * (mean.max() - mean.min()) < 0.05 * typical:
        return _assumed(typical, dark if offset_counts is None else offset_counts)
    start = -b / a
    if offset_counts is None:
        read_variance_e = float(np.clip((dark - start) / a, 0, _LARGEST_GUESSED_READ_NOISE_E**2))
        offset_counts = start + a * read_variance_e
    else:
        read_variance_e = max((offset_counts - start) / a, 0.0)
    return CameraModel(offset_counts, 1 / a, float(np.sqrt(read_variance_e)), origin)


def _assumed(variance_counts: float, dark_counts: float) -> CameraModel:
    """All noise taken for read noise of one electron: the stabilised noise is one."""
    noise = float(np.sqrt(variance_counts))
    gain = 1.0 / noise if noise > 0 else 1.0
    return CameraModel(dark_counts, gain, 1.0, "assumed")
