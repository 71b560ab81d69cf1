"""The spot that is looked for: as wide as the microscope makes a point, and blind to a slope.

A matched filter finds a known shape in white noise with the best ratio of signal to noise. The
shape is a Gaussian with the noise-equivalent area of the rig's point spread function, less its
own blurred copy: what varies slowly (an offset that is a little off, haze) leaves no trace. That
costs 3 % of the signal-to-noise ratio.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.optics import Optics, widefield_psf

__all__ = ["ASSUMED_SIGMA_PX", "SpotTemplate", "blurred", "template_for"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.intp]

ASSUMED_SIGMA_PX = 1.0
"""Of a spot where the rig does not state its optics: a camera that samples about as Nyquist asks
has spots from 0.9 px (just sampled) to 1.3 px."""
_NARROWEST_PX, _WIDEST_PX = 0.7, 4.0
_SURROUND = 4.0
"""Width of the blurred copy, in widths of the spot."""
_ASIDE = 3.0
"""Distance, in widths of the spot, of the places that it is seen against."""
_DIRECTIONS = ((0.0, 1.0), (1.0, 0.0), (0.7071, 0.7071), (0.7071, -0.7071))
_TRUNCATE = 3.5
_PSF_PX = 65


def blurred(image: FloatArray, sigma_px: float) -> FloatArray:
    """(Y, X) float32 under a Gaussian, mirrored at its borders."""
    out: FloatArray = ndimage.gaussian_filter(
        image, sigma_px, mode="mirror", truncate=_TRUNCATE, output=np.float32
    )
    return out


@dataclass(frozen=True, slots=True)
class SpotTemplate:
    """A spot of one photoelectron and the filter that looks for it.

    With T the filter, P the spot and an image whose pixels have variance v, `apply(image) /
    (v P.T)` is the least-squares amplitude in photoelectrons.
    """

    sigma_px: float
    assumed: bool
    """Whether the width is the stated default and not the rig's."""
    power: float
    """Sum of T squared."""
    overlap: float
    """Sum of P times T."""
    cubed: float
    """Sum of T to the third, for the skewness of the noise of few photons."""

    def apply(self, image: FloatArray) -> FloatArray:
        """(Y, X) float32 correlated with the filter."""
        narrow, wide = self.copies(image)
        narrow -= wide
        return narrow

    def copies(self, image: FloatArray) -> tuple[FloatArray, FloatArray]:
        """`image` (Y, X) blurred as the spot, and as its surround; their difference is `apply`."""
        return blurred(image, self.sigma_px), blurred(image, _SURROUND * self.sigma_px)

    def stands_out(self, narrow: FloatArray, at: tuple[IntArray, IntArray]) -> FloatArray:
        """How far the picture rises at the places `at` (y, x), in photoelectrons of a spot.

        `narrow` is the picture (Y, X) blurred as the spot. What is told is its height over the
        mean of the two places `_ASIDE` widths off on both sides, in the one of four directions
        in which it rises most: between two bright filaments that is along them. A slope is no rise.
        """
        y, x = at
        limits = narrow.shape[0] - 1, narrow.shape[1] - 1
        here, most = narrow[y, x], np.full(y.shape, -np.inf, np.float32)
        for dy, dx in _DIRECTIONS:
            aside = np.rint(_ASIDE * self.sigma_px * np.array([dy, dx])).astype(int)
            off = [
                narrow[
                    np.clip(y + s * aside[0], 0, limits[0]), np.clip(x + s * aside[1], 0, limits[1])
                ]
                for s in (-1, 1)
            ]
            # A spot that was blurred as itself is wider by the root of two.
            far = float((aside**2).sum()) / (4 * self.sigma_px**2)
            top = (1 - math.exp(-far)) / (4 * math.pi * self.sigma_px**2)
            np.maximum(most, (here - (off[0] + off[1]) / 2) / np.float32(top), out=most)
        return most

    def spot(self, shape: tuple[int, int], at: tuple[float, float]) -> FloatArray:
        """(Y, X) float32: one photoelectron in all, spread around the place `at` (y, x) in px."""
        y, x = (
            np.exp(-0.5 * ((np.arange(side) - centre) / self.sigma_px) ** 2)
            for side, centre in zip(shape, at, strict=True)
        )
        picture = np.outer(y, x)
        return (picture / max(float(picture.sum()), 1e-30)).astype(np.float32)


def template_for(optics: Optics | None) -> SpotTemplate:
    """The template of `optics` in focus, or of the stated default where there are none."""
    if optics is None:
        return _template(ASSUMED_SIGMA_PX, True)
    return _template(_width_px(optics), False)


@functools.lru_cache(maxsize=16)
def _width_px(optics: Optics) -> float:
    """Width of the Gaussian with as many noise-equivalent pixels, 1 / sum(P^2), as the PSF."""
    psf = widefield_psf(dataclasses.replace(optics, depth_um=0.0), [0.0], _PSF_PX)[0]
    psf = psf / psf.sum()
    sigma = math.sqrt(1 / (4 * math.pi * float((psf**2).sum())))
    return round(min(max(sigma, _NARROWEST_PX), _WIDEST_PX), 3)


@functools.lru_cache(maxsize=16)
def _template(sigma_px: float, assumed: bool) -> SpotTemplate:
    half = math.ceil(_TRUNCATE * _SURROUND * sigma_px) + math.ceil(_TRUNCATE * sigma_px) + 2
    point = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    point[half, half] = 1.0
    spot = blurred(point, sigma_px).astype(np.float64)
    kernel = spot - blurred(point, _SURROUND * sigma_px)
    return SpotTemplate(
        sigma_px=sigma_px,
        assumed=assumed,
        power=float((kernel**2).sum()),
        overlap=float((kernel * spot).sum()),
        cubed=float((kernel**3).sum()),
    )
