"""SSIM and FRC of restored frames against noisy references, without the noise of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.exposure_products import FrameProducts
from liverestore.measure.fidelity import ssim
from liverestore.measure.fourier_ring import period_px, ring_correlation

__all__ = ["Fidelity", "fidelity"]

_SMOOTH_RINGS = 1.5
_LEAST_SHARED = 0.05


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Of one exposure."""

    ssim: float
    """Against the mean of references, whose noise lowers it."""
    frc_px: float
    """Smallest period in pixels that a frame shares with the sample (FRC, 1/7)."""


def fidelity(
    products: FrameProducts, levels: Sequence[Sequence[int]], *, moving: bool
) -> tuple[Fidelity, ...]:
    """For each of `levels`, given as indices of its frames in `products`.

    Compared with the mean of all references or, where the sample is `moving`, of the two on
    either side. The ring correlation with that mean is divided by the mean's own with the truth,
    sqrt(2 F / (1 + F)), F being that of two halves of it (Rosenthal and Henderson, J. Mol. Biol.
    333, 721, 2003); rings in which the references share nothing are not resolved. SSIM keeps the
    noise of the mean.
    """
    references = products.references
    odd = [n for n in range(len(references)) if n % 2]
    even = [n for n in range(len(references)) if not n % 2]
    everywhere = _reference(products, odd, even)
    made = []
    for frames in levels:
        alike, periods = [], []
        for frame in frames:
            both = products.neighbours(frame) if moving else (odd, even)
            if both is None:
                continue
            found = _reference(products, *both) if moving else everywhere
            image = products.image(frame)
            frequency, curve = ring_correlation(image, found.mean)
            curve = np.where(found.known, curve / found.with_truth, 0.0)
            periods.append(period_px(frequency, curve))
            alike.append(ssim(image, found.mean))
        made.append(Fidelity(float(np.mean(alike)), float(np.median(periods))))
    return tuple(made)


@dataclass(frozen=True, slots=True, eq=False)
class _Reference:
    mean: NDArray[np.float64]
    known: NDArray[np.bool_]
    with_truth: NDArray[np.float64]


def _reference(products: FrameProducts, first: list[int], second: list[int]) -> _Reference:
    halves = [np.mean([products.references[n] for n in some], axis=0) for some in (first, second)]
    shared = ring_correlation(halves[0], halves[1])[1]
    shared = ndimage.gaussian_filter1d(shared, _SMOOTH_RINGS, truncate=2.0)
    clipped = np.clip(shared, _LEAST_SHARED, 1)
    return _Reference(
        0.5 * (halves[0] + halves[1]), shared > _LEAST_SHARED, np.sqrt(2 * clipped / (1 + clipped))
    )
