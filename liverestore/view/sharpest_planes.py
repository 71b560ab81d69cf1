"""Which plane of a stack is the sharpest at each place; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["sharpest_planes"]

_DETAIL_PX = 1.0
"""Sigma of the Laplacian of Gaussian: smaller details are mostly noise."""
_NEAR_PX = 3.0
"""Sigma with which sharpness is averaged: so far a structure takes its surroundings along."""
_FAR_PX, _FAR_WEIGHT = 33, 0.02
"""Edge and weight of a wider mean, for places without any structure of their own."""


def sharpest_planes(planes: Sequence[NDArray[np.generic]], fallback: int = 0) -> NDArray[np.uint8]:
    """(Y, X) places from 0: for each pixel the plane of `planes`, each (Y, X), that is sharpest.

    Sharpness is the local mean of the squared Laplacian of Gaussian, one of the measures that
    Pertuz, Puig and Garcia (Pattern Recognition 46, 1415, 2013) compare. It is averaged, and not
    the choice: the mean of two planes is one in which neither structure is sharp. Where no plane
    is sharper than `fallback`, it is that.
    """
    order = [fallback, *(n for n in range(len(planes)) if n != fallback)]
    best = _sharpness(planes[fallback])
    place = np.full(best.shape, fallback, np.uint8)
    for n in order[1:]:
        sharp = _sharpness(planes[n])
        # Rounding alone is no difference.
        better = sharp > best * np.float32(1 + 1e-4)
        place[better] = n
        np.copyto(best, sharp, where=better)
    return place


def _sharpness(plane: NDArray[np.generic]) -> NDArray[np.float32]:
    detail = ndimage.gaussian_laplace(plane.astype(np.float32), _DETAIL_PX, mode="nearest")
    detail *= detail
    near = ndimage.gaussian_filter(detail, _NEAR_PX, mode="nearest", truncate=3.0)
    far = ndimage.uniform_filter(detail, _FAR_PX, mode="nearest")
    found: NDArray[np.float32] = near + np.float32(_FAR_WEIGHT) * far
    return found
