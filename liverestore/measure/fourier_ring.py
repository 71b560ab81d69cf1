"""Fourier ring correlation (FRC): down to which period an image agrees with another.

Usually two independently recorded halves are correlated and the resolution is the period at
which the curve falls below 1/7 (Nieuwenhuizen et al., Nat. Methods 10, 557, 2013). A restored
image has no such halves: its pixels share the noise, so that neighbours are not independent, and
splitting the counts before restoring judges a frame of half the light. Worse, what a network
makes up in the same way each time would count as resolved. So here an image is correlated with
the truth, and the curve is turned into the one that two halves of the image would give: if their
mean correlates with the truth as c, they correlate with each other as F = c^2 / (2 - c^2)
(Rosenthal & Henderson, J. Mol. Biol. 333, 721, 2003), so that 1/7 stands for c = 1/2.

A linear filter leaves every ring as it is, so raw frame, mean and Gaussian have one FRC.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from scipy.signal import windows

from liverestore.errors import UserError

__all__ = ["THRESHOLD", "agreement_as_halves", "period_px", "resolution_px", "ring_correlation"]

THRESHOLD = 1 / 7
_FADED = 0.25
"""Share of the picture that is faded out, so that its borders are no structure."""
_SMOOTH_RINGS = 1.5


def ring_correlation(
    first: NDArray[np.generic], second: NDArray[np.generic]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (R,) in cycles per pixel up to 0.5, and the correlation (R,) of each ring.

    Both images (Y, X), any real dtype, one shape, 16 px or more a side; otherwise `UserError`.
    """
    if first.ndim != 2 or first.shape != second.shape or min(first.shape) < 16:
        raise UserError(
            f"FRC: got images {first.shape} and {second.shape}; allowed are two (Y, X) of one "
            "shape, 16 px or more a side"
        )
    window = np.outer(*(windows.tukey(n, _FADED) for n in first.shape))
    a, b = (fft.rfft2((i - i.mean()) * window) for i in (first.astype(float), second.astype(float)))
    ky, kx = fft.fftfreq(first.shape[0])[:, None], fft.rfftfreq(first.shape[1])[None, :]
    rings = min(first.shape) // 2
    which = np.rint(np.hypot(ky, kx) * 2 * rings).astype(np.intp)
    # Each frequency but those of the first and last column stands for two.
    twice = np.full(a.shape, 2.0)
    twice[:, 0] = 1.0
    if first.shape[1] % 2 == 0:
        twice[:, -1] = 1.0
    use = (which >= 1) & (which <= rings)

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.bincount(which[use], (twice * values)[use], rings + 1)[1:], float)

    power = summed(np.abs(a) ** 2) * summed(np.abs(b) ** 2)
    cross = summed(np.real(a * np.conj(b)))
    curve = np.divide(cross, np.sqrt(power), out=np.zeros(rings), where=power > 0)
    return np.arange(1, rings + 1) / (2 * rings), curve


def agreement_as_halves(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve of two halves of an image whose correlation with the truth is `curve`.

    >>> float(agreement_as_halves(np.array([0.5]))[0]) == 1 / 7
    True
    """
    c = np.clip(curve, 0.0, 1.0)
    halves: NDArray[np.float64] = c**2 / (2 - c**2)
    return halves


def resolution_px(image: NDArray[np.generic], truth: NDArray[np.generic]) -> float:
    """Smallest period in pixels, from 2, that `image` shares with `truth`, threshold 1/7.

    The curve is smoothed over three rings; where it is below from the start the result is
    infinite.
    """
    return period_px(*ring_correlation(image, truth))


def period_px(frequency: NDArray[np.float64], curve: NDArray[np.float64]) -> float:
    """Smallest period in pixels at which `curve` (R,), with the truth, is above the threshold.

    `frequency` (R,) in cycles per pixel. See `resolution_px`.
    """
    halves = agreement_as_halves(ndimage.gaussian_filter1d(curve, _SMOOTH_RINGS, truncate=2.0))
    below = np.flatnonzero(halves < THRESHOLD)
    if below.size == 0:
        return 2.0
    first = int(below[0])
    if first == 0:
        return math.inf
    share = (halves[first - 1] - THRESHOLD) / (halves[first - 1] - halves[first])
    return float(1 / (frequency[first - 1] + share * (frequency[first] - frequency[first - 1])))
