"""`liverestore calibrate --psf`: the objective out of a z-stack of beads."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.cli.calibration_file import KeptOptics, keep_optics, target_of
from liverestore.cli.psf_picture import save_picture
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.optics import Optics, mismatch_spherical_waves
from liverestore.photon_transfer import Measured
from liverestore.psf_fit import PsfFit, fit_psf
from liverestore.rig import RigConfig
from liverestore.rig_aberrations import NOLL_OF_NAME
from liverestore.rig_camera import camera_of
from liverestore.rig_optics import optics_of
from liverestore.sign_of_z import sign_report

__all__ = ["BeadStack", "calibrate_psf"]

_SIZES_AGREE = 0.05
_WELL_EXPLAINED = 2.0
"""chi2/dof above which the uncertainties are said to be too small."""


@dataclass(frozen=True, slots=True)
class BeadStack:
    """What the command line says of a recorded stack."""

    path: Path
    z_step_um: float | None
    pixel_size_um: float | None
    bead_um: float
    bead_depth_um: float | None


def calibrate_psf(
    rig: RigConfig, given: BeadStack, out: Path | None, picture: Path | None, *, force: bool
) -> None:
    """Fit, show, and write where asked. Raises `UserError` as `fit_psf` and for files."""
    target = target_of(rig, out, force=force, with_maps=False)
    if picture is None and target is not None:
        picture = target.rig.with_name(f"{target.rig.stem}_psf.png")
    if picture is not None:
        _check_picture(picture, force=force)
    stack, z_step_um, pixel_size_um = _read(given, rig.optics.pixel_size_um)
    nominal = optics_of(
        msgspec.structs.replace(
            rig, optics=msgspec.structs.replace(rig.optics, pixel_size_um=pixel_size_um)
        )
    )
    camera = camera_of(rig.camera)
    bits = rig.camera.bit_depth
    full = 2.0**bits - 1 if bits is not None else None
    if full is None and stack.dtype.kind == "u":
        full = float(np.iinfo(stack.dtype).max)
    fit = fit_psf(
        stack,
        z_step_um,
        nominal,
        camera=None if camera is None else camera.without_maps(),
        bead_um=given.bead_um,
        bead_depth_um=given.bead_depth_um,
        saturation_counts=full,
    )
    console = Console(highlight=False, soft_wrap=True)
    _show(console, fit, nominal)
    in_use = fit.optics
    if fit.mismatch_um is None:
        # The rig's depth is that of the specimen, the fit's that of beads at a known place.
        in_use = dataclasses.replace(in_use, depth_um=rig.optics.depth_um or 0.0)
    _show_sign(console, in_use, None if camera is None else camera.read_noise_e)
    if picture is not None:
        unlabelled = save_picture(fit.beads[0], picture)
        console.print(Text(f"picture: {picture} (columns: measured, fitted, their difference)"))
        if unlabelled is not None:
            console.print(Text(f"its words are missing: {unlabelled}"))
    if target is None:
        console.print(
            Text(
                "nothing was written: --out NEW.toml makes a copy of the rig with these optics, "
                f"--force puts them into {rig.origin}"
            )
        )
        return
    keep_optics(rig, _kept(fit, given.path, rig.optics.pixel_size_um, pixel_size_um), target)
    console.print(Text(f"written: {target.rig}"))


def _check_picture(path: Path, *, force: bool) -> None:
    if path.suffix.lower() != ".png":
        raise UserError(f"--picture {path}: got a name that is no .png; let it end in .png")
    if not path.expanduser().resolve().parent.is_dir():
        raise UserError(f"--picture {path}: its folder is missing; make it, or give another name")
    if path.exists() and not force:
        raise UserError(f"{path}: exists; give another --picture, or --force to replace it")


def _read(given: BeadStack, rig_um: float | None) -> tuple[NDArray[Any], float, float]:
    """Planes (Z, Y, X), z step and pixel size. Raises `UserError` for what is not stated."""
    with open_movie(given.path) as movie:
        sizes = zip(movie.axes[:-2], movie.leading_shape, strict=True)
        longer = [axis for axis, size in sizes if size > 1]
        named = longer == ["Z"] or (given.z_step_um is not None and longer in (["Q"], ["I"]))
        if not named:
            shape = " x ".join(map(str, (*movie.leading_shape, *movie.shape[1:])))
            raise UserError(
                f"{given.path}: got the axes {movie.axes} of {shape}; allowed is one z-stack, ZYX "
                "(or, with --z-step, three axes without names): save the planes of one time and "
                "one channel with their Z axis"
            )
        step = movie.z_step_um if given.z_step_um is None else given.z_step_um
        stated = movie.pixel_size_um
        stack = np.stack([np.asarray(frame) for frame in movie])
    if step is None:
        raise UserError(f"{given.path}: does not state its z step; give it with --z-step, in um")
    size = given.pixel_size_um or stated or rig_um
    if size is None:
        raise UserError(
            f"{given.path}: neither file nor rig state the pixel size; give it with --pixel-size"
        )
    if given.pixel_size_um is None and rig_um is not None and abs(size / rig_um - 1) > _SIZES_AGREE:
        raise UserError(
            f"{given.path}: has pixels of {size:g} um, but the rig {rig_um:g} um; allowed are 5 % "
            "of difference: give the right one with --pixel-size, or correct the rig"
        )
    return stack, float(step), float(size)


def _names(fit: PsfFit) -> dict[str, Measured]:
    """Zernike terms by their names, in the order of Noll."""
    return {
        name: fit.zernike_nm[noll] for name, noll in NOLL_OF_NAME.items() if noll in fit.zernike_nm
    }


def _show(console: Console, fit: PsfFit, nominal: Optics) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "measured", "", "before"):
        table.add_column(heading, no_wrap=True)
    before = dict(nominal.zernike_waves)
    table.add_row("aperture", str(fit.numerical_aperture), "NA", f"{nominal.numerical_aperture:g}")
    for name, term in _names(fit).items():
        waves = before.get(NOLL_OF_NAME[name], 0.0)
        known = f"{waves * nominal.wavelength_nm:.3g}" if waves else ""
        table.add_row(name.replace("_", " "), f"{term.value:.1f} +- {term.uncertainty:.1g}",
                      "nm rms", known)  # fmt: skip
    step = nominal.sample_index - nominal.immersion_index
    if fit.mismatch_um is not None:
        depth = fit.mismatch_um.times(1 / step)
        table.add_row(
            "mismatch x depth", str(fit.mismatch_um), "um", f"{step * nominal.depth_um:g}"
        )
        table.add_row("  depth", str(depth), "um", f"{nominal.depth_um:g}")
    table.add_row("other blur", str(fit.blur_um.times(1e3)), "nm", "")
    if fit.photons is not None:
        table.add_row("light", f"{fit.photons:.3g}", "photons a bead", "")
    console.print(table)
    noise = "the rig's camera" if fit.noise_is_known else "noise estimated from the stack"
    count = f"{len(fit.beads)} bead{'s' if len(fit.beads) > 1 else ''}"
    console.print(
        Text(
            f"fit: {count}, correlation {fit.correlation:.4f}, chi2/dof {fit.chi2_per_dof:.3g} "
            f"({noise})"
        )
    )
    notes = list(fit.notes)
    equal = _as_mismatch(fit, nominal)
    if equal is not None:
        notes.append(equal)
    if fit.chi2_per_dof > _WELL_EXPLAINED:
        notes.append(
            "the beads differ from the model by more than noise (other blur, dirt, an uneven "
            "pupil): +- is the fit's own and too small"
        )
    if len(fit.beads) == 1:
        notes.append("one bead; three or more in the field show how far they agree")
    for note in notes:
        console.print(Text(f"note: {note}", style="yellow"))


def _as_mismatch(fit: PsfFit, nominal: Optics) -> str | None:
    """What the primary spherical term would mean as a mismatch alone."""
    step = nominal.sample_index - nominal.immersion_index
    if fit.mismatch_um is not None or 11 not in fit.zernike_nm or abs(step) < 1e-3:
        return None
    one = mismatch_spherical_waves(dataclasses.replace(fit.optics, depth_um=1.0))
    depth = fit.zernike_nm[11].value / (nominal.wavelength_nm * one)
    if depth < 0:
        return None
    return (
        f"the spherical term is that of a mismatch x depth of {step * depth:.3g} um: the depth "
        f"{depth:.3g} um in a sample of index {nominal.sample_index:g}"
    )


def _show_sign(console: Console, optics: Optics, read_noise_e: float | None) -> None:
    report = sign_report(optics) if read_noise_e is None else sign_report(
        optics, read_noise_e=read_noise_e
    )  # fmt: skip
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("um from focus", "point on the wrong side", "texture"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in report.rows:
        table.add_row(f"{row.z_um:.2g}", f"{row.error_point:.1%}", f"{row.error_texture:.1%}")
    console.print(Text(f"\nsign of z: {report.sentence}"))
    console.print(table)


def _kept(fit: PsfFit, path: Path, rig_um: float | None, used_um: float) -> KeptOptics:
    numbers = {"numerical_aperture": fit.numerical_aperture}
    if fit.mismatch_um is not None:
        step = fit.optics.sample_index - fit.optics.immersion_index
        numbers["depth_um"] = fit.mismatch_um.times(1 / step)
    if rig_um is None:
        numbers["pixel_size_um"] = Measured(used_um, float("nan"))
    return KeptOptics(
        numbers,
        _names(fit),
        f"from {path.name}, fit and stack correlate by {fit.correlation:.3f}; +- is the standard "
        "uncertainty",
    )
