"""Refocused and confocal results, seen through the microscope again: their light must be there.

Such a result is of another plane, or sharper, than the frame it was made of. Blurred with the
microscope's point spread function at the distance between the two, what it shows of its plane
must be found in the frame, whose other planes can only add light. So the test is one-sided: light
that is shown and is not there refutes the result; light that is there and not shown does not.
Nothing is fitted: neither brightness nor offset.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from liverestore.optics import Optics, widefield_psf
from liverestore.trust.residual import Light, variance_e

__all__ = ["AreaCheck", "area_check", "forward_psf", "seen_again"]

FloatArray = NDArray[np.float32]

_MOST_PSF_PX = 63
_AREA_PX = 16
_MODEL_SHARE = 0.1
"""Error of the scalar widefield model, as a share of the light of an area."""
_SIGMAS = 4.0


@functools.lru_cache(maxsize=8)
def forward_psf(optics: Optics, z_um: float) -> FloatArray:
    """A point `z_um` from the plane in focus: (Y, X) float32 of a sum of 1, at most 63 px."""
    sine = min(optics.detected_aperture / optics.sample_index, 0.95)
    spread_um = abs(z_um) * sine / math.sqrt(1 - sine**2) + 1.0e-3 * optics.wavelength_nm
    half = min(math.ceil(2 * spread_um / optics.pixel_size_um) + 2, _MOST_PSF_PX // 2)
    psf = widefield_psf(dataclasses.replace(optics), [z_um], 2 * half + 1)[0]
    psf /= psf.sum()
    psf.setflags(write=False)
    single: FloatArray = psf
    return single


def seen_again(restored_e: FloatArray, psf: FloatArray) -> FloatArray:
    """`restored_e` (Y, X) blurred by `psf`, mirrored at its borders, float32."""
    half = psf.shape[0] // 2
    half = min(half, min(restored_e.shape) - 1)
    kernel = psf[psf.shape[0] // 2 - half :, psf.shape[1] // 2 - half :]
    kernel = kernel[: 2 * half + 1, : 2 * half + 1]
    padded = np.pad(restored_e, half, mode="reflect")
    out: FloatArray = signal.oaconvolve(padded, kernel, mode="valid").astype(np.float32)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class AreaCheck:
    """Areas of 16 px; arrays are (areas down, areas across) float32."""

    chi2: FloatArray
    """Mean squared residual of the pixels of an area in units of the noise: 1 where the result
    explains the frame, below where it kept noise."""
    excess: FloatArray
    """Light that is shown and not in the data, in standard errors of noise and model."""

    @property
    def refuted_share(self) -> float:
        """Share of the areas that show light which the data do not have, beyond four sigma."""
        return float((self.excess > _SIGMAS).mean())


def area_check(light: Light, seen_e: FloatArray) -> AreaCheck:
    """Compare the frame of `light` with `seen_e` (Y, X), the result seen again."""
    rows, columns = (side // _AREA_PX * _AREA_PX for side in light.raw_e.shape)

    def mean(values: FloatArray) -> FloatArray:
        cut = values[:rows, :columns]
        blocks = cut.reshape(rows // _AREA_PX, _AREA_PX, columns // _AREA_PX, _AREA_PX)
        out: FloatArray = blocks.mean(axis=(1, 3), dtype=np.float32)
        return out

    variance = variance_e(seen_e, light.read_noise_e, light.gain_e_per_count)
    difference = light.raw_e - seen_e
    model = _MODEL_SHARE * np.maximum(mean(seen_e), 0)
    error = np.sqrt(mean(variance) / _AREA_PX**2 + model**2)
    return AreaCheck(
        chi2=mean(difference**2 / variance),
        excess=(-mean(difference) / error).astype(np.float32),
    )
