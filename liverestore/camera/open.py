"""From a rig to its frame source, loading only the libraries that this one needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverestore.camera.source import FrameSource
from liverestore.errors import UserError
from liverestore.rig import RigConfig
from liverestore.rig_channels import takes_turns
from liverestore.rig_followed import refuse_followed

if TYPE_CHECKING:
    from liverestore.camera.micromanager import MicroManagerSource

__all__ = ["open_core_source", "open_source"]


def open_source(rig: RigConfig) -> FrameSource:
    """The source that `rig.source.kind` names, not started yet.

    With two channels or more it takes a frame of each in turn.
    """
    if rig.source.kind == "replay":
        from liverestore.camera.replay import ReplaySource

        return ReplaySource(rig)
    if rig.source.kind == "bridge":
        from liverestore.camera.bridge import BridgeSource

        return BridgeSource(rig)
    source = _core_source(rig)
    if takes_turns(rig.channels):
        from liverestore.camera.channel_cycle import ChannelCycle

        return ChannelCycle(source, rig.channels)
    return source


def open_core_source(rig: RigConfig) -> MicroManagerSource:
    """The source behind a Micro-Manager core, whose light path and stages can be set.

    It snaps the channel that was selected last. Raises `UserError` for a rig that replays a
    movie or follows a running Micro-Manager.
    """
    refuse_followed(rig.origin or rig.name, rig.source.kind)
    if rig.source.kind == "replay":
        raise UserError(
            f"rig {rig.origin or rig.name}: source.kind is 'replay', which has no camera and no "
            "stages; name a rig of a microscope, or a simulated one such as demo_refocus"
        )
    return _core_source(rig)


def _core_source(rig: RigConfig) -> MicroManagerSource:
    if rig.source.kind == "simulated":
        from liverestore.camera.simulated_core import SimulatedCoreSource

        return SimulatedCoreSource(rig)
    from liverestore.camera.micromanager import MicroManagerSource

    return MicroManagerSource(rig)
