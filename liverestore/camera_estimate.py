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
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_stabilise import CameraModel
from liverestore.errors import UserError
from liverestore.noise_samples import (
    Samples,
    fine_samples,
    plain_samples,
    saturation,
    window,
    without,
    without_rows,
)
from liverestore.pattern_estimate import (
    fixed_pattern_counts,
    row_noise_counts,
    row_noise_counts_of_frame,
)

__all__ = ["estimate_from_frame", "estimate_from_movie"]

FloatArray = NDArray[np.float64]

_LARGEST_GUESSED_READ_NOISE_E = 3.0
_BINS = 48
_LEAST_PIXELS = 64
_PIXELS = 2**20
"""Looked at in all, so that an estimate takes half a second."""
_AGREE = 0.04
"""Difference of two estimates of the noise that is taken for chance."""


def estimate_from_movie(
    movie: NDArray[np.generic], *, offset_counts: float | None = None
) -> CameraModel:
    """Camera model from a movie (T, Y, X) of counts, T at least 2, of one field of view.

    Uses at most 64 pairs of neighbouring frames. Their differences are high-pass filtered, so
    that things that move add little; where noise is correlated between pixels, what that
    takes away from it is measured in the dark and put back. `offset_counts`: the measured
    offset, where known. Row noise and fixed pattern are those of `pattern_estimate`, with its
    limits. Raises `UserError` for another shape.
    """
    if movie.ndim != 3 or movie.shape[0] < 2 or min(movie.shape[1:]) < 16:
        raise UserError(
            f"camera estimate: got a movie of shape {movie.shape}; "
            "give (T, Y, X) with two frames of 16x16 pixels or more"
        )
    pairs = np.unique(np.linspace(0, movie.shape[0] - 2, min(movie.shape[0] - 1, 64)).astype(int))
    row_noise = row_noise_counts(movie)
    fine, plain = [], []
    for number, t in enumerate(pairs):
        where = window(movie.shape[1:], _PIXELS // len(pairs), number)
        first, second = movie[t][where].astype(np.float64), movie[t + 1][where].astype(np.float64)
        bad = ~np.isfinite(first) | ~np.isfinite(second)
        bad |= np.maximum(first, second) >= saturation(movie)
        level = without(0.5 * (first + second), bad)
        difference = without((second - first) / np.sqrt(2), bad)
        # A lamp that flickers moves the whole frame.
        difference -= np.median(difference)
        if row_noise:
            # It has the variance of no light, whatever the light is.
            difference = without_rows(difference)
        fine.append(fine_samples(difference, level, bad))
        plain.append(plain_samples(difference, level, bad))
    samples = Samples.joined(fine)
    careful = _model(samples, offset_counts, "movie")
    careful = _for_correlated_noise(careful, _kept_by_high_pass(samples), offset_counts)
    # Where nothing moves, the differences as they are tell more; they are believed when both
    # say the same.
    simple = _model(Samples.joined(plain), offset_counts, "movie")
    levels = np.quantile(samples.smooth, [0.05, 0.5, 0.999])
    ratio = _noise_counts(simple, levels) / np.maximum(_noise_counts(careful, levels), 1e-9)
    model = simple if np.abs(ratio - 1).max() < _AGREE else careful
    model = _with_pattern(model, row_noise, fixed_pattern_counts(movie))
    # The read noise of a pixel over time holds that of its row.
    read_noise_e = float(np.hypot(model.read_noise_e, model.row_noise_e or 0.0))
    return replace(model, read_noise_e=read_noise_e)


def estimate_from_frame(
    frame: NDArray[np.generic], *, offset_counts: float | None = None
) -> CameraModel:
    """Camera model from one frame (Y, X) of counts.

    Structure as fine as a pixel cannot be told from noise; only the smoother half of the
    pixels of each brightness is used. A frame without any noise or any range of brightness
    gives a model whose origin is "assumed". Its row noise holds lines of the specimen that run
    along the rows and is no part of its read noise; its fixed pattern is not known. Raises
    `UserError` for another shape.
    """
    if frame.ndim != 2 or min(frame.shape) < 16:
        raise UserError(
            f"camera estimate: got a frame of shape {frame.shape}; give (Y, X), 16x16 or more"
        )
    parts = []
    windows = 1 if frame.size <= _PIXELS else 4
    for number in range(windows):
        part = frame[window(frame.shape, _PIXELS // windows, number)].astype(np.float64)
        bad = ~np.isfinite(part) | (part >= saturation(frame))
        x = without(part, bad)
        parts.append(fine_samples(x, x, bad))
    model = _model(Samples.joined(parts), offset_counts, "frame")
    return _with_pattern(model, row_noise_counts_of_frame(frame), None)


def _with_pattern(
    model: CameraModel, row_counts: float | None, pattern_counts: float | None
) -> CameraModel:
    row_noise_e = None
    # An assumed gain makes no electrons.
    if row_counts is not None and model.origin != "assumed":
        row_noise_e = row_counts * model.gain_e_per_count
    return replace(model, row_noise_e=row_noise_e, fixed_pattern_counts=pattern_counts)


def _noise_counts(model: CameraModel, levels: FloatArray) -> FloatArray:
    """Standard deviation of a pixel at some mean counts."""
    electrons = np.maximum((levels - model.offset_counts) * model.gain_e_per_count, 0)
    return np.asarray(np.sqrt(electrons + model.read_noise_e**2) / model.gain_e_per_count)


def _robust_variance(values: FloatArray) -> float:
    """Variance about zero without the few values that are too large for noise."""
    squares = values * values
    variance = float(squares.mean())
    for _ in range(6):
        variance = float(squares[squares <= 16 * variance].mean())
    return variance


def _kept_by_high_pass(samples: Samples) -> float:
    """Share of the variance of a pixel that its high-passed value has.

    1 for white noise, less where neighbours are correlated. Taken in the darkest quarter,
    where little moves.
    """
    if samples.level.size < 8 * _LEAST_PIXELS:
        return 1.0
    dark = samples.guide <= np.quantile(samples.guide, 0.25)
    whole = _robust_variance(samples.plain[dark])
    if whole <= 0:
        return 1.0
    share = _robust_variance(samples.residual[dark]) / whole
    # Within what chance and a slow drift of the light do, noise counts as white.
    return 1.0 if share > 0.93 else max(share, 0.2)


def _for_correlated_noise(
    model: CameraModel, kept: float, offset_counts: float | None
) -> CameraModel:
    """The model with all its variances divided by `kept`, its zero of variance unmoved."""
    if kept == 1.0:
        return model
    gain = model.gain_e_per_count * kept
    start = model.offset_counts - model.read_noise_e**2 / model.gain_e_per_count
    offset = model.offset_counts if offset_counts is None else offset_counts
    read = float(np.sqrt(max((offset - start) * gain, 0.0)))
    if model.origin == "assumed":
        read = model.read_noise_e
        gain = model.gain_e_per_count * float(np.sqrt(kept))
    return CameraModel(offset, gain, read, model.origin)


def _binned(samples: Samples) -> tuple[FloatArray, FloatArray, FloatArray]:
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
        if members.size >= 2 * _LEAST_PIXELS:
            steep = samples.slope[members]
            # Keeps all where the slope was not taken (all zero).
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


def _model(samples: Samples, offset_counts: float | None, origin: str) -> CameraModel:
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
