"""Light dose: what a sample got, summed exactly, by field of view and for the session.

The dose of one frame is irradiance x time the light was on:
1 mW/cm2 x 1 ms = 1e-6 J/cm2. It is energy that fell on the plane where the irradiance was
measured; what the sample absorbed of it nobody measures here.

Times are summed as whole nanoseconds, so that a sum over a day is exact, and multiplied by
the irradiance once, when somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Field",
    "Kind",
    "Lamp",
    "LightSum",
    "dose_j_cm2",
    "frames_within",
    "nanoseconds",
    "nearest_field",
]

Kind = Literal["frame", "snap", "reference", "unseen"]
"""What light was for. "unseen": no frame shows it, because the exposure was broken off, the
frame was lost at the camera, or the shutter was open for longer than the frames."""

_NS_PER_MS = 1_000_000
_J_PER_MW_NS = 1e-12


def nanoseconds(milliseconds: float) -> int:
    """`milliseconds` as whole nanoseconds, the unit of every account."""
    return round(milliseconds * _NS_PER_MS)


def dose_j_cm2(irradiance_mw_cm2: float, light_on_ns: int) -> float:
    """The dose in J/cm2 of light of `irradiance_mw_cm2` that was on for `light_on_ns`.

    >>> dose_j_cm2(250.0, nanoseconds(40.0))
    0.01
    """
    return irradiance_mw_cm2 * light_on_ns * _J_PER_MW_NS


def frames_within(left_j_cm2: float, frame_j_cm2: float) -> int:
    """How many frames of `frame_j_cm2` each fit into `left_j_cm2`.

    What is left is the difference of two rounded numbers; a frame that lacks less than a
    billionth of itself fits.

    >>> frames_within(0.3 - 0.2, 0.1)
    1
    """
    if left_j_cm2 <= 0:
        return 0
    return math.floor(left_j_cm2 / frame_j_cm2 + 1e-9)


@dataclass(frozen=True, slots=True)
class Lamp:
    """Light of one kind."""

    channel: str | None
    irradiance_mw_cm2: float | None
    """At the sample; None where nobody measured it: then its time alone is known."""


@dataclass(slots=True)
class LightSum:
    """Light that was added up, by its lamp and by what it was for."""

    frames: dict[tuple[Lamp, Kind], int] = field(default_factory=dict)
    """Exposures; the rest of an open shutter's time is none."""
    light_on_ns: dict[tuple[Lamp, Kind], int] = field(default_factory=dict)

    def add(self, lamp: Lamp, light_on_ns: int, kind: Kind, frames: int = 1) -> None:
        """Add `frames` exposures that together lasted `light_on_ns`."""
        key = lamp, kind
        self.frames[key] = self.frames.get(key, 0) + frames
        self.light_on_ns[key] = self.light_on_ns.get(key, 0) + light_on_ns

    @property
    def dose_j_cm2(self) -> float:
        """Of the light whose irradiance is known, correctly rounded."""
        return math.fsum(
            dose_j_cm2(lamp.irradiance_mw_cm2, ns)
            for (lamp, _), ns in self.light_on_ns.items()
            if lamp.irradiance_mw_cm2 is not None
        )

    @property
    def measured(self) -> bool:
        """Whether the irradiance is known for some of the light, or there was none."""
        lamps = {lamp for lamp, _ in self.light_on_ns}
        return not lamps or any(lamp.irradiance_mw_cm2 is not None for lamp in lamps)

    @property
    def light_on_s(self) -> float:
        """All of it, of known and of unknown irradiance."""
        return sum(self.light_on_ns.values()) * 1e-9

    @property
    def unmeasured_s(self) -> float:
        """The time of light of unknown irradiance, which is in no dose."""
        return 1e-9 * sum(
            ns for (lamp, _), ns in self.light_on_ns.items() if lamp.irradiance_mw_cm2 is None
        )

    def count(self, kind: Kind | None = None) -> int:
        """Exposures of that kind, or of every kind."""
        return sum(n for (_, of), n in self.frames.items() if kind is None or of == kind)

    def lines(self) -> Iterator[tuple[Lamp, Kind, int, int]]:
        """(lamp, kind, frames, light_on_ns), in the order in which they came up."""
        for (lamp, kind), ns in self.light_on_ns.items():
            yield lamp, kind, self.frames[lamp, kind], ns

    def by_channel(self) -> Mapping[str | None, float]:
        """Channel -> dose in J/cm2, of those whose irradiance is known."""
        parts: dict[str | None, list[float]] = {}
        for lamp, _, _, ns in self.lines():
            if lamp.irradiance_mw_cm2 is not None:
                parts.setdefault(lamp.channel, []).append(dose_j_cm2(lamp.irradiance_mw_cm2, ns))
        return {channel: math.fsum(doses) for channel, doses in parts.items()}


@dataclass(slots=True)
class Field:
    """A field of view, and the light that it got."""

    number: int
    """From 1."""
    xy_um: tuple[float, float] | None
    """Where the stage was when it was first lit; None where the stage does not say."""
    light: LightSum = field(default_factory=LightSum)


def nearest_field(
    fields: Iterable[Field],
    xy_um: tuple[float, float] | None,
    size_um: tuple[float, float] | None,
) -> Field | None:
    """The one of `fields` that a stage at `xy_um` looks at; None for a new one.

    A field within half a field of view (`size_um`, x and y) in both directions counts as the
    same, the nearest one first. Where the position or the size is not known, all light falls
    on one field: too much is counted then, never too little.
    """
    if xy_um is None or size_um is None:
        return next(iter(fields), None)
    found: tuple[float, Field] | None = None
    for one in fields:
        if one.xy_um is None:
            continue
        dx, dy = (abs(here - there) for here, there in zip(xy_um, one.xy_um, strict=True))
        if dx < size_um[0] / 2 and dy < size_um[1] / 2:
            distance = math.hypot(dx, dy)
            if found is None or distance < found[0]:
                found = distance, one
    return found[1] if found is not None else None
