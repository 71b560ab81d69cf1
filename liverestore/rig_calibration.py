"""How `liverestore calibrate --rig` darkens and changes the light of a microscope."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["CalibrationConfig", "calibration_inconsistency"]


class CalibrationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[calibration]` table. All of it may be missing: a hand at the cap does instead."""

    lamp: str | None = None
    """Property that sets the light, "device.property"; None changes the exposure instead."""
    lamp_levels: tuple[str, ...] = ()
    """Values of `lamp`, as text; empty takes steps over the limits that the property has."""
    lamp_off: str | None = None
    """Value of `lamp` that gives no light at all."""
    dark_exposure_ms: Annotated[float, Meta(gt=0)] | None = None
    """For light that cannot be closed: so short an exposure that none of it is seen."""
    longest_exposure_ms: Annotated[float, Meta(gt=0)] = 200.0
    """Of a flat, where the exposure is what is changed."""


def calibration_inconsistency(config: CalibrationConfig, kind: str) -> str | None:
    """What the table gets wrong for a source of `kind`, or None."""
    if config == CalibrationConfig():
        return None
    if kind in ("replay", "bridge"):
        return f"calibration: has no meaning for source.kind = {kind!r}; leave it out"
    if config.lamp is None:
        for name in ("lamp_levels", "lamp_off"):
            if getattr(config, name):
                return f"calibration.{name}: has no meaning without calibration.lamp; add that"
        return None
    device, _, name = config.lamp.partition(".")
    if not device or not name:
        return (
            f'calibration.lamp: got {config.lamp!r}, allowed is "device.property" as in '
            "Micro-Manager's property browser; write both, with a dot between them"
        )
    if len(config.lamp_levels) == 1:
        return "calibration.lamp_levels: got one value, at least two are needed; add others"
    return None
