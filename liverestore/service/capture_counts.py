"""Parts of what the capture process reports of itself."""

from __future__ import annotations

from typing import Any

from liverestore.camera.source import SourceInfo
from liverestore.frame import FrameHeader
from liverestore.service.light_hold import LightHold
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.status import LightReport
from liverestore.transport.outlet import Outlet

__all__ = ["counts_of", "light_told"]


def counts_of(
    recorder: Recorder, outlet: Outlet, like: FrameHeader | SourceInfo | None
) -> dict[str, Any]:
    """Fields of a `CaptureReport`: what was kept, what the engine had, and what frames are like."""
    counts = outlet.counts("engine")
    return {
        "recorded": recorder.recorded,
        "written": recorder.written,
        "unseen": None if recorder.followed is None else recorder.followed.unseen,
        "write_error": recorder.error,
        "recording": str(recorder.path) if recorder.path is not None else None,
        "restored": counts.done,
        "dropped": counts.dropped,
        "shape": like.shape if like is not None else None,
        "dtype": like.dtype if like is not None else None,
    }


def light_told(
    light: LightKeeper | None, hold: LightHold | None, *, live: bool
) -> LightReport | None:
    """The account of light, with what is held; None where none is kept."""
    return light.report(live=live) if light is not None else None
