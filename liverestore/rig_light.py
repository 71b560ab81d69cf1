"""The light of a microscope: how strong it is, what switches it, and how much is allowed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from liverestore.dose import Lamp
from liverestore.errors import UserError
from liverestore.reference_schedule import USUAL_EXPOSURE, reference_plan
from liverestore.rig_channels import ChannelConfig, named_channel, takes_turns

__all__ = ["IlluminationConfig", "lamp_of", "light_inconsistency", "unmeasured_channel"]


class IlluminationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The light on the sample."""

    irradiance_mw_cm2: Annotated[float, Meta(gt=0)] | None = None
    """At the sample, at the set power."""
    excitation_nm: Annotated[float, Meta(ge=300, le=1300)] | None = None
    shutter: str | None = None
    """Micro-Manager label of the shutter; the core opens it for exposures alone then. None:
    that of the configuration."""
    light_on: Literal["live", "exposure"] = "live"
    """While Live runs without a break, or, where the camera switches the lamp by itself, for
    the exposures alone. A snap has light for its exposure in both cases."""
    budget_j_cm2: Annotated[float, Meta(gt=0)] | None = None
    """The most light for each field of view."""
    session_budget_j_cm2: Annotated[float, Meta(gt=0)] | None = None
    """The most light for all fields of a session together."""
    reference_every: str | None = None
    """Take a bright reference shot so often in Live, such as "10min" or "500frames"."""
    reference_exposure: str = USUAL_EXPOSURE
    """Of such a shot, such as "400ms", or "10x" the exposure of the frames."""


def lamp_of(
    illumination: IlluminationConfig, channels: tuple[ChannelConfig, ...], channel: str | None
) -> Lamp:
    """The light of the frames whose channel is `channel`."""
    own = named_channel(channels, channel)
    stated = own.irradiance_mw_cm2 if own is not None else None
    return Lamp(channel, stated or illumination.irradiance_mw_cm2)


def unmeasured_channel(
    illumination: IlluminationConfig, channels: tuple[ChannelConfig, ...]
) -> str | None:
    """Where an irradiance is missing, as the field of a rig file; None: nowhere."""
    if illumination.irradiance_mw_cm2 is not None:
        return None
    for number, channel in enumerate(channels):
        if channel.irradiance_mw_cm2 is None:
            return f"channels[{number}].irradiance_mw_cm2"
    return None if channels else "illumination.irradiance_mw_cm2"


def light_inconsistency(
    illumination: IlluminationConfig, channels: tuple[ChannelConfig, ...], kind: str
) -> str | None:
    """What is wrong with the light of a rig whose source is of `kind`; None if nothing."""
    if illumination.reference_every is not None:
        if kind in ("replay", "bridge"):
            return (
                f"illumination.reference_every: has no meaning for source.kind = {kind!r}, whose "
                "exposure is not ours; leave it out"
            )
        places = "illumination.reference_every", "illumination.reference_exposure"
        try:
            reference_plan(
                illumination.reference_every, illumination.reference_exposure, places=places
            )
        except UserError as error:
            return str(error)
        if takes_turns(channels):
            return (
                "illumination.reference_every: has no meaning for channels in turn, each with its "
                "own exposure; leave it out"
            )
    for name in ("budget_j_cm2", "session_budget_j_cm2"):
        if getattr(illumination, name) is None:
            continue
        if kind == "replay":
            return f"illumination.{name}: has no meaning for a replayed movie; leave it out"
        missing = unmeasured_channel(illumination, channels)
        if missing is not None:
            return (
                f"illumination.{name}: got {getattr(illumination, name):g}, but without "
                f"{missing} no dose is known that it could hold; measure the irradiance at the "
                "sample, or leave the budget out"
            )
    return None
