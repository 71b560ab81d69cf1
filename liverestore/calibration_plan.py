"""What a calibration through the core takes: light in the darks, exposures, numbers of frames.

Pure arithmetic on the first few frames of each kind, so that no light is spent on a series
that cannot succeed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.photon_transfer import Measured, Tiles

__all__ = [
    "GOAL",
    "MAP_DARKS",
    "Level",
    "Look",
    "dark_frames",
    "exposure_levels",
    "flat_frames",
    "lamp_steps",
    "look_at",
    "refuse_drift",
    "refuse_leak",
    "refuse_light_in_short_darks",
    "refuse_structure",
    "refuse_uneven",
    "too_bright",
]

GOAL = 0.03
"""Relative error that gain, offset and read noise are to stay within."""
MAP_DARKS = 64
"""Of which a map of the offset is made: its own noise is an eighth of the read noise."""
_LEAST_DARKS, _LEAST_FLATS, _MOST_FRAMES = 16, 16, 256
_CHANCE = 0.1
"""Of the goal: what chance may take of it; the rest is for what is systematic."""
_SHARES = (0.04, 0.1, 0.2, 0.35, 0.5)
"""Of the camera's range, for levels of light that are used."""
_SATURATING = 1.6
"""Times the light that fills the range."""
_LEAST_SIGNAL = 5.0
"""Of a first look, in standard deviations of its mean."""
_MOST_UNEVEN = 5.0
"""Light of the brightest parts of the field over that of the dimmest."""
_MOST_DRIFT = 0.05
_MOST_STRUCTURE = 0.05
_PILED_UP = 0.02
_TOO_BRIGHT = 0.6
"""Of the range: a first look that is brighter says little about the light."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A few frames under one light, reduced."""

    mean: NDArray[np.float64]
    """(Y, X), counts."""
    level: float
    """Its mean."""
    variance: float
    """Temporal, of a pixel, counts squared, from successive differences less their row means."""
    variance_error: float
    """Standard error of `variance` where noise is normal."""
    frames: int
    exposure_ms: float
    highest: float


@dataclass(frozen=True, slots=True)
class Level:
    """One level of light: an exposure, and a value of the lamp where that is what changes."""

    exposure_ms: float
    frames: int
    lamp: str | None = None
    fills: bool = False
    """Meant to saturate, for the full well."""

    @property
    def said(self) -> str:
        """In words."""
        light = f"{self.exposure_ms:g} ms"
        return f"lamp at {self.lamp}, {light}" if self.lamp is not None else light


def look_at(frames: list[NDArray[np.generic]], exposure_ms: float) -> Look:
    """Reduce two or more `frames`, (Y, X) counts, taken with `exposure_ms`."""
    stack = np.stack([frame.astype(np.float64) for frame in frames])
    steps = np.diff(stack, axis=0)
    steps -= steps.mean(axis=2, keepdims=True)
    width = stack.shape[2]
    variance = float(np.square(steps).mean() / 2 * width / (width - 1))
    # Successive differences know 2/3 of what as many independent ones would.
    error = variance * math.sqrt(3 / steps.size)
    mean = stack.mean(axis=0)
    highest = float(stack.max())
    return Look(mean, float(mean.mean()), variance, error, len(frames), exposure_ms, highest)


def refuse_leak(dark: Look, other: Look, closed_by: str) -> None:
    """Refuse darks that change with the exposure: `dark` and `other` differ in it.

    What light adds to the temporal variance is told without knowing the gain. As much as would
    make the read noise wrong by the goal of 3 % at the exposure of either is too much; so is a
    level that moves by half the noise of a pixel. `closed_by`: what was done against light, in
    words. Raises `UserError`.
    """
    short, long = sorted((dark, other), key=lambda look: look.exposure_ms)
    more = long.variance / short.variance - 1
    doubt = 3 * math.hypot(
        long.variance_error / long.variance, short.variance_error / short.variance
    )
    rise = long.level - short.level
    if more <= 2 * GOAL + doubt and abs(rise) <= 0.5 * math.sqrt(short.variance):
        return
    raise UserError(
        f"darks: their level goes from {short.level:.4g} to {long.level:.4g} counts and their "
        f"noise by {100 * (math.sqrt(max(1 + more, 0)) - 1):.2g} % when the exposure goes from "
        f"{short.exposure_ms:g} to {long.exposure_ms:g} ms, though {closed_by}: light leaks in "
        "or the chip is warm; cap the camera, darken the room, let it cool, or set "
        "--dark-exposure for light that cannot be closed"
    )


def refuse_light_in_short_darks(dark: Look, flat: Look) -> None:
    """Refuse darks that were taken by a short exposure alone and still hold light.

    `flat` is of the same light and a longer exposure, from which the light in the darks
    follows. Raises `UserError` for more than makes the read noise wrong by 3 %.
    """
    light = flat.level - dark.level
    share = dark.exposure_ms / flat.exposure_ms
    added = share * (flat.variance - dark.variance)
    if added > 2 * GOAL * dark.variance or share * light > 0.5 * math.sqrt(dark.variance):
        raise UserError(
            f"darks: an exposure of {dark.exposure_ms:g} ms still takes {share * light:.3g} counts "
            "of light, too much for the read noise; set a shorter --dark-exposure, dim the light, "
            "or cap the camera for the darks and leave the option out"
        )


