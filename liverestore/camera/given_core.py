"""A Micro-Manager core that somebody else made and configured, as a source of frames.

It stays theirs: nothing is loaded, set or unloaded, and at the end only the sequence is stopped
and the shutter closed.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from pyjavaz import JavaObject

from liverestore.camera.micromanager import MicroManagerSource
from liverestore.camera.mm_core import end_sequence
from liverestore.errors import UserError
from liverestore.rig import CameraConfig, RigConfig, SourceConfig

__all__ = ["GivenCore", "source_of_core"]


def source_of_core(core: Any, rig: RigConfig | None = None) -> MicroManagerSource:
    """The camera of `core`: of pycromanager's Python backend, pymmcore-plus or pymmcore.

    `rig` adds the pixel size where the core has none; its own configuration, channels and
    exposure are left alone: `core` is as its owner set it. Raises `UserError` for anything that
    is no such core, and for pycromanager's Java core, whose images come through a bridge.
    """
    if isinstance(core, JavaObject):
        raise UserError(
            "got pycromanager's Core() of a running Micro-Manager, whose camera is not ours; give "
            "the rig 'bridge' to follow what it shows, or a core in this process: "
            "start_headless(..., python_backend=True)"
        )
    if hasattr(core, "snapImage"):
        core = GivenCore(core)
    elif not hasattr(core, "snap_image") or not hasattr(core, "pop_next_image_md"):
        raise UserError(
            f"got {type(core).__name__} as a core; allowed are a rig's name, pycromanager's Core() "
            "of its Python backend, CMMCorePlus and pymmcore's CMMCore"
        )
    plain = RigConfig(name="given core", source=SourceConfig(kind="micromanager"))
    if rig is not None:
        camera = CameraConfig(bit_depth=rig.camera.bit_depth)
        plain = msgspec.structs.replace(plain, name=rig.name, optics=rig.optics, camera=camera)
    return MicroManagerSource(plain, load=lambda _rig: core, release=end_sequence)


class GivenCore:
    """A core whose methods are called as in C++, under the names that pycromanager uses."""

    def __init__(self, core: Any) -> None:
        self._core = core

    def __getattr__(self, name: str) -> Any:
        camel = _SPECIAL.get(name) or re.sub(r"_([a-z])", lambda m: m[1].upper(), name)
        return getattr(self._core, camel)


_SPECIAL = {
    "pop_next_image_md": "popNextImageMD",
    "get_roi": "getROI",
    "set_roi": "setROI",
    "clear_roi": "clearROI",
    "get_xy_position": "getXYPosition",
    "get_xy_stage_device": "getXYStageDevice",
}
