"""Names for the two files of a recording, raw and restored, that nothing has yet."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from liverestore.errors import UserError

__all__ = ["SaveFormat", "free_pair", "free_pairs", "free_reference"]

SaveFormat = Literal["ome-zarr", "ome-tiff"]
_SUFFIX: dict[SaveFormat, str] = {"ome-zarr": ".ome.zarr", "ome-tiff": ".ome.tif"}
_LONGEST_NAME = 60


def free_pair(folder: Path, save_format: SaveFormat) -> tuple[Path, Path]:
    """`raw` and `restored` in `folder`, or the first `raw_002` and `restored_002` ... of which
    neither exists; absolute. Makes the folder.

    Raises `UserError` when the folder cannot be made.
    """
    return free_pairs(folder, [""], save_format)[0]


def free_pairs(
    folder: Path, names: Sequence[str], save_format: SaveFormat
) -> list[tuple[Path, Path]]:
    """A pair for each of several places, `raw_NAME` and `restored_NAME`; see `free_pair`.

    Letters of a name that not every system allows in a file's name become "-". All get the
    same number: the first that none of them has.
    """
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot save into {folder}: {error.strerror}; give --save a folder you can write to"
        ) from error
    suffix = _SUFFIX[save_format]
    stems = _stems(names)
    for index in itertools.count(1):
        tail = "" if index == 1 else f"_{index:03d}"
        pairs = [
            (folder / f"raw{stem}{tail}{suffix}", folder / f"restored{stem}{tail}{suffix}")
            for stem in stems
        ]
        if not any(path.exists() for pair in pairs for path in pair):
            return pairs
    raise AssertionError("itertools.count does not end")


def free_reference(folder: Path, save_format: SaveFormat) -> Path:
    """`reference` in `folder`, which is there, or the first `reference_002` ... that is free."""
    suffix = _SUFFIX[save_format]
    for index in itertools.count(1):
        path = folder / f"reference{'' if index == 1 else f'_{index:03d}'}{suffix}"
        if not path.exists():
            return path
    raise AssertionError("itertools.count does not end")


def _stems(names: Sequence[str]) -> list[str]:
    """What stands behind "raw" for each name; different for each, whatever becomes of letters."""
    stems: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w-]+", "-", name).strip("-")[:_LONGEST_NAME]
        stem = f"_{plain}" if name else ""
        again = 2
        # Windows takes names that differ in capitals alone for the same.
        while stem.lower() in (other.lower() for other in stems):
            stem, again = f"_{plain}-{again}", again + 1
        stems.append(stem)
    return stems