def refuse_uneven(dark: Look, flat: Look) -> None:
    """Refuse light that does not reach the camera, or is far from even over the field.

    Raises `UserError`.
    """
    light = flat.level - dark.level
    pixels = dark.mean.size
    doubt = math.sqrt(dark.variance / (dark.frames * pixels) + flat.variance / pixels)
    if light < _LEAST_SIGNAL * max(doubt, 0.02 * math.sqrt(dark.variance)):
        raise UserError(
            f"flats: {flat.exposure_ms:g} ms gives {light:.2g} counts above the darks, which is "
            "no light; take the cap off, open the shutter, or switch the lamp on"
        )
    tiles = Tiles((dark.mean.shape[0], dark.mean.shape[1]))
    places = tiles.sums(flat.mean - dark.mean) / tiles.sums(np.ones_like(dark.mean))
    low, high = (float(v) for v in np.quantile(places, [0.02, 0.98]))
    if low * _MOST_UNEVEN < high:
        raise UserError(
            f"flats: the light is not even: bright parts of the field get {high:.3g} counts, dim "
            f"ones {low:.3g}, allowed is a factor of {_MOST_UNEVEN:g}; take an empty field or a "
            "uniform slide out of focus, and open the field stop"
        )


def refuse_drift(before: float, after: float, level: Level) -> None:
    """Refuse a lamp whose light at one level, in counts, went from `before` to `after`.

    Raises `UserError` beyond 5 %.
    """
    change = after / before - 1
    if abs(change) > _MOST_DRIFT:
        raise UserError(
            f"flats: the light of one level ({level.said}) changed by {100 * change:+.2g} % "
            f"while the series were taken, allowed are {100 * _MOST_DRIFT:.0f} %; let the lamp "
            "warm up and take them again"
        )


def refuse_structure(response: Measured) -> None:
    """Refuse a response that differs more from pixel to pixel than that of any camera.

    `response`: its relative rms. Raises `UserError` beyond 5 %: then it is in the light.
    """
    if response.value - 3 * response.uncertainty > _MOST_STRUCTURE:
        raise UserError(
            f"flats: neighbouring pixels differ by {100 * response.value:.2g} % rms, allowed are "
            f"{100 * _MOST_STRUCTURE:.0f} %: there is structure in the light; take it out of "
            "focus or the specimen away, or leave the maps out with --no-maps"
        )


def exposure_levels(
    dark: Look, flat: Look, top: float, longest_ms: float
) -> tuple[tuple[float, ...], float | None]:
    """Exposures in ms for five levels up to half of the range, and one that saturates.

    `top`: the highest number that the camera gives. Where `longest_ms` does not reach half of
    the range, the levels end there; the last is None where it does not saturate.
    """
    per_ms = (flat.level - dark.level) / flat.exposure_ms
    full_ms = (top - dark.level) / per_ms
    half_ms = min(_SHARES[-1] * full_ms, longest_ms)
    saturating_ms = _SATURATING * full_ms
    levels = tuple(_three_digits(half_ms * share / _SHARES[-1]) for share in _SHARES)
    return levels, _three_digits(saturating_ms) if saturating_ms <= longest_ms else None


def too_bright(flat: Look, top: float) -> bool:
    """Whether a first look is so near to saturation that its light cannot be told.

    Also where pixels pile up at a number below `top`, as of a camera with fewer bits than it
    says.
    """
    piled_up = float(np.mean(flat.mean >= flat.highest)) > _PILED_UP
    return piled_up or float(np.quantile(flat.mean, 0.95)) > _TOO_BRIGHT * top


def lamp_steps(low: float, high: float) -> tuple[str, ...]:
    """Values of a property with these limits, from little light to much."""
    shares = (0.05, 0.1, 0.2, 0.4, 0.7)
    return tuple(f"{low + share * (high - low):.6g}" for share in shares)


def dark_frames(shape: tuple[int, int], *, with_maps: bool) -> int:
    """Darks that a chip or ROI of `shape` (Y, X) needs for the read noise, 16 or more."""
    # A standard deviation of N numbers is uncertain by 1/sqrt(2 N); see `Look` for the 3/2.
    needed = 1 + 1.5 / (2 * shape[0] * shape[1] * (_CHANCE * GOAL) ** 2)
    return min(max(_LEAST_DARKS, math.ceil(needed), MAP_DARKS * with_maps), _MOST_FRAMES)


def flat_frames(shape: tuple[int, int], readout_over_light: float) -> int:
    """Frames of one level for the gain, 16 or more.

    `readout_over_light`: variance of a dark pixel over that of the light alone.
    """
    # The variance of N numbers is uncertain by sqrt(2/N), of readout and light together.
    needed = 1 + 1.5 * 2 * (1 + readout_over_light) ** 2 / (
        shape[0] * shape[1] * (_CHANCE * GOAL) ** 2
    )
    return min(max(_LEAST_FLATS, math.ceil(needed)), _MOST_FRAMES)


def _three_digits(value: float) -> float:
    return float(f"{value:.3g}")
