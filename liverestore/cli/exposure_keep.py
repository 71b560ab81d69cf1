"""Where an advised exposure is written, and where what a series found is kept."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from liverestore.cli.calibration_file import Target, keep_text
from liverestore.cli.rig_edit import edited, read_rig_text
from liverestore.errors import UserError
from liverestore.rig import RigConfig

__all__ = ["keep_exposure", "kept_in"]

_NAME = "exposure_ms"


def keep_exposure(
    rig: RigConfig, exposure_ms: float, channel: str | None, *, engine: str, target: Target
) -> None:
    """Write `exposure_ms` into the rig of `target`, with the day and the engine beside it.

    With `channel` into its `[[channels]]`, else into `[camera]`. Raises `UserError` for a file
    that cannot be changed safely and `Failure` for a disk that refuses.
    """
    names = [one.name for one in rig.channels]
    text = edited(
        read_rig_text(Path(rig.origin)),
        "camera" if channel is None else "channels",
        {_NAME: exposure_ms},
        notes={_NAME: f"{datetime.now(UTC):%Y-%m-%d} by liverestore exposure, for {engine}"},
        member=None if channel is None else names.index(channel),
    )
    if target.rig.parent != Path(rig.origin).parent and rig.camera.maps is not None:
        text = edited(text, "camera", {"maps": rig.camera.maps})
    keep_text(rig, text, target)


def kept_in(folder: Path) -> tuple[Path, Path]:
    """Files in `folder` for the numbers and the curve of one series, which are not there yet.

    The folder is made. Raises `UserError` where nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--save {folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"--save {folder}: cannot be written to; name another folder")
    number, name = 1, "exposure"
    while (folder / f"{name}.json").exists() or (folder / f"{name}.png").exists():
        number += 1
        name = f"exposure_{number}"
    return folder / f"{name}.json", folder / f"{name}.png"
