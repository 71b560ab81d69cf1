"""Exposures whose light is counted whether a frame comes of it or not."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Protocol

from liverestore.camera.channel_cycle import ChannelCycle, snap_all
from liverestore.camera.source import FrameSource
from liverestore.errors import EndOfStream, LiverestoreError, UserError
from liverestore.frame import Frame
from liverestore.service.light_keeper import LightKeeper

__all__ = ["Snapping", "check_light", "lit_frame", "lit_snap", "snap_channels"]


class Snapping(Protocol):
    """What a snap needs of a camera."""

    def snap(self) -> Frame:
        """One exposure, waited for."""
        ...


def check_light(light: LightKeeper | None) -> None:
    """Raises `UserError` where the budget of `light` does not hold the next exposure."""
    refusal = light.refusal() if light is not None else None
    if refusal is not None:
        raise UserError(f"no light: {refusal}")


def lit_snap(
    source: Snapping, light: LightKeeper | None, upcoming: tuple[float, str | None] | None = None
) -> Frame:
    """One exposure of `source`, for `light` to charge; without a frame it is charged here.

    A camera that is unplugged in an exposure, and a Ctrl-C, leave a sample that was lit. Too much
    is counted then rather than too little: nobody knows for how long. `upcoming` (ms, channel) is
    the exposure where `light` does not know it. Raises as `FrameSource.snap` does.
    """
    try:
        return source.snap()
    except UserError:
        # It was refused, and no shutter opened.
        raise
    except BaseException:
        if light is not None:
            light.failed(upcoming)
        raise


def lit_frame(source: FrameSource, light: LightKeeper | None, timeout_s: float) -> Frame | None:
    """The next frame of Live; see `FrameSource.next_frame`.

    Channels in turn are snaps: one of which no frame comes is charged here, as in `lit_snap`. Of a
    sequence `light` knows since when it is lit.
    """
    try:
        return source.next_frame(timeout_s)
    except (EndOfStream, UserError):
        raise
    except LiverestoreError:
        if light is not None and isinstance(source, ChannelCycle):
            light.failed()
        raise


def snap_channels(
    source: FrameSource, light: LightKeeper | None, notices: deque[str]
) -> list[Frame]:
    """See `snap_all`: one frame of each channel, as far as the budget of `light` holds them."""
    return snap_all(source, partial(lit_snap, source, light), partial(check_light, light), notices)
