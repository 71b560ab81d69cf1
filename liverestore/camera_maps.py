"""What differs from pixel to pixel of a camera: offsets and responses, for the whole chip.

Kept as a TIFF of float32 pages beside the rig file, which names it: `[camera] maps = "..."`.
Any image program shows it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from liverestore.errors import Failure, UserError
from liverestore.file_moves import move_over
from liverestore.frame import FrameHeader

__all__ = ["CameraMaps", "load_maps", "save_maps"]

FloatMap = NDArray[np.float32]

_KIND = "liverestore camera maps"
_VERSION = 1
_REMEDY = "measure it again with `liverestore calibrate`, or leave camera.maps out of the rig file"


@dataclass(frozen=True, slots=True, eq=False)
class CameraMaps:
    """Fixed pattern of a chip, or of a part of it. Equal only to itself.

    Raises `UserError` for maps that are no (Y, X) pictures of one size, not finite, or
    have a response that is not above 0.
    """

    offset_counts: FloatMap
    """(Y, X) float32: a pixel's mean dark value minus the camera's `offset_counts`."""
    relative_gain: FloatMap | None = None
    """(Y, X) float32: a pixel's response to light, 1 on average; None takes 1 everywhere."""
    binning: int = 1
    """Of the frames that it was measured with, and the only one that it is good for."""
    origin: str = ""
    """File and sha256 that it was read from, for records."""

    def __post_init__(self) -> None:
        given = [self.offset_counts] if self.relative_gain is None else self._both
        if any(m.ndim != 2 or m.shape != given[0].shape for m in given):
            raise UserError(
                f"camera maps: got shapes {[m.shape for m in given]}, allowed are (Y, X) of one "
                f"size; {_REMEDY}"
            )
        if not all(np.isfinite(m).all() for m in given):
            raise UserError(f"camera maps: got NaN or infinite values; {_REMEDY}")
        if self.relative_gain is not None and (self.relative_gain <= 0).any():
            raise UserError(
                f"camera maps: got a relative gain of {self.relative_gain.min():.3g}, allowed is "
                f"above 0; {_REMEDY}"
            )
        for m in given:
            m.setflags(write=False)

    @property
    def _both(self) -> list[FloatMap]:
        assert self.relative_gain is not None
        return [self.offset_counts, self.relative_gain]

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) in pixels."""
        height, width = self.offset_counts.shape
        return height, width

    def for_frame(self, header: FrameHeader) -> CameraMaps:
        """The part that a frame shows, by its ROI; the same object for the same part.

        A frame that states no ROI must have the size of the maps, one that states no binning
        is taken for that of the maps. Raises `UserError` for a frame of another binning, and
        for one that does not lie on the chip.
        """
        if header.binning is not None and header.binning != self.binning:
            raise UserError(
                f"camera maps: got a frame of binning {header.binning}, the maps of the rig are "
                f"for binning {self.binning}; set that binning, or {_REMEDY}"
            )
        height, width = self.shape
        x, y, w, h = header.roi or (0, 0, width, height)
        if (h, w) != header.shape or min(x, y) < 0 or y + h > height or x + w > width:
            where = f"ROI {header.roi}" if header.roi else "no stated ROI"
            raise UserError(
                f"camera maps: got a frame of {header.shape[0]}x{header.shape[1]} with {where}, "
                f"the maps of the rig are {height}x{width}; {_REMEDY}"
            )
        if (x, y, w, h) == (0, 0, width, height):
            return self
        return _part(self, y, x, h, w)


@functools.lru_cache(maxsize=4)
def _part(maps: CameraMaps, y: int, x: int, h: int, w: int) -> CameraMaps:
    window = (slice(y, y + h), slice(x, x + w))
    gain = maps.relative_gain
    return CameraMaps(
        np.ascontiguousarray(maps.offset_counts[window]),
        None if gain is None else np.ascontiguousarray(gain[window]),
        maps.binning,
        maps.origin,
    )


def save_maps(path: str | Path, maps: CameraMaps) -> None:
    """Write `maps` as a TIFF, replacing `path` only when it is complete.

    Raises `UserError` for a name that does not end in .tif, `Failure` when the disk refuses.
    """
    path = Path(path)
    if path.suffix.lower() not in {".tif", ".tiff"}:
        raise UserError(f"camera maps: got the name {path.name}; let it end in .tif")
    pages = {"offset_counts": maps.offset_counts}
    if maps.relative_gain is not None:
        pages["relative_gain"] = maps.relative_gain
    unfinished = path.with_name(path.name + ".part")
    try:
        with tifffile.TiffWriter(unfinished) as tiff:
            for name, page in pages.items():
                about = {
                    "kind": _KIND,
                    "version": _VERSION,
                    "map": name,
                    "binning": maps.binning,
                }
                tiff.write(
                    np.asarray(page, np.float32), description=json.dumps(about), metadata=None
                )
        move_over(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise Failure(f"camera maps {path}: cannot be written: {error.strerror}") from None


def load_maps(path: str | Path) -> CameraMaps:
    """Maps that `save_maps` wrote. Raises `UserError` where `path` is not such a file."""
    path = Path(path)
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(
            f"camera maps {path}: cannot be read: {error.strerror}; {_REMEDY}"
        ) from None
    pages: dict[str, FloatMap] = {}
    binning = 0
    try:
        with tifffile.TiffFile(path) as tiff:
            for page in tiff.pages:
                about = _about(page.aspage().description)
                pages[about["map"]] = np.asarray(page.asarray(), np.float32)
                binning = about["binning"]
    except (tifffile.TiffFileError, ValueError, KeyError, struct.error, MemoryError,
            RecursionError):  # fmt: skip
        pages = {}
    if "offset_counts" not in pages or not isinstance(binning, int) or binning < 1:
        raise UserError(f"camera maps {path}: is not a file of camera maps; {_REMEDY}")
    return CameraMaps(
        pages["offset_counts"],
        pages.get("relative_gain"),
        binning,
        f"{path.name} sha256 {digest[:16]}",
    )


def _about(description: str) -> dict[str, Any]:
    """What a page says of itself. Raises `ValueError` where that is not what we write."""
    about = json.loads(description)
    if not isinstance(about, dict) or about.get("kind") != _KIND:
        raise ValueError("another TIFF")
    if about.get("version") != _VERSION:
        raise ValueError("another version")
    return about
