"""What the user's own microscope allows to be learned: the sign of z, the reach, the z step."""

from __future__ import annotations

import math

from liverestore.errors import UserError
from liverestore.optics import Optics, widefield_psf
from liverestore.refocus import tells_sign
from liverestore.training.deepz_pairs import OpticsRanges

__all__ = [
    "around",
    "check_light",
    "check_pixel_size",
    "check_planes",
    "check_sign",
    "fine_z_step",
    "only",
]

_LEAST_LIGHT = 0.95
"""Share of a point's light, at the farthest distance, that the simulated field must hold."""
_SIZES_AGREE = 0.05
_COARSEST_STEP_UM = 0.5


def check_sign(optics: Optics) -> None:
    """Raise `UserError` where these optics give a picture no sign of its defocus."""
    if not tells_sign(optics):
        raise UserError(
            f"these optics (immersion {optics.immersion_index:g}, sample {optics.sample_index:g}, "
            f"depth {optics.depth_um:g} um) look the same above and below focus, so the sign of z "
            "cannot be learned; allowed are an index mismatch of 0.3 um of path or more, or an "
            "aberration that is even in the pupil: give sample_index and depth_um in the rig"
        )


def around(optics: Optics) -> OpticsRanges:
    """Simulated microscopes close to the user's own, with its aberrations.

    Raises `UserError` where these optics give a picture no sign of the distance.
    """
    check_sign(optics)
    nm = optics.wavelength_nm
    return OpticsRanges(
        numerical_aperture=(0.97 * optics.numerical_aperture, optics.numerical_aperture),
        wavelength_nm=(0.95 * nm, 1.05 * nm),
        immersion_index=optics.immersion_index,
        sample_index=(optics.sample_index, optics.sample_index),
        depth_um=(0.7 * optics.depth_um, 1.3 * optics.depth_um),
        pixel_size_um=(0.95 * optics.pixel_size_um, 1.05 * optics.pixel_size_um),
        zernike_waves=optics.zernike_waves,
    )


def only(optics: Optics) -> OpticsRanges:
    """The user's own microscope as ranges of no width."""
    return OpticsRanges(
        numerical_aperture=(optics.numerical_aperture,) * 2,
        wavelength_nm=(optics.wavelength_nm,) * 2,
        immersion_index=optics.immersion_index,
        sample_index=(optics.sample_index,) * 2,
        depth_um=(optics.depth_um,) * 2,
        pixel_size_um=(optics.pixel_size_um,) * 2,
        aberration_waves=0.0,
        zernike_waves=optics.zernike_waves,
    )


def check_pixel_size(where: str, size_um: float | None, optics: Optics) -> None:
    """Raise `UserError` where a file states pixels of another size than the rig."""
    if size_um is not None and abs(size_um / optics.pixel_size_um - 1) > _SIZES_AGREE:
        raise UserError(
            f"{where} has pixels of {size_um:g} um, but the rig {optics.pixel_size_um:g} um; "
            "allowed are 5 % of difference: name the rig that took it, or correct one of them"
        )


def fine_z_step(optics: Optics | None) -> float:
    """Distance of simulated planes in um: 0.5, or, where that is finer, 0.8 of the depth of
    field, wavelength x index / NA^2.
    """
    if optics is None:
        return _COARSEST_STEP_UM
    field_um = 1e-3 * optics.wavelength_nm * optics.sample_index / optics.detected_aperture**2
    # Down to a hundredth, so that the record can be read.
    return min(_COARSEST_STEP_UM, max(math.floor(80 * field_um) / 100, 0.01))


def check_planes(reach_um: float, planes: int, z_step_um: float) -> None:
    """Raise `UserError` for a reach beyond a stack of so many planes, or below one step."""
    farthest = (planes - 1) * z_step_um
    if not z_step_um - 1e-6 <= reach_um <= farthest + 1e-6:
        raise UserError(
            f"--reach: got {reach_um:g} um; allowed are {z_step_um:g} to {farthest:g} um, as far "
            f"as {planes} planes of {z_step_um:g} um go"
        )


def check_light(optics: Optics, reach_um: float, z_step_um: float, side_px: int) -> None:
    """Raise `UserError` where a simulated field of `side_px` loses light of what is `reach_um`
    out of focus: a network would learn a cone of light that is cut off.
    """

    def holds(steps: int) -> bool:
        psf = widefield_psf(optics, [steps * z_step_um], side_px)
        return float(psf.sum(dtype="float64")) >= _LEAST_LIGHT

    steps = int(reach_um / z_step_um + 1e-6)
    if holds(steps):
        return
    fits, fails = 0, steps
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if holds(middle) else (fits, middle)
    raise UserError(
        f"--reach: got {reach_um:g} um; with NA {optics.numerical_aperture:g} and pixels of "
        f"{optics.pixel_size_um:g} um the light from there leaves the simulated field of "
        f"{side_px} px; allowed are up to {fits * z_step_um:g} um: give less, or a larger --crop"
    )
