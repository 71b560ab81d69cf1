"""What is left of a frame when its restored image is taken away, in units of the noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.frame import FrameHeader

__all__ = ["Light", "NoiseCheck", "light_of", "noise_check", "variance_e"]

FloatArray = NDArray[np.float32]

_LEAST_VARIANCE = 0.1
"""e squared; a camera without read noise in the dark still rounds to whole counts."""
_EVERY_ROW = 4


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """A frame and what was made of it, (Y, X) float32 in photoelectrons."""

    raw_e: FloatArray
    restored_e: FloatArray
    read_noise_e: float
    gain_e_per_count: float

    def variance_e(self) -> FloatArray:
        """Of a raw pixel where the restored image is right."""
        return variance_e(self.restored_e, self.read_noise_e, self.gain_e_per_count)

    def residual(self) -> FloatArray:
        """(raw - restored) / sigma, (Y, X) float32; of mean 0 and variance 1 where all is right.

        A restored image that keeps some of the noise, as every one does that is made from the
        same pixel, leaves a variance below 1.
        """
        r = self.raw_e - self.restored_e
        r /= np.sqrt(self.variance_e())
        return r


def light_of(
    raw: NDArray[np.generic],
    restored: NDArray[np.generic],
    camera: CameraModel,
    header: FrameHeader,
) -> Light:
    """`raw` and `restored` (Y, X) in counts as photoelectrons.

    The camera's fixed pattern is taken out of the raw frame; restored ones have none. Raises
    `UserError` for two shapes, or maps that are not of this chip.
    """
    if raw.shape != restored.shape:
        raise UserError(
            f"residual: got a frame {raw.shape} and a restored image {restored.shape}; allowed are "
            "two of one shape"
        )
    return Light(
        camera.for_frame(header).to_electrons(raw),
        camera.without_maps().to_electrons(restored),
        camera.read_noise_e,
        camera.gain_e_per_count,
    )


def variance_e(expected_e: FloatArray, read_noise_e: float, gain_e_per_count: float) -> FloatArray:
    """Variance in e squared of pixels that expect `expected_e`, any shape: Poisson and readout.

    The restored image is rounded to whole counts, which adds a twelfth of a count squared.
    """
    variance = np.maximum(expected_e, np.float32(0))
    variance += np.float32(max(read_noise_e**2 + gain_e_per_count**2 / 12, _LEAST_VARIANCE))
    return variance


@dataclass(frozen=True, slots=True)
class NoiseCheck:
    """Of a residual: how much of it there is, and how alike neighbours are."""

    variance: float
    """1 where the residual is the calibrated noise and nothing else."""
    lag1: float
    """Correlation of pixels side by side, mean of both axes: 0 for noise, above 0 where structure
    was left out of the restored image, below where noise was kept in it."""
    lag1_error: float
    """Standard error of `lag1` where the residual is white: 1 / sqrt(pairs)."""


def noise_check(residual: FloatArray) -> NoiseCheck:
    """Of every fourth row of a residual (Y, X), and of each of these with the next one."""
    height, width = residual.shape
    if height < 2 or width < 2:
        raise UserError(f"residual: got {residual.shape}; allowed are 2 x 2 pixels or more")
    # Saturated or dead pixels would speak for all others.
    rows = np.clip(residual[: height - 1 : _EVERY_ROW], -6, 6)
    below = np.clip(residual[1::_EVERY_ROW][: len(rows)], -6, 6)
    power = float(np.square(rows, dtype=np.float32).mean())
    beside = float((rows[:, 1:] * rows[:, :-1]).mean())
    under = float((rows * below).mean())
    pairs = rows.size + rows[:, 1:].size
    lag1 = 0.5 * (beside + under) / max(power, 1e-12)
    return NoiseCheck(power, lag1, 1 / math.sqrt(pairs))
