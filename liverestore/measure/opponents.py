"""The best that a classical method can give for an image, its settings chosen on the truth.

No user could choose them as well: what beats these beats the method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from liverestore.measure.deconvolve import Deconvolution
from liverestore.measure.fidelity import affine_psnr

__all__ = ["ITERATIONS", "Chosen", "best_gaussian", "best_lucy_as_shown_by", "best_richardson_lucy"]

ITERATIONS = (1, 2, 3, 5, 8, 12, 18, 27, 40)
"""Numbers of Richardson-Lucy iterations that are tried."""
_SIGMAS_PX = (0.4, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 6.0)


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """A result (Y, X), float64 or float32, and the setting that gave the highest affine PSNR."""

    image: NDArray[np.floating]
    setting: float
    """Standard deviation in pixels, or number of iterations."""


def best_gaussian(image: NDArray[np.generic], truth: NDArray[np.generic]) -> Chosen:
    """The Gaussian blur nearest to `truth`, found to about a hundredth of its width.

    Sigma from 0 (the image as it is) to 6 px; mirrored borders.
    """
    x = image.astype(np.float64)

    def score(sigma_px: float) -> float:
        return affine_psnr(ndimage.gaussian_filter(x, sigma_px), truth)

    scores = [score(sigma) for sigma in _SIGMAS_PX]
    top = int(np.argmax(scores))
    low, high = _SIGMAS_PX[max(top - 1, 0)], _SIGMAS_PX[min(top + 1, len(_SIGMAS_PX) - 1)]
    found = optimize.minimize_scalar(
        lambda log_sigma: -score(math.exp(log_sigma)),
        bounds=(math.log(low), math.log(high)),
        method="bounded",
        options={"xatol": 0.01, "maxiter": 12},
    )
    sigma = math.exp(float(found.x))
    if affine_psnr(x, truth) > max(-float(found.fun), scores[top]):
        return Chosen(x, 0.0)
    if scores[top] > -float(found.fun):
        sigma = _SIGMAS_PX[top]
    return Chosen(ndimage.gaussian_filter(x, sigma), sigma)


def best_richardson_lucy(
    image: NDArray[np.floating],
    psf: NDArray[np.floating],
    truth: NDArray[np.generic],
    background: float,
    *,
    iterations: Sequence[int] = ITERATIONS,
) -> Chosen:
    """The Richardson-Lucy estimate nearest to `truth`.

    `image` (Y, X) and `background` as in `Deconvolution.iterate`, `psf` as there.
    """
    return _lucy(image, psf, truth, background, None, iterations)[0]


def best_lucy_as_shown_by(
    shown_by: NDArray[np.floating],
    image: NDArray[np.floating],
    psf: NDArray[np.floating],
    truth: NDArray[np.generic],
    background: float,
) -> tuple[Chosen, Chosen]:
    """The estimate nearest to `truth`, and the nearest as another microscope shows it.

    `shown_by` is the PSF of the microscope that would have taken `truth`: an estimate of the
    light itself is sharper than any picture of it.
    """
    return _lucy(image, psf, truth, background, shown_by, ITERATIONS)


def _lucy(
    image: NDArray[np.floating],
    psf: NDArray[np.floating],
    truth: NDArray[np.generic],
    background: float,
    shown_by: NDArray[np.floating] | None,
    iterations: Sequence[int],
) -> tuple[Chosen, Chosen]:
    height, width = image.shape
    deconvolution = Deconvolution(psf, (height, width))
    target = None if shown_by is None else Deconvolution(shown_by, (height, width))
    best = [(-math.inf, Chosen(image, 0.0))] * 2
    for count, estimate in deconvolution.iterate(image, background, iterations):
        for place, candidate in enumerate(
            (estimate,) if target is None else (estimate, target.blur(estimate))
        ):
            decibel = affine_psnr(candidate, truth)
            if decibel > best[place][0]:
                best[place] = decibel, Chosen(candidate, float(count))
    return best[0][1], best[1][1]
