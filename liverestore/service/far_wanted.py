"""What a run asks of the engine of another machine, kept so that it can be asked again."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from liverestore.errors import UserError
from liverestore.remote_wire import MAX_MAPS_BYTES, Open
from liverestore.rig import RigConfig, SourceConfig
from liverestore.service.plan import RunPlan
from liverestore.status import (
    EngineReport,
    SetDpm,
    SetEngine,
    SetLive,
    SetRival,
    SetTrustMap,
    SetZStack,
)

__all__ = ["Order", "in_use", "opening", "ordered"]

Order = SetEngine | SetRival | SetDpm | SetZStack | SetTrustMap | SetLive
"""Words of the window that are the engine's."""


def opening(plan: RunPlan) -> tuple[Open, bytes]:
    """The word that `plan` begins with, and the file of its camera's maps (or nothing).

    Raises `UserError` for maps that cannot be read or are larger than 256 MiB.
    """
    rig, maps = _told(plan.rig)
    word = Open(
        session=secrets.token_hex(16),
        rig=rig,
        engine=plan.engine,
        engines=dict(plan.engines),
        rival=plan.rival,
        dpm=plan.dpm,
        zstack=plan.zstack,
    )
    return word, maps


def ordered(wanted: Open, word: Order) -> Open:
    """`wanted` after `word`."""
    change = msgspec.structs.replace
    if isinstance(word, SetEngine):
        if word.channel is None:
            return change(wanted, engine=word.name, engines={})
        return change(wanted, engines={**wanted.engines, word.channel: word.name})
    if isinstance(word, SetRival):
        return change(wanted, rival=word.name)
    if isinstance(word, SetDpm):
        return change(wanted, dpm=word.spec)
    if isinstance(word, SetZStack):
        return change(wanted, zstack=word.text)
    return wanted


def in_use(wanted: Open, report: EngineReport) -> Open:
    """`wanted` as the engine says that it is: what could not be loaded is not asked for again."""
    return msgspec.structs.replace(
        wanted,
        engine=report.engine,
        engines=report.engines,
        rival=report.rival,
        dpm=report.dpm_asked,
        zstack=report.zstack_asked,
    )


def _told(rig: RigConfig) -> tuple[RigConfig, bytes]:
    """What the engine's machine is told of `rig`, without any path, and the file of its maps.

    Raises `UserError` for maps that cannot be read or are larger than 256 MiB.
    """
    maps = b""
    if rig.camera.maps is not None:
        try:
            maps = Path(rig.camera.maps).read_bytes()
        except OSError as error:
            raise UserError(f"camera maps {rig.camera.maps}: {error.strerror}") from None
        if len(maps) > MAX_MAPS_BYTES:
            raise UserError(
                f"camera maps {rig.camera.maps}: got {len(maps) >> 20} MiB, at most "
                f"{MAX_MAPS_BYTES >> 20} MiB travel to an engine on another machine"
            )
    told = msgspec.structs.replace(
        rig,
        source=SourceConfig(kind="simulated"),
        specimen=None,
        camera=msgspec.structs.replace(rig.camera, maps=None),
        surfaces={},
        engine_server=None,
        origin="",
    )
    return told, maps
