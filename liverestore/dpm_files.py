"""A surface as a file: a map of um for frames of one size, or its text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from liverestore.errors import Failure, UserError

__all__ = ["MAP_SUFFIXES", "write_map", "write_text"]

MAP_SUFFIXES = (".npy", ".tif", ".tiff")


def write_map(
    path: str | Path,
    values_um: NDArray[Any],
    *,
    pixel_size_um: float | None = None,
    about: str = "",
) -> None:
    """Write distances (Y, X) in um as float32, for `--dpm PATH` to read; replaces the file.

    A TIFF says `about` and the pixel size. Raises `UserError` for another ending than
    `MAP_SUFFIXES` and `Failure` where the disk refuses.
    """
    file = Path(path)
    values = np.ascontiguousarray(values_um, np.float32)
    suffix = file.suffix.lower()
    if suffix not in MAP_SUFFIXES:
        raise UserError(f"map {path}: got the ending {suffix!r}; allowed are .tif and .npy")
    try:
        if suffix == ".npy":
            with file.open("wb") as opened:
                np.save(opened, values)
            return
        per_um = None if not pixel_size_um else (1 / pixel_size_um, 1 / pixel_size_um)
        metadata = {"axes": "YX", "unit": "um", **({"Info": about} if about else {})}
        tifffile.imwrite(file, values, imagej=True, resolution=per_um, metadata=metadata)
    except OSError as error:
        raise Failure(f"map {path}: cannot be written: {error.strerror or error}") from None


def write_text(path: str | Path, spec: str) -> None:
    """Write the text of a surface. Raises `Failure` where the disk refuses."""
    try:
        Path(path).write_text(f"{spec}\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"surface {path}: cannot be written: {error.strerror or error}") from None
