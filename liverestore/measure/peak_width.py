"""Width of a bead or of a line, from a Gaussian fitted below the pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from liverestore.errors import UserError

__all__ = ["FWHM_PER_SIGMA", "Spot", "fit_spot", "line_fwhm_px"]

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class Spot:
    """A two-dimensional Gaussian."""

    y_px: float
    x_px: float
    fwhm_px: float
    """Geometric mean of both axes; infinite where nothing narrower than the window is there."""


def fit_spot(image: NDArray[np.generic], y_px: float, x_px: float, radius_px: int) -> Spot:
    """Least-squares fit of an elliptical Gaussian on a background around a place.

    `image` is (Y, X), the window has 2 `radius_px` + 1 pixels a side and is cut at the
    borders. The width is that of the pixels' values: the pixel's own area is in it. Raises
    `UserError` where less than 5x5 pixels lie inside.
    """
    top, left = round(y_px) - radius_px, round(x_px) - radius_px
    rows = slice(max(top, 0), max(top + 2 * radius_px + 1, 0))
    columns = slice(max(left, 0), max(left + 2 * radius_px + 1, 0))
    window = image[rows, columns].astype(np.float64)
    if image.ndim != 2 or min(window.shape) < 5:
        raise UserError(
            f"bead at ({y_px:g}, {x_px:g}): got a window {window.shape}; allowed are 5 px or more "
            "a side inside the image"
        )
    y = np.arange(window.shape[0]) + (rows.start - y_px)
    x = np.arange(window.shape[1]) + (columns.start - x_px)
    low, high = float(np.quantile(window, 0.2)), float(window.max())
    values = (window - low) / max(high - low, 1e-12)

    def parts(p: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        u, v = (y - p[1]) / math.exp(p[3]), (x - p[2]) / math.exp(p[4])
        return u, v, np.exp(-0.5 * u * u), np.exp(-0.5 * v * v)

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        _, _, gy, gx = parts(p)
        return np.ravel(p[0] * np.outer(gy, gx) + p[5] - values)

    def slopes(p: NDArray[np.float64]) -> NDArray[np.float64]:
        u, v, gy, gx = parts(p)
        columns = (
            np.outer(gy, gx),
            p[0] / math.exp(p[3]) * np.outer(u * gy, gx),
            p[0] / math.exp(p[4]) * np.outer(gy, v * gx),
            p[0] * np.outer(u * u * gy, gx),
            p[0] * np.outer(gy, v * v * gx),
            np.ones(values.shape),
        )
        return np.stack([c.ravel() for c in columns], axis=1)

    fits = []
    # A wide start finds the blurred bead, a narrow one the sharp one under noise.
    for sigma in (1.2, radius_px / 4):
        start = np.array([0.9, 0.0, 0.0, math.log(sigma), math.log(sigma), 0.0])
        with np.errstate(all="ignore"):
            fits.append(optimize.least_squares(misfit, start, slopes, method="lm", max_nfev=60))
    best = min(fits, key=lambda fit: fit.cost if np.isfinite(fit.cost) else math.inf)
    amplitude, dy, dx, log_sy, log_sx, _ = (float(value) for value in best.x)
    inside = max(abs(dy), abs(dx)) < 0.5 * radius_px and amplitude > 0.05
    log_fwhm = 0.5 * (log_sy + log_sx) + math.log(FWHM_PER_SIGMA)
    if not inside or log_fwhm > math.log(1.5 * radius_px):
        return Spot(y_px, x_px, math.inf)
    return Spot(y_px + dy, x_px + dx, math.exp(log_fwhm))


def line_fwhm_px(
    image: NDArray[np.generic],
    start_px: tuple[float, float],
    end_px: tuple[float, float],
    reach_px: float,
) -> float:
    """Width of a straight line from `start_px` to `end_px`, both (y, x), in pixels.

    Profiles across the line, `reach_px` to each side and a tenth of a pixel apart in their
    samples, are averaged along it and fitted by a Gaussian on a background. Infinite where no
    line narrower than the profile is there.
    """
    (y0, x0), (y1, x1) = start_px, end_px
    length = math.hypot(y1 - y0, x1 - x0)
    if length < 2 or reach_px < 2:
        raise UserError(
            f"line: got a length of {length:g} px and a reach of {reach_px:g} px; allowed is 2 or "
            "more of each"
        )
    along = np.linspace(0, 1, max(int(2 * length), 2))
    across = np.arange(-reach_px, reach_px + 0.05, 0.1)
    normal = (-(x1 - x0) / length, (y1 - y0) / length)
    y = y0 + along[:, None] * (y1 - y0) + across * normal[0]
    x = x0 + along[:, None] * (x1 - x0) + across * normal[1]
    sampled = ndimage.map_coordinates(image.astype(np.float64), [y, x], order=3, mode="nearest")
    profile = sampled.mean(axis=0)
    low = float(np.quantile(profile, 0.1))
    profile = (profile - low) / max(float(profile.max()) - low, 1e-12)

    def misfit(p: NDArray[np.float64]) -> NDArray[np.float64]:
        amplitude, centre, log_sigma, background = p
        shape = np.exp(-0.5 * ((across - centre) / math.exp(log_sigma)) ** 2)
        return np.asarray(amplitude * shape + background - profile)

    widest = math.log(2 * reach_px)
    found = optimize.least_squares(
        misfit,
        np.array([1.0, 0.0, math.log(min(2.0, reach_px / 2)), 0.0]),
        bounds=([0, -reach_px, math.log(0.25), -1], [3, reach_px, widest, 1]),
    )
    fwhm = FWHM_PER_SIGMA * math.exp(float(found.x[2]))
    return fwhm if found.x[0] > 0.05 and fwhm < 1.5 * reach_px else math.inf
