"""How well an engine does on the sample itself: against a bright exposure of the same place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.measure.fidelity import affine_psnr, ssim
from liverestore.measure.fourier_ring import resolution_px

__all__ = ["ReferenceScore", "score_against_reference"]

_LEAST_PX = 16


@dataclass(frozen=True, slots=True)
class ReferenceScore:
    """Figures of one restored image; each after the best linear fit of brightness."""

    psnr_db: float
    ssim: float
    frc_px: float
    """Smallest period in pixels that it shares with the reference (FRC, threshold 1/7); at least
    2, infinite where they share none."""
    reference_noise_e: float
    """Root mean square noise of the reference in its own photoelectrons: no figure can be better
    than the reference allows."""


def score_against_reference(
    restored: NDArray[np.generic], reference: NDArray[np.generic], camera: CameraModel
) -> ReferenceScore:
    """Score `restored` against a bright raw frame `reference`, both (Y, X) counts of one place.

    The two may differ in exposure: brightness and offset are fitted. The sample must not have
    moved between them. `camera` with maps is that of these frames (`CameraModel.for_frame`).
    Raises `UserError` for two shapes or images below 16 px a side.
    """
    if restored.shape != reference.shape or restored.ndim != 2 or min(restored.shape) < _LEAST_PX:
        raise UserError(
            f"reference: got a restored image {restored.shape} and a reference {reference.shape}; "
            f"allowed are two (Y, X) of one shape, {_LEAST_PX} px or more a side"
        )
    reference_e = camera.to_electrons(reference)
    restored_e = camera.without_maps().to_electrons(restored)
    light = np.maximum(reference_e, 0) + np.float32(camera.read_noise_e**2)
    return ReferenceScore(
        psnr_db=affine_psnr(restored_e, reference_e),
        ssim=ssim(restored_e, reference_e),
        frc_px=resolution_px(restored_e, reference_e),
        reference_noise_e=float(np.sqrt(light.mean(dtype=np.float64))),
    )
