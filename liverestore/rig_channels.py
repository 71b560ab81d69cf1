"""The channels of a microscope: what the light path is set to for each, and its colour.

A rig with two channels or more takes its frames in turn: one frame of each channel, with
its own exposure. A rig with one or none runs its camera without interruption.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Annotated

import msgspec
from msgspec import Meta

from liverestore.errors import UserError

__all__ = [
    "COLOURS",
    "MOST_CHANNELS",
    "ChannelConfig",
    "channel_colour",
    "channels_inconsistency",
    "named_channel",
    "takes_turns",
]

MOST_CHANNELS = 9
"""As many as there are keys to choose one (Ctrl+1 to Ctrl+9)."""
_LONGEST_NAME = 40

COLOURS = MappingProxyType(
    {
        "blue": "#2f6bff",
        "cyan": "#00d5ff",
        "green": "#00ff00",
        "yellow": "#ffe600",
        "orange": "#ff8c00",
        "red": "#ff2020",
        "magenta": "#ff00ff",
        "grey": "#ffffff",
    }
)
"""Colours that a rig may name. Blue is lighter than a screen's own, which is too dark to
show structure."""

# Upper end of the band in nm, and what microscopists show it in. Far red, which nobody
# sees, is by custom magenta.
_BANDS_NM = (
    (490.0, "blue"),
    (515.0, "cyan"),
    (555.0, "green"),
    (590.0, "yellow"),
    (620.0, "orange"),
    (655.0, "red"),
    (1101.0, "magenta"),
)
_WITHOUT_WAVELENGTH = ("green", "magenta", "cyan", "yellow", "blue", "red", "orange")


class ChannelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel: a preset of Micro-Manager, an exposure and how it is shown."""

    name: str
    """Shown, and written with each frame."""
    group: str | None = None
    """Configuration group of Micro-Manager, usually "Channel"; with `preset`, or not at all."""
    preset: str | None = None
    exposure_ms: Annotated[float, Meta(gt=0, le=600_000)] | None = None
    """None: that of the camera."""
    wavelength_nm: Annotated[float, Meta(ge=300, le=1100)] | None = None
    """Centre of the emission; None: that of the optics."""
    excitation_nm: Annotated[float, Meta(ge=300, le=1300)] | None = None
    irradiance_mw_cm2: Annotated[float, Meta(gt=0)] | None = None
    """At the sample; None: that of the illumination."""
    colour: str | None = None
    """In the composite: a name of `COLOURS` or "#rrggbb"; None: after the wavelength."""
    engine: str | None = None
    """Engine that restores it; None: that of the run."""


def takes_turns(channels: tuple[ChannelConfig, ...]) -> bool:
    """Whether a rig with these channels takes one frame of each in turn."""
    return len(channels) > 1


def named_channel(channels: tuple[ChannelConfig, ...], name: str | None) -> ChannelConfig | None:
    """The channel of that name; None for no name and for one that is not there."""
    return next((channel for channel in channels if channel.name == name), None)


def channel_colour(channels: tuple[ChannelConfig, ...], number: int) -> tuple[int, int, int]:
    """(red, green, blue), 0 to 255 each, of channel `number`, counted from 0.

    Its own colour, else one after its wavelength, else the first that no channel names.
    Raises `UserError` for a colour that is neither a name nor "#rrggbb".
    """
    channel = channels[number]
    if channel.colour is not None:
        return _rgb(channel.colour)
    if channel.wavelength_nm is not None:
        return _rgb(_after(channel.wavelength_nm))
    named = {
        other.colour or (other.wavelength_nm and _after(other.wavelength_nm)) for other in channels
    }
    free = [name for name in _WITHOUT_WAVELENGTH if name not in named]
    place = sum(other.colour is None and other.wavelength_nm is None for other in channels[:number])
    return _rgb(free[place] if place < len(free) else "grey")


def _after(wavelength_nm: float) -> str:
    return next(name for end_nm, name in _BANDS_NM if wavelength_nm < end_nm)


def _rgb(colour: str) -> tuple[int, int, int]:
    text = COLOURS.get(colour, colour)
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise UserError(
            f"colour: got {colour!r}, allowed is one of {', '.join(COLOURS)} or a colour like "
            '"#ff8800"'
        )
    red, green, blue = bytes.fromhex(text[1:])
    return (red, green, blue)


def channels_inconsistency(channels: tuple[ChannelConfig, ...], kind: str) -> str | None:
    """What is wrong with the channels of a rig whose source is of `kind`; None if nothing.

    In the words of a rig file's messages: "channels[1].preset: is missing; ...".
    """
    if not channels:
        return None
    if kind in ("replay", "bridge"):
        return (
            f"channels: have no meaning for source.kind = {kind!r}, whose frames bring their own; "
            "leave them out"
        )
    if len(channels) > MOST_CHANNELS:
        return (
            f"channels: got {len(channels)}, allowed are up to {MOST_CHANNELS}; leave out those "
            "that are not looked at live"
        )
    seen: set[str] = set()
    settable = 0
    for number, channel in enumerate(channels):
        where = f"channels[{number}]"
        if not channel.name.strip() or len(channel.name) > _LONGEST_NAME:
            return (
                f"{where}.name: got {channel.name!r}, allowed is text of 1 to {_LONGEST_NAME} "
                "letters"
            )
        if channel.name in seen:
            return f"{where}.name: got {channel.name!r} a second time; give each channel its own"
        seen.add(channel.name)
        for given, missing in (("group", "preset"), ("preset", "group")):
            if getattr(channel, given) is not None and getattr(channel, missing) is None:
                return (
                    f"{where}.{missing}: is missing; group and preset are Micro-Manager's "
                    "configuration group and the preset in it: give both or neither"
                )
        settable += channel.group is not None
        if channel.colour is not None:
            try:
                _rgb(channel.colour)
            except UserError as error:
                return f"{where}.{error}"
    if takes_turns(channels) and settable < len(channels):
        number = next(n for n, channel in enumerate(channels) if channel.group is None)
        return (
            f"channels[{number}].group: is missing; with more than one channel each needs the "
            "group and preset that set its light path, or frames would carry a wrong name"
        )
    return None
