"""What a run can be told over the control channel."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from liverestore.status_exposure import MeasureExposure, StopMeasuring
from liverestore.status_light import NewSample, SetBudget, SetHold
from liverestore.status_trust import SetTrustMap

__all__ = [
    "Command",
    "MeasureExposure",
    "NewSample",
    "SetBudget",
    "SetDpm",
    "SetEngine",
    "SetExposure",
    "SetHold",
    "SetLive",
    "SetRecording",
    "SetRival",
    "SetRoi",
    "SetTrustMap",
    "SetZ",
    "SetZStack",
    "Snap",
    "Stop",
    "StopMeasuring",
]


class _Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    pass


class Stop(_Word, frozen=True, kw_only=True):
    """End the run in order; the raw file is closed properly."""


class SetExposure(_Word, frozen=True, kw_only=True):
    """Change the camera's exposure from the next frame it can."""

    exposure_ms: Annotated[float, Meta(gt=0, le=600_000)]
    channel: str | None = None
    """The channel that it is for; None: all."""


class SetZ(_Word, frozen=True, kw_only=True):
    """Move the focus drive."""

    z_um: float


class SetEngine(_Word, frozen=True, kw_only=True):
    """Restore with another engine from the next frame on."""

    name: str
    channel: str | None = None
    """The channel whose frames it is to restore; None: all."""


class SetRival(_Word, frozen=True, kw_only=True):
    """Restore each frame with a second engine as well, or (None) no longer."""

    name: str | None


class SetDpm(_Word, frozen=True, kw_only=True):
    """Refocus to another surface from the next frame on, the current one included."""

    spec: str | None
    """As `dpm.parse_dpm` reads it; None: none is asked for, which is 0 um."""


class SetZStack(_Word, frozen=True, kw_only=True):
    """Make a virtual stack of each frame too from the next one on, the current one included."""

    text: str | None
    """START:STOP:STEP in um from the plane in focus, as `refocus.parse_zstack` reads it; None:
    no stack."""


class SetLive(_Word, frozen=True, kw_only=True):
    """Let the camera deliver frames, or pause it: the sequence ends, the device stays open."""

    on: bool


class Snap(_Word, frozen=True, kw_only=True):
    """Take one frame while the camera is paused."""


class SetRecording(_Word, frozen=True, kw_only=True):
    """Begin a new raw file with the next frame, or close the one that is being written."""

    on: bool


class SetRoi(_Word, frozen=True, kw_only=True):
    """Read out a part of the chip only."""

    roi: tuple[int, int, int, int] | None
    """(x, y, width, height) on the chip in binned pixels, x and y from 0; None: all of it."""


Command = (
    Stop
    | SetExposure
    | SetZ
    | SetEngine
    | SetRival
    | SetDpm
    | SetZStack
    | SetTrustMap
    | SetLive
    | Snap
    | SetRecording
    | SetRoi
    | SetBudget
    | NewSample
    | MeasureExposure
    | StopMeasuring
    | SetHold
)
