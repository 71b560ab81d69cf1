"""What a refocusing engine is told of a frame: distances in waves, and what speaks against them.

The network gets the distance of each pixel in waves of defocus at the rim of the pupil
(`microscopes.defocus_waves_per_um`), so that one network serves several objectives. Distances
beyond its reach are clipped, and said to be; optics outside of its training are said too.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.dpm import Dpm
from liverestore.dpm_points import Points
from liverestore.errors import UserError
from liverestore.frame import FrameHeader
from liverestore.microscopes import defocus_waves_per_um
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.sign_of_z import TWO_PLANES, sign_report
from liverestore.zstack import ZStack, parse_zstack

__all__ = [
    "OPTICS_NEEDED",
    "Aim",
    "ZStack",
    "aim",
    "check_overlap",
    "check_reach",
    "clipped_words",
    "parse_zstack",
    "tells_sign",
]

OPTICS_NEEDED = (
    "optics.numerical_aperture, wavelength_nm, immersion_index, sample_index and pixel_size_um "
    "(depth_um too, where it is not 0)"
)
"""For messages: the fields of a rig without which nothing can be refocused."""

_LEAST_PATH_UM = 0.3
"""Index mismatch times depth below which the pictures above and below focus are alike."""
_LEAST_WAVES = 0.02
_PIXEL_SIZES_AGREE = 0.05
_SLOWEST_PERIOD_PX = 100.0
"""Networks see flat planes in training; surfaces that vary more slowly are as good as flat."""
_LEAST_RELIEF_UM = 1.0
_WORDS = {
    "numerical_aperture": ("a numerical aperture of", ""),
    "wavelength_nm": ("a wavelength of", " nm"),
    "immersion_index": ("an immersion of index", ""),
    "sample_index": ("a sample of index", ""),
    "depth_um": ("a depth of", " um"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """Where to refocus one frame."""

    waves: NDArray[np.float32]
    """(Y, X) float32, waves of defocus, positive deeper into the sample; read-only."""
    parameters: dict[str, float | int | str]
    """For the provenance: the DPM, the reach, and the optics in whose waves it is."""
    warnings: tuple[str, ...]
    """What speaks against the result, in words."""


def check_reach(dpm: Dpm | float, spec: ModelSpec, asked: str) -> None:
    """Refuse one distance, in um, beyond the reach of `spec`; surfaces are clipped instead.

    Points are distances too: nothing beyond the reach was ever seen in focus with this engine.
    `asked` is how it was asked for, in words. Raises `UserError`.
    """
    z_um = dpm.uniform_um if isinstance(dpm, Dpm) else dpm
    reach = spec.reach_um
    for term in dpm.terms if isinstance(dpm, Dpm) and reach is not None else ():
        if isinstance(term, Points) and abs(term.farthest_um) > (reach or 0.0):
            raise UserError(
                f"got {asked}, of which a point lies at {term.farthest_um:g} um; the engine "
                f"{spec.name!r} reaches from -{reach:g} to {reach:g} um; leave the point out"
            )
    if reach is not None and z_um is not None and abs(z_um) > reach:
        raise UserError(
            f"got {asked}, which asks for {z_um:g} um; the engine {spec.name!r} reaches from "
            f"-{reach:g} to {reach:g} um; stay within"
        )


def check_overlap(
    dpm: Dpm, spec: ModelSpec, shape: tuple[int, int], pixel_size_um: float, asked: str
) -> None:
    """Refuse a surface that lies beyond the reach of `spec` in all of a frame of `shape` (Y, X).

    Raises `UserError` for it, and for one that does not fit the frame.
    """
    surface, reach = dpm.surface_um(shape, pixel_size_um), spec.reach_um
    if reach is not None and float(np.abs(surface).min()) > reach:
        raise UserError(
            f"got {asked}, which goes from {surface.min():.4g} to {surface.max():.4g} um and lies "
            f"beyond what the engine {spec.name!r} reaches, -{reach:g} to {reach:g} um, everywhere "
            "in the frame; stay within"
        )


def clipped_words(beyond: float, reach_um: float) -> str:
    """What becomes of a surface of which the share `beyond` (0 to 1) is out of reach.

    >>> clipped_words(0.003, 10.0)
    "1 % of the frame lies beyond the engine's reach and is clipped to -10 to 10 um"
    """
    return (
        f"{max(1, round(100 * beyond))} % of the frame lies beyond the engine's reach and is "
        f"clipped to -{reach_um:g} to {reach_um:g} um"
    )


def tells_sign(optics: Optics) -> bool:
    """Whether a picture holds the sign of its defocus, so that +z and -z differ.

    An ideal objective blurs alike above and below its focus. Spherical aberration (index
    mismatch times depth) and aberrations that are even in the pupil, such as astigmatism,
    break that; odd ones, such as coma, only turn the picture over together with the sign.
    """
    path_um = abs(optics.sample_index - optics.immersion_index) * optics.depth_um
    even = sum(
        abs(waves)
        for noll, waves in optics.zernike_waves
        if noll not in (1, 4) and math.ceil((math.sqrt(1 + 8 * noll) - 3) / 2) % 2 == 0
    )
    return path_um >= _LEAST_PATH_UM or even >= _LEAST_WAVES


def aim(
    dpm: Dpm | NDArray[np.float32] | float | None,
    header: FrameHeader,
    spec: ModelSpec,
    optics: Optics | None,
) -> Aim:
    """Prepare the second channel of `spec` for frames like `header`.

    `dpm` is in um. The surface is placed with the frame's pixel size, or with that of `optics`
    where the frame states none. Raises `UserError` for an engine that does not refocus,
    without a DPM or optics, and for a DPM that does not fit the frame.
    """
    if not spec.refocuses:
        raise UserError(f"engine '{spec.name}' does not refocus; leave out the DPM")
    if dpm is None:
        raise UserError(
            f"engine '{spec.name}' refocuses and was not told where to; give a distance in um, "
            "positive deeper into the sample, or a surface (--z, --zstack or --dpm)"
        )
    if optics is None:
        raise UserError(
            f"engine '{spec.name}' needs the optics, to give distances in waves; name a rig with "
            f"{OPTICS_NEEDED}"
        )
    if not isinstance(dpm, Dpm):
        dpm = Dpm.uniform(float(dpm)) if np.ndim(dpm) == 0 else Dpm.from_array(np.asarray(dpm))
    make = _aim if dpm.uniform_um is None else _aim.__wrapped__
    return make(dpm, header.shape, header.pixel_size_um, spec, optics)


@functools.lru_cache(maxsize=2)
def _aim(
    dpm: Dpm, shape: tuple[int, int], pixel_size_um: float | None, spec: ModelSpec, optics: Optics
) -> Aim:
    """Kept for the frames of a movie: for a surface it takes some milliseconds."""
    assert spec.reach_um is not None, "a package that refocuses states its reach"
    surface = dpm.surface_um(shape, pixel_size_um or optics.pixel_size_um)
    if dpm.uniform_um is not None:
        surface = surface[:1, :1]
    reach = np.float32(spec.reach_um)
    beyond = int(np.count_nonzero(np.abs(surface) > reach))
    per_um = defocus_waves_per_um(optics)
    waves = np.clip(surface, -reach, reach) if beyond else surface.astype(np.float32)
    waves *= np.float32(per_um)
    parameters: dict[str, float | int | str] = {
        "dpm": str(dpm),
        "dpm_min_um": round(float(surface.min()), 4),
        "dpm_max_um": round(float(surface.max()), 4),
        "dpm_mean_um": round(float(surface.mean(dtype=np.float64)), 4),
        "reach_um": spec.reach_um,
        "waves_per_um": round(per_um, 6),
        "numerical_aperture": optics.numerical_aperture,
        "wavelength_nm": optics.wavelength_nm,
        "immersion_index": optics.immersion_index,
        "sample_index": optics.sample_index,
        "depth_um": optics.depth_um,
        "pixel_size_um": pixel_size_um or optics.pixel_size_um,
    }
    if spec.sections:
        parameters["target"] = "confocal"
    if dpm.sha256:
        parameters["dpm_sha256"] = dpm.sha256
    if dpm.uniform_um is not None:
        parameters["virtual_z_um"] = dpm.uniform_um
    if optics.zernike_waves:
        parameters["zernike_waves"] = ", ".join(f"{n}: {w:g}" for n, w in optics.zernike_waves)
    warnings = list(_about_optics(pixel_size_um, spec, optics))
    if tells_sign(optics):
        farthest = min(float(np.abs(surface).max()), spec.reach_um)
        report = sign_report(optics)
        parameters["sign_error"] = round(report.error_at(farthest), 4)
        doubt = report.warning_at(farthest)
        warnings += [] if doubt is None else [doubt]
    else:
        parameters["sign_error"] = 0.5
    if beyond:
        beyond *= shape[0] * shape[1] // surface.size
        parameters["dpm_clipped_px"] = beyond
        warnings.insert(
            0,
            f"{beyond:,} of {shape[0] * shape[1]:,} pixels are wanted farther than engine "
            f"'{spec.name}' reaches, from {surface.min():.3g} to {surface.max():.3g} um: clipped "
            f"to -{spec.reach_um:g} to {spec.reach_um:g} um",
        )
    period_px = _period_px(surface)
    if period_px is not None and period_px < _SLOWEST_PERIOD_PX:
        warnings.append(
            f"the surface rises and falls within about {period_px:.0f} px: engines are trained on "
            f"flat planes and follow what changes over {_SLOWEST_PERIOD_PX:g} px or more"
        )
    waves = np.broadcast_to(waves, shape)
    return Aim(waves, parameters, tuple(warnings))


def _period_px(surface: NDArray[np.float32]) -> float | None:
    """How fast a surface varies about its mean plane, as the period of a sine as steep.

    A sine of amplitude A and period P is as steep as 2 pi A / P. None where it is nearly flat.
    """
    if min(surface.shape) < 2:
        return None
    y, x = (np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in surface.shape)
    along_x = float((surface.mean(0) @ x) / (x @ x))
    along_y = float((surface.mean(1) @ y) / (y @ y))
    relief = surface - np.float32(along_x) * x - np.float32(along_y) * y[:, None]
    height = float(np.ptp(relief))
    if height < _LEAST_RELIEF_UM:
        return None
    steepest = math.hypot(*(float(np.abs(np.diff(relief, axis=a)).max()) for a in (0, 1)))
    return math.pi * height / steepest


def _about_optics(pixel_size_um: float | None, spec: ModelSpec, optics: Optics) -> list[str]:
    words = []
    for name, (low, high) in (spec.optics.ranges() if spec.optics else {}).items():
        value = getattr(optics, name)
        # A card is rounded.
        slack = 1e-6 * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            what, unit = _WORDS[name]
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            words.append(
                f"{what} {value:g}{unit}: engine '{spec.name}' was trained for {span}{unit}"
            )
    size, sizes = optics.pixel_size_um, spec.pixel_size_range_um
    # A size that the frame itself states is judged for every engine (`warnings_for`).
    if pixel_size_um is None and sizes is not None and not sizes[0] <= size <= sizes[1]:
        words.append(
            f"pixels of {size:g} um: engine '{spec.name}' was trained for {sizes[0]:g} to "
            f"{sizes[1]:g} um"
        )
    if pixel_size_um is not None and abs(pixel_size_um / size - 1) > _PIXEL_SIZES_AGREE:
        words.append(
            f"pixels of {pixel_size_um:g} um where the rig says {size:g} um: is it the right rig?"
        )
    if not tells_sign(optics):
        words.append(
            f"these optics (immersion {optics.immersion_index:g}, sample {optics.sample_index:g}, "
            f"depth {optics.depth_um:g} um) look the same above and below focus: +z and -z cannot "
            f"be told apart in one frame; {TWO_PLANES}"
        )
    return words
