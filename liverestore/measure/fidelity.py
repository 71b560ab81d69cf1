"""How near an image is to its reference: PSNR, SSIM, NRMSE and correlation.

Two instruments, or a file rescaled to 8 bit, have two scales of intensity, so each figure is
taken after the best `a * image + b` in the sense of least squares. SSIM is that of Wang et al.
(IEEE TIP 13, 600, 2004): a Gaussian window of 1.5 px, K1 = 0.01, K2 = 0.03; its data range is
the range of the reference.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.errors import UserError

__all__ = ["affine_fit", "affine_psnr", "correlation", "nrmse", "ssim"]

FloatArray = NDArray[np.float64]
Image = NDArray[np.generic]

_WINDOW_PX = 1.5
_TRUNCATE = 3.5
_REACH_PX = 5
"""Pixels on each side of the window; nearer to the border SSIM is not defined."""


def _both(image: Image, reference: Image) -> tuple[FloatArray, FloatArray]:
    if image.shape != reference.shape or image.size == 0:
        raise UserError(
            f"comparison: got an image {image.shape} and a reference {reference.shape}; allowed "
            "are two of one shape; crop one to the other"
        )
    return image.astype(np.float64), reference.astype(np.float64)


def _dot(x: FloatArray, y: FloatArray) -> float:
    # Not by BLAS, whose threads take longer to wake up than this takes.
    return float((x * y).sum())


def affine_fit(image: Image, reference: Image) -> FloatArray:
    """`a * image + b` with the least squared error to `reference`, float64.

    Any real dtypes, one shape. An image without contrast gives the mean of the reference.
    Raises `UserError` for two shapes.
    """
    x, y = _both(image, reference)
    x -= x.mean()
    power = _dot(x, x)
    slope = _dot(x, y - y.mean()) / power if power > 0 else 0.0
    return np.asarray(slope * x + y.mean())


def affine_psnr(image: Image, reference: Image) -> float:
    """Peak signal-to-noise ratio in dB after `affine_fit`; the peak is the reference's range."""
    fitted = affine_fit(image, reference)
    y = reference.astype(np.float64)
    error = float(np.square(fitted - y).mean())
    return float(10 * np.log10(max(float(np.ptp(y)) ** 2, 1e-300) / max(error, 1e-300)))


def nrmse(image: Image, reference: Image) -> float:
    """Root mean square error after `affine_fit`, in standard deviations of the reference.

    0 is perfect, 1 is as good as knowing nothing but the mean. By the range of the reference
    it would say no more than the PSNR does.
    """
    fitted = affine_fit(image, reference)
    y = reference.astype(np.float64)
    spread = float(y.std())
    return float(np.sqrt(np.square(fitted - y).mean())) / spread if spread > 0 else 0.0


def ssim(image: Image, reference: Image) -> float:
    """Structural similarity after `affine_fit`, at most 1; (Y, X) of 11 px or more a side.

    Mean over the pixels whose window lies inside. Raises `UserError` for smaller images.
    """
    if image.ndim != 2 or min(image.shape) <= 2 * _REACH_PX:
        raise UserError(
            f"SSIM: got an image {image.shape}; allowed are (Y, X) of {2 * _REACH_PX + 1} px or "
            "more a side"
        )
    x = affine_fit(image, reference)
    y = reference.astype(np.float64)
    span = float(np.ptp(y))
    if span == 0:
        return 1.0

    def local(values: FloatArray) -> FloatArray:
        inner = slice(_REACH_PX, -_REACH_PX)
        mean: FloatArray = ndimage.gaussian_filter(values, _WINDOW_PX, truncate=_TRUNCATE)
        return mean[inner, inner]

    mx, my = local(x), local(y)
    vx, vy = local(x * x) - mx * mx, local(y * y) - my * my
    cov = local(x * y) - mx * my
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    top = (2 * mx * my + c1) * (2 * cov + c2)
    return float((top / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean())


def correlation(image: Image, reference: Image) -> float:
    """Pearson's correlation coefficient; 0 where one of both has no contrast."""
    x, y = _both(image, reference)
    x -= x.mean()
    y -= y.mean()
    norm = math.sqrt(_dot(x, x) * _dot(y, y))
    return _dot(x, y) / norm if norm > 0 else 0.0
