"""What a multi-dimensional acquisition takes: time points, positions, channels, in this order.

There is no z among them: planes are virtual, made of the one frame that is taken of each.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from liverestore.errors import UserError
from liverestore.rig_channels import ChannelConfig

__all__ = [
    "HERE",
    "AcquisitionPlan",
    "Position",
    "Visit",
    "channels_named",
    "even_times",
    "parse_position",
]

_MOST_FRAMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Position:
    """A field of view."""

    name: str
    xy_um: tuple[float, float] | None
    """Of the XY stage; None: where it stands."""


HERE = Position("", None)
"""The field of view that there is when the acquisition begins."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One position at one time point, with all its channels."""

    time: int
    position: int
    due_s: float
    """Since the first time point was begun."""


@dataclass(frozen=True, slots=True)
class AcquisitionPlan:
    """One frame of each channel, at each position, at each time point."""

    times_s: tuple[float, ...]
    """When each time point is due, since the first one; rising."""
    positions: tuple[Position, ...] = (HERE,)
    channels: tuple[ChannelConfig, ...] = ()
    """Empty: the light path is left as it stands."""
    notes: tuple[str, ...] = ()
    """What was asked for and is done otherwise, in words."""

    def __post_init__(self) -> None:
        if self.exposures > _MOST_FRAMES:
            raise UserError(
                f"got {self.exposures:,} frames ({len(self.times_s)} time points x "
                f"{len(self.positions)} positions x {self.channel_count} channels); allowed are up "
                f"to {_MOST_FRAMES:,}; split the acquisition"
            )

    @property
    def channel_count(self) -> int:
        """Frames of a visit."""
        return max(1, len(self.channels))

    @property
    def exposures(self) -> int:
        """Frames of the whole acquisition, each one exposure."""
        return len(self.times_s) * len(self.positions) * self.channel_count

    def with_channels(self, channels: tuple[ChannelConfig, ...]) -> AcquisitionPlan:
        """The same with these channels."""
        return dataclasses.replace(self, channels=channels)

    def with_exposures(self, exposure_ms: float | None) -> AcquisitionPlan:
        """The same, `exposure_ms` in channels without their own: not that of a neighbour."""
        return self.with_channels(
            tuple(
                msgspec.structs.replace(channel, exposure_ms=channel.exposure_ms or exposure_ms)
                for channel in self.channels
            )
        )

    def visits(self, done: Sequence[int] = ()) -> Iterator[Visit]:
        """All visits in order, but for the time points of each position that are `done`.

        The first one left is due at once, the others at their distance from it.
        """
        done = done or [0] * len(self.positions)
        begin_s = self.times_s[min(min(done), len(self.times_s) - 1)]
        for time, due_s in enumerate(self.times_s):
            for position in range(len(self.positions)):
                if time >= done[position]:
                    yield Visit(time, position, due_s - begin_s)


def even_times(count: int, interval_s: float) -> tuple[float, ...]:
    """`count` time points, one each `interval_s`; 0: each as soon as the one before is done.

    Raises `UserError` for numbers that are none or not allowed.

    >>> even_times(3, 2.5)
    (0.0, 2.5, 5.0)
    """
    if count < 1:
        raise UserError(f"--time-points: got {count}, allowed is 1 or more")
    if not math.isfinite(interval_s) or interval_s < 0:
        raise UserError(
            f"--interval: got {interval_s:g} s, allowed is 0 (as fast as it goes) or more"
        )
    return tuple(n * interval_s for n in range(count))


def channels_named(
    text: str, channels: tuple[ChannelConfig, ...], rig: str
) -> tuple[ChannelConfig, ...]:
    """Those of the rig's `channels` that `text` names, as "DAPI,GFP", in that order.

    Raises `UserError` for a name that the rig has not and for one given twice.
    """
    known = {channel.name: channel for channel in channels}
    names = [name.strip() for name in text.split(",") if name.strip()]
    for number, name in enumerate(names):
        if name not in known:
            raise UserError(
                f"--channels: got {name!r}, the rig {rig} has "
                f"{', '.join(known) or 'no channels'}; write [[channels]] into the rig file"
            )
        if name in names[:number]:
            raise UserError(f"--channels: got {name!r} twice; name each channel once")
    if not names:
        raise UserError("--channels: got no name; write names with commas between: DAPI,GFP")
    return tuple(known[name] for name in names)


def parse_position(text: str, number: int) -> Position | None:
    """Position `number` out of "X,Y" or "X,Y,NAME" in um; None for text of another form."""
    parts = [part.strip() for part in text.split(",")]
    try:
        x_um, y_um = (float(part) for part in parts[:2])
    except ValueError:
        return None
    if len(parts) > 3 or not (math.isfinite(x_um) and math.isfinite(y_um)):
        return None
    name = parts[2] if len(parts) == 3 else ""
    return Position(name or f"p{number:02d}", (x_um, y_um))
