"""Richardson-Lucy deconvolution (J. Opt. Soc. Am. 62, 55, 1972; Astron. J. 79, 745, 1974)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from liverestore.errors import UserError

__all__ = ["Deconvolution"]

FloatArray = NDArray[np.float32]
"""Half the time of float64, and far more exact than any image."""


def _transfer(psf: NDArray[np.floating], shape: tuple[int, int]) -> NDArray[np.complex64]:
    canvas = np.zeros(shape, np.float32)
    height, width = psf.shape
    canvas[:height, :width] = psf
    canvas = np.roll(canvas, (-(height // 2), -(width // 2)), axis=(0, 1))
    result: NDArray[np.complex64] = fft.rfft2(canvas)
    return result


class Deconvolution:
    """Images (Y, X) of one shape, seen through one PSF, back to light.

    `psf` is (Y, X), its centre at [Y // 2, X // 2], Y and X odd, not negative; it is scaled to
    a sum of 1. Borders are mirrored as far as the PSF reaches. Raises `UserError` for a PSF
    of another kind.
    """

    def __init__(self, psf: NDArray[np.floating], shape: tuple[int, int]) -> None:
        total = float(psf.sum())
        if psf.ndim != 2 or any(n % 2 == 0 for n in psf.shape) or total <= 0 or psf.min() < 0:
            raise UserError(
                f"deconvolution: got a PSF {psf.shape} with a sum of {total:g}; allowed are (Y, X) "
                "of odd size, nowhere negative, not empty"
            )
        self._shape = shape
        self._outer = tuple(
            fft.next_fast_len(n + 2 * (side // 2), real=True)
            for n, side in zip(shape, psf.shape, strict=True)
        )
        self._margin = tuple(side // 2 for side in psf.shape)
        outer = (self._outer[0], self._outer[1])
        self._transfer = _transfer(psf / total, outer)

    def _padded(self, image: NDArray[np.floating]) -> FloatArray:
        widths = [
            (margin, outer - n - margin)
            for n, margin, outer in zip(self._shape, self._margin, self._outer, strict=True)
        ]
        return np.pad(image.astype(np.float32), widths, mode="symmetric")

    def _cropped(self, image: FloatArray) -> FloatArray:
        y, x = self._margin
        return image[y : y + self._shape[0], x : x + self._shape[1]]

    def iterate(
        self, image: NDArray[np.floating], background: float, stops: Sequence[int]
    ) -> Iterator[tuple[int, FloatArray]]:
        """The estimate (Y, X), without background, after each number of `stops` iterations.

        `image` and `background` in photoelectrons, or in any unit that is zero without light;
        values below zero count as zero. The background is known light that no deconvolution
        touches. The estimate is never negative and starts even. Yielded arrays are copies.
        """
        if image.shape != self._shape:
            raise UserError(
                f"deconvolution: got an image {image.shape}, but it was set up for {self._shape}"
            )
        seen = np.maximum(self._padded(image), 0.0)
        floor = max(background, 1e-6 * float(seen.max()), 1e-12)
        even = max(float(seen.mean()) - background, 1e-3 * floor)
        estimate = np.full(seen.shape, even, np.float32)
        done = 0
        for stop in sorted(stops):
            while done < stop:
                ratio = seen / (self._through(estimate, self._transfer) + floor)
                estimate *= np.maximum(self._through(ratio, np.conj(self._transfer)), 0.0)
                done += 1
            yield done, self._cropped(estimate).copy()

    def _through(self, image: FloatArray, transfer: NDArray[np.complex64]) -> FloatArray:
        seen: FloatArray = fft.irfft2(fft.rfft2(image) * transfer, s=image.shape)
        return np.maximum(seen, 0.0)

    def blur(self, image: NDArray[np.floating]) -> FloatArray:
        """`image` (Y, X) as this PSF shows it, float32, borders mirrored."""
        return self._cropped(self._through(self._padded(image), self._transfer)).copy()
