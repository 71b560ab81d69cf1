"""Width of the highest peak of a profile, from a fitted Gaussian, with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from liverestore.errors import UserError
from liverestore.measure.peak_width import FWHM_PER_SIGMA

__all__ = ["Peak", "highest_peak"]

_LEAST_SAMPLES = 7
_SURE = 6.0
"""A peak must stand so many standard errors above its background. The highest of a thousand
samples of mere noise stands 3 to 4 above it."""
_NARROWEST = 0.4
"""Smallest sigma, in samples: a peak in a single sample has no width that could be fitted."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A Gaussian on a constant background, in samples and in the profile's unit."""

    centre: float
    fwhm: float
    fwhm_error: float
    """Standard error of the fit, from the scatter of the samples around it."""
    height: float
    background: float


def highest_peak(values: NDArray[np.float64]) -> Peak | None:
    """Fit the highest peak of `values` (N,), equally spaced; None where none stands out.

    The samples around the highest place decide: as many as suit the width at which a
    Gaussian explains them best, and none beyond a valley from which they rise again. The
    error comes from the linearised least squares of samples that scatter independently.
    Raises `UserError` for less than 7 samples.
    """
    if values.ndim != 1 or values.size < _LEAST_SAMPLES:
        raise UserError(
            f"profile: got {values.shape} samples; allowed are {_LEAST_SAMPLES} or more in a row"
        )
    if not np.isfinite(values).all() or values.max() <= values.min():
        return None
    smooth = ndimage.gaussian_filter1d(values, 1.0, mode="nearest")
    at, noise = int(np.argmax(smooth)), _noise(values)
    limits = (at - _descent(smooth[at::-1], noise), at + _descent(smooth[at:], noise) + 1)
    windows = [
        (float(sigma), _window(limits, values.size, at, float(sigma)))
        for sigma in np.geomspace(0.7, max(values.size / 6, 1.4), 12)
    ]
    # Wider than its window a Gaussian cannot be told from the background.
    windows = [(sigma, w) for sigma, w in windows if 2 * sigma < w[1] - w[0]]
    sigma, window = max(windows, key=lambda w: _standing(values, at, *w))
    return _fit(values, at, sigma, window, noise)


def _noise(values: NDArray[np.float64]) -> float:
    """Standard deviation of one sample's noise, from how neighbours differ.

    Of second differences of the nearest and of the second nearest samples: noise in a
    smoothed image is alike in neighbours.
    """
    found = []
    for lag in (1, 2):
        if values.size > 2 * lag + 2:
            bend = values[: -2 * lag] - 2 * values[lag:-lag] + values[2 * lag :]
            found.append(1.4826 * float(np.median(np.abs(bend))) / math.sqrt(6.0))
    return max(found)


def _descent(outwards: NDArray[np.float64], noise: float) -> int:
    """How many samples it goes down from the first one before it clearly rises again."""
    lowest = np.minimum.accumulate(outwards)
    rises = outwards - lowest > np.maximum(3 * noise, 0.2 * (outwards[0] - lowest))
    if not rises.any():
        return outwards.size - 1
    return int(np.argmin(outwards[: int(np.argmax(rises))]))


def _window(limits: tuple[int, int], size: int, at: int, sigma: float) -> tuple[int, int]:
    reach, least = max(math.ceil(4 * sigma), _LEAST_SAMPLES // 2), _LEAST_SAMPLES // 2
    first = max(at - reach, min(limits[0], at - least), 0)
    return first, min(at + reach + 1, max(limits[1], at + least + 1), size)


def _standing(values: NDArray[np.float64], at: int, sigma: float, window: tuple[int, int]) -> float:
    """Height of a Gaussian of this width in units of its standard error."""
    part = values[slice(*window)]
    shape = np.exp(-0.5 * ((np.arange(*window) - at) / sigma) ** 2)
    shape -= shape.mean()
    part = part - part.mean()
    power = float(shape @ shape)
    if power < 1e-9:
        return -math.inf
    height = float(part @ shape) / power
    rest = float(((part - height * shape) ** 2).sum()) / max(part.size - 2, 1)
    return height / math.sqrt(max(rest / power, 1e-24 * float(part @ part) + 1e-300))


def _fit(
    values: NDArray[np.float64], at: int, sigma: float, window: tuple[int, int], noise: float
) -> Peak | None:
    first, stop = window
    low, high = float(values[first:stop].min()), float(values[first:stop].max())
    span = max(high - low, 1e-12)
    part = (values[first:stop] - low) / span
    x = np.arange(first, stop, dtype=np.float64) - at

    def shape(p: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        u = (x - p[1]) / math.exp(p[2])
        return u, np.exp(-0.5 * u * u)

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(p[0] * shape(p)[1] + p[3] - part)

    def slopes(p: NDArray[np.float64]) -> NDArray[np.float64]:
        u, g = shape(p)
        along = p[0] * u * g / math.exp(p[2])
        return np.stack([g, along, p[0] * u * u * g, np.ones_like(x)], axis=1)

    reach = (stop - first) / 2
    found = optimize.least_squares(
        misfit,
        np.array([0.9, 0.0, math.log(sigma), 0.05]),
        slopes,
        bounds=([0.0, -reach, math.log(_NARROWEST), -5.0], [10.0, reach, math.log(4 * reach), 2.0]),
        max_nfev=60,
    )
    height, centre, log_sigma, background = (float(value) for value in found.x)
    curvature = found.jac.T @ found.jac
    if np.linalg.cond(curvature) > 1e12:
        return None
    # A few samples may happen to lie on the curve; their noise is that of all the others.
    variance = max(2 * float(found.cost) / max(part.size - 4, 1), (noise / span) ** 2)
    errors = np.sqrt(variance * np.diag(np.linalg.inv(curvature)))
    fwhm = FWHM_PER_SIGMA * math.exp(log_sigma)
    peak = Peak(at + centre, fwhm, fwhm * float(errors[2]), height * span, low + background * span)
    stands = height > _SURE * float(errors[0]) and math.exp(log_sigma) > 1.01 * _NARROWEST
    inside = 0 <= peak.centre <= values.size - 1 and fwhm < 0.9 * (stop - first)
    return peak if stands and inside and peak.fwhm_error < 0.5 * fwhm else None
