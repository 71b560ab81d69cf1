"""Beads in a z-stack that a point spread function can be fitted to: bright, alone, whole."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.errors import UserError
from liverestore.optics import Optics

__all__ = ["Bead", "depth_of_field_um", "find_beads"]

_LEAST_PLANES = 7
_LEAST_SIGNAL = 12.0
"""Of a smoothed peak, in standard deviations of the smoothed background."""
_WORST_NEIGHBOUR = 0.1
"""Height of another peak in the window, relative to the bead's."""
_MOST_WAVES = 4.0
"""Defocus at the rim of the pupil beyond which planes are left out: large and faint."""
_RADIUS_PX = (7, 24)
_SPREAD = 2.0
"""Extent of light in focus, relative to Airy's, beyond which it is no point."""


@dataclass(frozen=True, slots=True, eq=False)
class Bead:
    """A window around one bead."""

    counts: NDArray[np.float64]
    """(Z, Y, X), Y = X odd, the brightest place in the middle."""
    focus_um: NDArray[np.float64]
    """(Z,) where the stage stood, from the plane in which the bead is brightest."""
    place_px: tuple[int, int]
    """(y, x) of its middle in the stack."""
    plane: int
    """Plane of the stack in which it is brightest."""


def depth_of_field_um(optics: Optics) -> float:
    """Wavelength x index / NA^2, in um."""
    return 1e-3 * optics.wavelength_nm * optics.immersion_index / optics.numerical_aperture**2


def find_beads(
    stack: NDArray[np.generic],
    z_step_um: float,
    optics: Optics,
    *,
    saturation_counts: float | None = None,
    most: int = 4,
) -> tuple[Bead, ...]:
    """Up to `most` beads of `stack` (Z, Y, X), the brightest first.

    `z_step_um` is positive where planes go deeper. Raises `UserError`, with what to do, for a
    stack without beads, whose beads are saturated, crowded or too large, or that does not go
    through focus.
    """
    _check(stack, z_step_um, optics)
    data = np.asarray(stack, np.float64)
    airy_px = 0.61e-3 * optics.wavelength_nm / optics.numerical_aperture / optics.pixel_size_um
    smooth = ndimage.gaussian_filter(data, (0.0, *(max(0.35 * airy_px, 0.6),) * 2))
    highest = smooth.max(axis=0)
    level = float(np.median(highest))
    noise = 1.4826 * float(np.median(np.abs(highest - level)))
    radius = _radius_px(optics, z_step_um, len(data))
    peaks = (highest == ndimage.maximum_filter(highest, 3)) & (
        highest > level + _LEAST_SIGNAL * max(noise, 1e-9)
    )
    places = sorted(np.argwhere(peaks).tolist(), key=lambda p: -highest[p[0], p[1]])
    if not places:
        raise UserError(
            "no bead in the stack: nothing is brighter than the noise in any plane; take a slide "
            "with bright, sparse beads, or expose longer"
        )
    refused: list[str] = []
    found: list[Bead] = []
    for y, x in places[:64]:
        height = highest[y, x] - level
        if height < 0.2 * (highest[tuple(places[0])] - level):
            break  # rings and dirt around the beads
        bead = _window(data, smooth, (y, x), radius, z_step_um, optics)
        reason = _against(bead, highest - level, radius, height, saturation_counts, optics)
        if reason is None and bead is not None:
            found.append(bead)
        else:
            refused.append(str(reason))
        if len(found) == most:
            break
    if not found:
        places_said = f"the brightest of {len(refused)} places" if refused[1:] else "the only one"
        raise UserError(f"no bead in the stack that can be fitted: {places_said} {refused[0]}")
    return tuple(found)


def _check(stack: NDArray[np.generic], z_step_um: float, optics: Optics) -> None:
    if stack.ndim != 3:
        raise UserError(
            f"bead stack: got the shape {stack.shape}; allowed is one z-stack (Z, Y, X) of one "
            "channel and one time"
        )
    if not (math.isfinite(z_step_um) and z_step_um != 0):
        raise UserError(f"--z-step: got {z_step_um} um; give the step of the stage, not 0")
    if not np.isfinite(stack).all():
        raise UserError("bead stack: holds values that are no finite numbers; give raw frames")
    if len(stack) < _LEAST_PLANES:
        raise UserError(
            f"bead stack: got {len(stack)} planes; allowed are {_LEAST_PLANES} or more, through "
            "focus; take planes of half the depth of field, "
            f"{depth_of_field_um(optics) / 2:.2g} um, apart"
        )
    if min(stack.shape[1:]) < 2 * _RADIUS_PX[0] + 1:
        raise UserError(
            f"bead stack: got planes of {stack.shape[1]}x{stack.shape[2]} px; allowed are "
            f"{2 * _RADIUS_PX[0] + 1} px or more on each side"
        )
    way, field = (len(stack) - 1) * abs(z_step_um), depth_of_field_um(optics)
    if way < 3 * field:
        raise UserError(
            f"bead stack: its planes reach over {way:.3g} um; allowed is {3 * field:.3g} um or "
            "more, three depths of field; take more planes, or check --z-step"
        )


