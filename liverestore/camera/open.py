"""From a rig to its frame source, loading only the libraries that this one needs."""

from __future__ import annotations

from liverestore.camera.source import FrameSource
from liverestore.rig import RigConfig

__all__ = ["open_source"]


def open_source(rig: RigConfig) -> FrameSource:
    """The source that `rig.source.kind` names, not started yet."""
    if rig.source.kind == "replay":
        from liverestore.camera.replay import ReplaySource

        return ReplaySource(rig)
    if rig.source.kind == "simulated":
        from liverestore.camera.simulated_core import SimulatedCoreSource

        return SimulatedCoreSource(rig)
    from liverestore.camera.micromanager import MicroManagerSource

    return MicroManagerSource(rig)
