"""What a run reports of itself, and what it can be told: the control channel's words."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["Command", "RunState", "RunStatus", "SetEngine", "SetExposure", "SetZ", "Stop"]

RunState = Literal["starting", "running", "stopped", "failed"]


class RunStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Counts and rates of a run at one moment. None: not known (yet)."""

    state: RunState
    rig: str
    engine: str | None = None
    runtime: str | None = None
    captured: int = 0
    """Frames received from the camera."""
    lost: int = 0
    """Frames lost at the camera (gaps in its numbering)."""
    written: int = 0
    """Raw frames on disk."""
    restored: int = 0
    dropped: int = 0
    """Frames the engine never saw because a newer one was there."""
    capture_fps: float | None = None
    restore_fps: float | None = None
    age_ms: float | None = None
    """Median time from capture to result over the last frames."""
    recording: str | None = None
    """Where raw frames go; None when nothing is saved."""
    notices: tuple[str, ...] = ()
    """Things a person should know now, one line each, oldest first."""


class _Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    pass


class Stop(_Command):
    """End the run in order; the raw file is closed properly."""


class SetExposure(_Command):
    """Change the camera's exposure from the next frame it can."""

    exposure_ms: Annotated[float, Meta(gt=0, le=600_000)]


class SetZ(_Command):
    """Move the focus drive."""

    z_um: float


class SetEngine(_Command):
    """Restore with another engine from the next frame on."""

    name: str


Command = Stop | SetExposure | SetZ | SetEngine