def _radius_px(optics: Optics, z_step_um: float, planes: int) -> int:
    sine = min(optics.numerical_aperture / optics.immersion_index, 0.95)
    far_um = min(planes * abs(z_step_um) / 2, _farthest_um(optics))
    cone = 0.8 * far_um * sine / math.sqrt(1 - sine**2)
    airy = 0.61e-3 * optics.wavelength_nm / optics.numerical_aperture
    return int(np.clip(math.ceil((cone + 3 * airy) / optics.pixel_size_um), *_RADIUS_PX))


def _farthest_um(optics: Optics) -> float:
    n, na = optics.immersion_index, optics.numerical_aperture
    return _MOST_WAVES * 1e-3 * optics.wavelength_nm / (n - math.sqrt(n**2 - na**2))


def _window(
    data: NDArray[np.float64],
    smooth: NDArray[np.float64],
    place: tuple[int, int],
    radius: int,
    z_step_um: float,
    optics: Optics,
) -> Bead | None:
    """None where half of the window would not lie within the stack."""
    y, x = place
    room = min(y, x, data.shape[1] - 1 - y, data.shape[2] - 1 - x)
    if room < max(radius // 2, _RADIUS_PX[0]):
        return None
    radius = min(radius, room)
    plane = int(smooth[:, y, x].argmax())
    focus = (np.arange(len(data), dtype=np.float64) - plane) * z_step_um
    near = np.flatnonzero(np.abs(focus) <= _farthest_um(optics))
    window = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
    middle: NDArray[np.float64] = focus[near].astype(np.float64)
    return Bead(data[near][:, *window], middle, (y, x), plane)


def _against(
    bead: Bead | None,
    highest: NDArray[np.float64],
    radius: int,
    height: float,
    saturation: float | None,
    optics: Optics,
) -> str | None:
    """What speaks against a bead, in words that follow "the brightest place"."""
    if bead is None:
        return (
            f"lies within {max(radius // 2, _RADIUS_PX[0])} px of the edge, too near for its "
            "rings; take a stack with beads away from the edges"
        )
    middle = bead.counts[np.argmin(np.abs(bead.focus_um))]
    top = float(bead.counts.max())
    if saturation is not None and top >= saturation:
        return f"is saturated ({top:g} counts); take the stack again with less light or exposure"
    if np.count_nonzero(middle == top) > 2:
        return f"is flat on top ({top:g} counts), as if saturated; take less light or exposure"
    field = depth_of_field_um(optics)
    if min(-bead.focus_um[0], bead.focus_um[-1]) * np.sign(bead.focus_um[-1]) < field and (
        min(abs(bead.focus_um[0]), abs(bead.focus_um[-1])) < field
    ):
        return (
            f"is in focus within {field:.2g} um of the end of the stack; take planes well above "
            "and below focus"
        )
    y, x = bead.place_px
    radius = bead.counts.shape[-1] // 2
    around = highest[y - radius : y + radius + 1, x - radius : x + radius + 1]
    tops = (around == ndimage.maximum_filter(around, 5)) & (around > _WORST_NEIGHBOUR * height)
    distance = np.hypot(*(np.indices(around.shape) - radius))
    if (tops & (distance > 3)).any():
        return (
            "has another one in its window; take sparser beads (tissue and clumps cannot be used)"
        )
    return _size_against(middle, optics)


def _size_against(middle: NDArray[np.float64], optics: Optics) -> str | None:
    """Full width at half maximum of the light in focus, by area, against Airy's."""
    side = len(middle)
    outer = np.concatenate([middle[0], middle[-1], middle[:, 0], middle[:, -1]])
    light = middle - np.median(outer)
    centre = light[side // 2 - 1 : side // 2 + 2, side // 2 - 1 : side // 2 + 2].max()
    lit, _ = ndimage.label(light > 0.5 * max(centre, 1e-9))
    area = np.count_nonzero(lit == lit[side // 2, side // 2])
    width = 2 * math.sqrt(area / math.pi) * optics.pixel_size_um
    sharp = 0.51e-3 * optics.wavelength_nm / optics.numerical_aperture
    # Pixels, and aberrations, widen a point.
    allowed = _SPREAD * math.hypot(sharp, optics.pixel_size_um) + optics.pixel_size_um
    if width > allowed:
        return (
            f"is {width:.2g} um wide in focus, where a point is {sharp:.2g} um; take beads below "
            "the resolution, and check --pixel-size"
        )
    return None
