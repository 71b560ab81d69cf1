"""Point spread functions of confocal and STED microscopes, and defocus in waves.

A confocal microscope lights one point and looks at it through a pinhole: what it gathers of an
emitter is the excitation there times the share of the emission that passes the pinhole
(Wilson & Sheppard 1984; Pawley, Handbook of Biological Confocal Microscopy, chapter 11). STED
multiplies the excitation by what a ring-shaped depletion beam leaves of it, exp(-S I), with S
the saturation factor and I the beam's intensity, 1 on the ring (Hell & Wichmann, Opt. Lett. 19,
780, 1994; the width falls as 1 / sqrt(1 + S / S0), Harke et al., Opt. Express 16, 4154, 2008).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, special

from liverestore.errors import UserError
from liverestore.optics import Optics, widefield_psf

__all__ = [
    "Confocal",
    "confocal_psf",
    "defocus_waves_per_um",
    "doughnut",
    "fwhm_um",
    "saturation_for",
    "sted_psf",
]

_MARGINAL = 0.98
"""Highest sine of the cone in the sample for which the rim still counts as the margin."""


def defocus_waves_per_um(optics: Optics) -> float:
    """Waves of defocus at the rim of the pupil for 1 um along the axis, relative to its centre.

    n (1 - cos a) / wavelength with sin a = NA / n in the sample. A distance given to a network
    in these units means the same blur, in units of the resolution, for every objective.

    >>> air = Optics(0.8, 520.0, 1.0, 1.33, 0.325)
    >>> round(defocus_waves_per_um(air), 3)
    0.514
    """
    sine = min(optics.detected_aperture / optics.sample_index, _MARGINAL)
    return 1e3 * optics.sample_index * (1 - math.sqrt(1 - sine**2)) / optics.wavelength_nm


@dataclasses.dataclass(frozen=True, slots=True)
class Confocal:
    """A point scanner. Raises `UserError` for values that no microscope has."""

    detection: Optics
    """The emission's path; `pixel_size_um` is the step of the scan."""
    excitation_nm: float
    pinhole_airy: float = 1.0
    """Diameter of the pinhole in Airy discs of the emission, 1.22 wavelength / NA."""

    def __post_init__(self) -> None:
        for name in ("excitation_nm", "pinhole_airy"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise UserError(f"confocal: {name} is {value}; it must be above 0")

    @property
    def excitation(self) -> Optics:
        """The light's path into the sample."""
        return dataclasses.replace(self.detection, wavelength_nm=self.excitation_nm)


def _subdivision(scanner: Confocal) -> int:
    """Odd number of fine steps in a pixel that resolves the product of two PSFs."""
    shortest = min(scanner.excitation_nm, scanner.detection.wavelength_nm)
    fine_um = shortest / (10e3 * scanner.detection.detected_aperture)
    return 2 * math.ceil((scanner.detection.pixel_size_um / fine_um - 1) / 2 - 1e-9) + 1


def _through_pinhole(emission: NDArray[np.float32], radius_px: float) -> NDArray[np.float64]:
    """Share of the emission (Z, Y, X) that falls into a disc around each pixel."""
    side = emission.shape[-1]
    n = fft.next_fast_len(side + 2 * math.ceil(radius_px) + 2, real=True)
    place = np.minimum(np.arange(n), n - np.arange(n))
    # A rim of soft pixels, so that a coarse disc has the area of the true one.
    disc = np.clip(radius_px - np.hypot(place[:, None], place[None, :]) + 0.5, 0.0, 1.0)
    disc *= math.pi * radius_px**2 / disc.sum()
    spectrum = fft.rfft2(disc)
    passed = fft.irfft2(fft.rfft2(emission, s=(n, n)) * spectrum, s=(n, n))
    return np.asarray(np.maximum(passed[:, :side, :side], 0.0), np.float64)


def doughnut(optics: Optics, z_um: ArrayLike, r_um: ArrayLike) -> NDArray[np.float64]:
    """Intensity of a focused beam with a vortex phase of one turn, 1 at the ring in focus.

    (Z, R) float64 at distances `z_um` from the focal plane and `r_um` from the axis; scalar,
    free of aberrations, as a well-adjusted depletion beam is.
    """
    z = np.atleast_1d(np.asarray(z_um, np.float64))
    r = np.atleast_1d(np.asarray(r_um, np.float64))
    radius = 1e3 * optics.detected_aperture / optics.wavelength_nm
    turns = 2 * radius * (float(np.abs(r).max(initial=0.0)) + float(np.abs(z).max(initial=0.0)))
    nodes, weights = np.polynomial.legendre.leggauss(max(64, math.ceil(4 * turns)))
    k = radius * (nodes + 1) / 2
    axial = np.sqrt(np.maximum((1e3 * optics.sample_index / optics.wavelength_nm) ** 2 - k**2, 0))

    def intensity(z: NDArray[np.float64], r: NDArray[np.float64]) -> NDArray[np.float64]:
        pupil = np.exp(2j * np.pi * z[:, None] * axial) * (weights * k)
        return np.asarray(np.abs(pupil @ special.j1(2 * np.pi * np.outer(k, r))) ** 2)

    ring = np.linspace(0, 1.0 / radius, 401)  # holds the first and highest maximum
    result: NDArray[np.float64] = intensity(z, r) / intensity(np.zeros(1), ring).max()
    return result


def _binned(fine: NDArray[np.float64], size_px: int, factor: int) -> NDArray[np.float32]:
    blocks = fine.reshape(fine.shape[0], size_px, factor, size_px, factor)
    return np.asarray(blocks.sum(axis=(2, 4)), np.float32)


def _scanned(
    scanner: Confocal,
    z_um: ArrayLike,
    size_px: int,
    depletion: tuple[Optics, float] | None,
) -> NDArray[np.float32]:
    if size_px < 1 or size_px % 2 == 0:
        raise UserError(f"size_px: got {size_px}; give an odd number, so that a pixel is central")
    z = np.asarray(z_um, np.float64)
    factor = _subdivision(scanner)
    step_um = scanner.detection.pixel_size_um / factor
    side = size_px * factor
    emission = widefield_psf(dataclasses.replace(scanner.detection, pixel_size_um=step_um), z, side)
    light = widefield_psf(dataclasses.replace(scanner.excitation, pixel_size_um=step_um), z, side)
    airy_um = 1.22e-3 * scanner.detection.wavelength_nm / scanner.detection.detected_aperture
    fine = light * _through_pinhole(emission, 0.5 * scanner.pinhole_airy * airy_um / step_um)
    if depletion is not None:
        beam, saturation = depletion
        place = (np.arange(side) - side // 2) * step_um
        r = np.hypot(place[:, None], place[None, :])
        radii = np.arange(0, r.max() + step_um, step_um / 2)
        for plane, ring in zip(fine, doughnut(beam, z, radii), strict=True):
            plane *= np.exp(-saturation * np.interp(r, radii, ring))
    return _binned(fine, size_px, factor)


def _relative_to_focus(
    scanner: Confocal, z_um: ArrayLike, size_px: int, depletion: tuple[Optics, float] | None
) -> NDArray[np.float32]:
    # The plane in focus comes from the same call, hence from the same grid of the pupil.
    planes = _scanned(scanner, np.append(0.0, np.asarray(z_um, np.float64)), size_px, depletion)
    return planes[1:] / np.float32(planes[0].sum(dtype=np.float64))


def confocal_psf(scanner: Confocal, z_um: ArrayLike, size_px: int) -> NDArray[np.float32]:
    """Confocal image of a point emitter at `z_um` from the focal plane.

    (Z, Y, X) float32 with Y = X = `size_px` (odd), the emitter at the central pixel, `z_um` as
    in `optics.widefield_psf`. Scaled so that an emitter in focus gives 1 in all, as much as it
    gives on a camera; one out of focus gives less, which is the sectioning.
    """
    return _relative_to_focus(scanner, z_um, size_px, None)


def sted_psf(
    scanner: Confocal, depletion_nm: float, saturation: float, z_um: ArrayLike, size_px: int
) -> NDArray[np.float32]:
    """STED image of a point emitter; as `confocal_psf`, with a depletion beam.

    `saturation` is S in exp(-S I), I being 1 on the brightest ring of the beam in focus; 0
    gives the confocal image. Scaled so that an emitter in focus gives 1 in all.
    """
    return _relative_to_focus(scanner, z_um, size_px, _depletion(scanner, depletion_nm, saturation))


def _depletion(scanner: Confocal, depletion_nm: float, saturation: float) -> tuple[Optics, float]:
    if not (math.isfinite(saturation) and saturation >= 0):
        raise UserError(f"STED: saturation is {saturation}; it must be 0 or above")
    return dataclasses.replace(scanner.detection, wavelength_nm=depletion_nm), saturation


def fwhm_um(line: NDArray[np.floating], step_um: float) -> float:
    """Full width at half maximum of the peak of a 1-D profile, linearly interpolated.

    Raises `UserError` where the profile does not fall to half on both sides of its peak.
    """
    values = np.asarray(line, np.float64)
    top = int(values.argmax())
    half = values[top] / 2
    right = np.flatnonzero(values[top:] < half)
    left = np.flatnonzero(values[: top + 1][::-1] < half)
    if right.size == 0 or left.size == 0:
        raise UserError("width at half maximum: the profile does not fall to half; take it longer")

    def edge(steps: int, direction: int) -> float:
        inner, outer = values[top + direction * (steps - 1)], values[top + direction * steps]
        return float(steps - 1 + (inner - half) / (inner - outer))

    return (edge(int(right[0]), 1) + edge(int(left[0]), -1)) * step_um


def saturation_for(scanner: Confocal, depletion_nm: float, width_um: float) -> float:
    """Saturation at which the STED image of a point has the FWHM `width_um` in focus.

    Raises `UserError` where `width_um` is not below the confocal width.
    """
    # The profile through the centre is all that is needed, finely sampled.
    step_um = width_um / 24
    fine = dataclasses.replace(
        scanner, detection=dataclasses.replace(scanner.detection, pixel_size_um=step_um)
    )
    airy_um = 1.22e-3 * scanner.detection.wavelength_nm / scanner.detection.detected_aperture
    size_px = 2 * math.ceil(airy_um / step_um) + 1
    profile = _scanned(fine, [0.0], size_px, None)[0, size_px // 2].astype(np.float64)
    r = np.abs(np.arange(size_px) - size_px // 2) * step_um
    beam, _ = _depletion(scanner, depletion_nm, 0.0)
    ring = doughnut(beam, [0.0], r)[0]
    confocal = fwhm_um(profile, step_um)
    if not 0 < width_um < confocal:
        raise UserError(
            f"STED: got a width of {1e3 * width_um:.0f} nm; it must be above 0 and below the "
            f"confocal one, {1e3 * confocal:.0f} nm"
        )
    low, high = 0.0, 1.0
    while fwhm_um(profile * np.exp(-high * ring), step_um) > width_um:
        low, high = high, 2 * high
    for _ in range(40):
        middle = 0.5 * (low + high)
        if fwhm_um(profile * np.exp(-middle * ring), step_um) > width_um:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
