"""Names for the two files of a recording, raw and restored, that nothing has yet."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

from liverestore.errors import UserError

__all__ = ["SaveFormat", "free_pair"]

SaveFormat = Literal["ome-zarr", "ome-tiff"]
_SUFFIX: dict[SaveFormat, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}


def free_pair(folder: Path, save_format: SaveFormat) -> tuple[Path, Path]:
    """`raw` and `restored` in `folder`, or the first `raw_002` and `restored_002` ... of which
    neither exists; absolute. Makes the folder.

    Raises `UserError` when the folder cannot be made.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot save into {folder}: {error.strerror}; give --save a folder you can write to"
        ) from error
    suffix = _SUFFIX[save_format]
    for index in itertools.count(1):
        tail = "" if index == 1 else f"_{index:03d}"
        raw, restored = folder / f"raw{tail}{suffix}", folder / f"restored{tail}{suffix}"
        if not raw.exists() and not restored.exists():
            return raw, restored
    raise AssertionError("itertools.count does not end")
