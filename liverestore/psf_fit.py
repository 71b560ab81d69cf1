"""The optics of a microscope out of a z-stack of beads: aperture, aberrations, index mismatch.

What a stack can tell. Wavelength, pixel, z step and the index of the immersion are taken as
known: they only scale it. The aperture follows from how wide and how deep the image is, odd
and even aberrations from its shape above and below focus. Of a mismatch, index and depth enter
as their product alone; and it differs from the objective's own spherical aberration only in
its higher orders, a fifth to a half of it, so that a dim stack gives their sum and a bright one
both (docs/refocusing.md). Beads on the coverslip have no mismatch: then all is the objective's.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.bead_finding import Bead, depth_of_field_um, find_beads
from liverestore.camera_estimate import estimate_from_frame
from liverestore.camera_stabilise import CameraModel
from liverestore.errors import UserError
from liverestore.optics import Optics, mismatch_spherical_waves
from liverestore.photon_transfer import Measured
from liverestore.psf_model import HIGHEST_APERTURE, BeadFit, Variance, expected_fall, fit_bead

__all__ = ["PsfFit", "fit_psf"]

_BASE = ("numerical_aperture", "Z5", "Z6", "Z7", "Z8", "Z11")
_MORE = (("Z22",), ("Z9", "Z10"))
"""Terms that are added, one group after the other, where they make the fit better."""
_BETTER = 25.0
"""Fall of chi2 for each further parameter, relative to chi2/dof: five standard deviations."""
_WORST_CORRELATION = 0.9
_APERTURES_AGREE = (0.75, 1.15)
_SURE = 0.3
"""Relative uncertainty up to which a mismatch counts as found."""


@dataclass(frozen=True, slots=True, eq=False)
class PsfFit:
    """Fitted optics and how good the fit is."""

    optics: Optics
    """Those given, with the fitted aperture, Zernike terms and, where the mismatch was fitted,
    the depth of the beads."""
    numerical_aperture: Measured
    zernike_nm: dict[int, Measured]
    """Noll index -> nm rms."""
    mismatch_um: Measured | None
    """(sample index - immersion index) x depth, where it was told apart from the objective's
    own spherical aberration."""
    blur_um: Measured
    """Standard deviation of the blur besides diffraction and bead."""
    photons: float | None
    """Photoelectrons of the brightest bead in a plane; None where the gain is not known."""
    beads: tuple[BeadFit, ...]
    """The brightest first."""
    noise_is_known: bool
    """Whether `chi2_per_dof` is against the measured camera, or an estimate of it."""
    notes: tuple[str, ...]

    @property
    def chi2_per_dof(self) -> float:
        """Of the brightest bead."""
        return self.beads[0].chi2_per_dof

    @property
    def correlation(self) -> float:
        """Of measured and fitted counts of the brightest bead."""
        return self.beads[0].correlation


def fit_psf(
    stack: NDArray[np.generic],
    z_step_um: float,
    optics: Optics,
    *,
    camera: CameraModel | None = None,
    bead_um: float = 0.0,
    bead_depth_um: float | None = None,
    saturation_counts: float | None = None,
    most_beads: int = 3,
) -> PsfFit:
    """Fit `optics` to the beads in `stack` (Z, Y, X) of counts.

    `z_step_um` is that of the stage, below 0 where planes come upwards. `optics` gives what is
    known and where to begin; its depth is not used. `bead_depth_um` says how far below the
    coverslip the beads lie; None fits the mismatch where the stack tells it. `bead_um` is
    their diameter. `camera` gives the noise, which is estimated where None.

    Raises `UserError`, with what to do, for a stack that has no usable bead or that no
    objective of this kind could have made.
    """
    field = depth_of_field_um(optics)
    if not 0 <= bead_um <= field / 2:
        raise UserError(
            f"--bead: got {bead_um:g} um; allowed is 0 up to {field / 2:.2g} um, half the depth "
            "of field: larger beads are no points; take smaller ones"
        )
    beads = find_beads(
        stack, z_step_um, optics, saturation_counts=saturation_counts, most=most_beads
    )
    variance = _variance(stack, beads[0], camera)
    template = dataclasses.replace(optics, depth_um=bead_depth_um or 0.0, zernike_waves=())
    limit = min(template.immersion_index, template.sample_index)
    if template.numerical_aperture >= HIGHEST_APERTURE * limit:
        template = dataclasses.replace(template, numerical_aperture=0.98 * limit)
    first, notes = _first(beads[0], template, variance, bead_um, fit_depth=bead_depth_um is None)
    _check(first, optics, z_step_um)
    names = tuple(n for n in first.values if n[0] in "Zn" or n == "depth_um")
    fits = [first] + [
        fit_bead(bead, template, names, variance, bead_um=bead_um, start=first.values)
        for bead in beads[1:]
    ]
    fits = [f for f in fits if f.correlation > _WORST_CORRELATION]
    found = {name: _together(fits, name) for name in (*names, "blur_um")}
    nm = optics.wavelength_nm
    terms = {int(n[1:]): found[n] for n in names if n.startswith("Z")}
    mismatch = None
    if "depth_um" in found:
        mismatch = found["depth_um"].times(optics.sample_index - optics.immersion_index)
    fitted = dataclasses.replace(
        template,
        numerical_aperture=found["numerical_aperture"].value,
        zernike_waves=tuple((noll, term.value) for noll, term in terms.items()),
        depth_um=found["depth_um"].value if mismatch else template.depth_um,
    )
    return PsfFit(
        optics=fitted,
        numerical_aperture=found["numerical_aperture"],
        zernike_nm={noll: term.times(nm) for noll, term in terms.items()},
        mismatch_um=mismatch,
        blur_um=found["blur_um"],
        photons=None if camera is None else float(first.light.max()) * camera.gain_e_per_count,
        beads=tuple(fits),
        noise_is_known=camera is not None,
        notes=tuple(notes),
    )


def _variance(stack: NDArray[np.generic], bead: Bead, camera: CameraModel | None) -> Variance:
    model = camera or estimate_from_frame(np.asarray(stack[bead.plane]))
    gain, offset = model.gain_e_per_count, model.offset_counts
    # Rounding is noise too, and keeps a camera without any from dividing by nothing.
    floor = max(model.read_noise_e / gain, 0.3) ** 2

    def variance(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return floor + np.maximum(counts - offset, 0.0) / gain

    return variance


def _first(
    bead: Bead, template: Optics, variance: Variance, bead_um: float, *, fit_depth: bool
) -> tuple[BeadFit, list[str]]:
    """The brightest bead with as many terms as its stack supports, and what to say of them."""
    base = fit_bead(bead, template, _BASE, variance, bead_um=bead_um)
    notes: list[str] = []
    more = list(_MORE)
    step = template.sample_index - template.immersion_index
    if base.correlation < _WORST_CORRELATION:
        return base, notes  # refused anyway
    if fit_depth and abs(step) > 1e-3:
        # A start on the side of the mismatch; the objective's own term is free to take it back.
        depth = 2.0 / abs(step)
        start = base.values | {"depth_um": depth}
        start["Z11"] -= mismatch_spherical_waves(dataclasses.replace(template, depth_um=depth))
        both = fit_bead(
            bead, template, (*_BASE, "depth_um"), variance, bead_um=bead_um, start=start
        )
        off = both.uncertainty("depth_um") / max(both.values["depth_um"], 1e-9)
        if _is_better(both, base, 1) and off < _SURE:
            base = both
            more.remove(("Z22",))
            notes.append(
                "mismatch and the objective's own spherical term were told apart by the higher "
                "orders of the mismatch"
            )
        else:
            notes.append(
                "the stack does not tell mismatch and the objective's own spherical term apart: "
                "the spherical term holds both; with --bead-depth the mismatch is taken as known"
            )
    for terms in more:
        fall = expected_fall(base, template, terms, variance, bead_um)
        if fall < _BETTER * len(terms) * max(base.chi2_per_dof, 1.0):
            continue
        names = (*(n for n in base.values if n[0] in "Zn" or n == "depth_um"), *terms)
        further = fit_bead(bead, template, names, variance, bead_um=bead_um, start=base.values)
        if _is_better(further, base, len(terms)):
            base = further
    return base, notes


def _is_better(new: BeadFit, old: BeadFit, parameters: int) -> bool:
    fall = (old.chi2_per_dof - new.chi2_per_dof) * new.bead.counts.size
    return fall > _BETTER * parameters * max(new.chi2_per_dof, 1.0)


def _check(fit: BeadFit, optics: Optics, z_step_um: float) -> None:
    """Raise `UserError` for a fit that no objective of this kind explains."""
    aperture = fit.values["numerical_aperture"]
    rig = min(optics.numerical_aperture, optics.sample_index, optics.immersion_index)
    low, high = _APERTURES_AGREE
    ratio = aperture / rig
    at_limit = aperture >= 0.99 * HIGHEST_APERTURE * optics.immersion_index
    if not low <= ratio <= high or (at_limit and ratio > 1.02):
        limit = ", the highest in this immersion" if at_limit else ""
        more = "smaller" if ratio < 1 else "larger"
        raise UserError(
            f"bead stack: its aperture comes out at {aperture:.3g}{limit}, where the rig says "
            f"{optics.numerical_aperture:g} (fit and stack correlate by {fit.correlation:.2f}); is "
            f"the z step of {abs(z_step_um):g} um right (a {more} one would explain it), the pixel "
            f"of {optics.pixel_size_um:g} um and the objective?"
        )
    if fit.correlation < _WORST_CORRELATION:
        raise UserError(
            f"bead stack: fit and stack correlate by {fit.correlation:.2f} only, allowed is "
            f"{_WORST_CORRELATION:g}: the brightest spot is no point, or z step, pixel size or "
            "wavelength are wrong"
        )


def _together(fits: list[BeadFit], name: str) -> Measured:
    """Mean over beads by their uncertainties, with the scatter between them where it is more."""
    values = np.array([fit.values[name] for fit in fits])
    weights = np.array([1 / max(fit.uncertainty(name), 1e-12) ** 2 for fit in fits])
    mean = float((weights * values).sum() / weights.sum())
    off = 1 / math.sqrt(weights.sum())
    if len(fits) > 1:
        off = max(off, float(values.std(ddof=1)) / math.sqrt(len(fits)))
    return Measured(mean, off)
