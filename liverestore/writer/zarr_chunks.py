"""Frames as chunks of one OME-Zarr 0.5 image, each with its own record."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from liverestore.file_moves import move_over, patiently
from liverestore.frame_record import RECORDS_NAME
from liverestore.writer.layout import Layout
from liverestore.writer.summary import RunSummary
from liverestore.writer.whole import write_all

__all__ = ["ZarrChunks", "chunk_file", "write_chunk"]

_ARRAY = "0"
_SHAPE_EVERY_S = 1.0
"""How often the array's shape on disk follows the frames, for programs that look on."""


def _place(layout: Layout, index: int) -> tuple[int, ...]:
    """Where frame `index` stands on the leading axes."""
    leading = layout.leading_shape
    if not leading:
        return ()
    if leading[0] is None:
        rest = tuple(n or 1 for n in leading[1:])
        within = np.unravel_index(index % layout.group, rest) if rest else ()
        return (index // layout.group, *map(int, within))
    return tuple(int(n) for n in np.unravel_index(index, tuple(n or 1 for n in leading)))


def chunk_file(path: Path, layout: Layout, index: int) -> Path:
    """The file of frame `index` of the store at `path`."""
    return path.joinpath(_ARRAY, "c", *map(str, _place(layout, index)), "0", "0")


def write_chunk(path: Path, layout: Layout, index: int, pixels: NDArray[Any]) -> None:
    """Put the pixels of frame `index` into the store at `path`, from whatever process.

    In one step: nobody ever sees half of them, and a second try replaces the first. The record is
    written by the process that has the store open (`ZarrChunks.note`). Raises `OSError`.
    """
    chunk = chunk_file(path, layout, index)
    chunk.parent.mkdir(parents=True, exist_ok=True)
    new = chunk.with_name(f".{chunk.name}-{os.getpid()}-{threading.get_ident()}")
    try:
        with new.open("wb", buffering=0) as file:
            little = pixels.dtype.newbyteorder("<")
            write_all(file, np.ascontiguousarray(pixels, little).data.cast("B"))
        move_over(new, chunk)
    finally:
        new.unlink(missing_ok=True)


class ZarrChunks:
    """An OME-Zarr under construction: one uncompressed chunk, hence one file, a frame.

    zarr makes the group, the array and their metadata. The chunks are written as plain
    files: an uncompressed Zarr chunk is the frame's little-endian bytes and nothing else,
    and this way the disk's answer (full, gone) comes with the frame it belongs to. A line
    of `0/frames.jsonl` follows each chunk, so that a killed process loses no record.
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        frame_shape: tuple[int, int],
        dtype: str,
        summary: RunSummary,
        software: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        keep: int | None = None,
    ) -> None:
        """Create the folder `path`; raises FileExistsError where something is there.

        With `keep` it is there and is gone on with after its first `keep` frames.
        """
        self.path = path
        self._layout = layout
        self._frame_shape = frame_shape
        self._summary = summary
        self._software = software
        self._clock = clock
        self._little = np.dtype(dtype).newbyteorder("<")
        if keep is not None:
            self._group, self._array = self._reopen()
            self._records = (path / _ARRAY / RECORDS_NAME).open("r+b", buffering=0)
            self._cut(keep)
            self._shape_told_at = clock()
            return
        path.mkdir()
        try:
            self._group, self._array = self._create(dtype)
            self._records = (path / _ARRAY / RECORDS_NAME).open("xb", buffering=0)
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise
        self._shape_told_at = clock()

    def _create(self, dtype: str) -> tuple[zarr.Group, zarr.Array[Any]]:
        leading = tuple(size if size is not None else 0 for size in self._layout.leading_shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = zarr.create_group(self.path, zarr_format=3)
            array = group.create_array(
                _ARRAY,
                shape=(*leading, *self._frame_shape),
                chunks=(*(1 for _ in leading), *self._frame_shape),
                dtype=dtype,
                compressors=None,
                filters=None,
                dimension_names=list(self._layout.axes.lower()),
            )
        group.attrs.put(self._attributes(complete=False))
        return group, array

    def _reopen(self) -> tuple[zarr.Group, zarr.Array[Any]]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            group = zarr.open_group(self.path, mode="r+", zarr_format=3)
            array = group[_ARRAY]
            assert isinstance(array, zarr.Array), "a store of this program was read before"
        frames = self._layout.frame_count
        if frames is not None:
            # One that was ended early has shrunk to what it had.
            array.resize((*self._layout.shape_for(frames), *self._frame_shape))
        group.attrs.put(self._attributes(complete=False))
        return group, array

    def _cut(self, keep: int) -> None:
        """Go on after the first `keep` records."""
        end = 0
        for line in itertools.islice(self._records, keep):
            end += len(line)
        self._records.seek(end)
        self._records.truncate()

    def note(self, record: bytes) -> None:
        """Add the record of the next frame, whose chunk `write_chunk` wrote. Raises OSError."""
        whole_records = self._records.tell()
        try:
            write_all(self._records, memoryview(record + b"\n"))
        except OSError:
            self._records.seek(whole_records)
            self._records.truncate()
            raise

    def write(self, pixels: NDArray[Any], record: bytes) -> None:
        """Write the next chunk; raises OSError, after which the frames before are whole."""
        index = self._summary.frames
        chunk = chunk_file(self.path, self._layout, index)
        chunk.parent.mkdir(parents=True, exist_ok=True)
        whole_records = self._records.tell()
        try:
            with chunk.open("xb", buffering=0) as file:
                write_all(file, np.ascontiguousarray(pixels, self._little).data.cast("B"))
            write_all(self._records, memoryview(record + b"\n"))
        except OSError:
            with suppress(OSError):
                chunk.unlink(missing_ok=True)
            self._records.seek(whole_records)
            self._records.truncate()
            raise
        now = self._clock()
        late = now - self._shape_told_at >= _SHAPE_EVERY_S
        if self._layout.leading_shape[:1] == (None,) and (late or index == 0):
            self._shape_told_at = now
            # For programs that look on alone: one that reads the old shape at this moment keeps
            # Windows from replacing it, and a disk may have had room for this frame and no more.
            # Neither must say that a frame is not kept which is; the next one, or `close`, tells.
            with suppress(OSError):
                self._tell_shape(index + 1)

    def close(self) -> None:
        """Write shape and scales; raises OSError where there is no room for it."""
        if not self._records.closed:
            self._records.close()
        patiently(lambda: self._tell_shape(self._summary.frames))
        count = self._layout.frame_count
        whole = not self._summary.failed and count in (None, self._summary.frames)
        patiently(lambda: self._group.attrs.put(self._attributes(complete=whole)))

    def _tell_shape(self, frames: int) -> None:
        if not self._layout.leading_shape:
            return
        shape = (*self._layout.shape_for(frames), *self._frame_shape)
        if frames and self._array.shape != shape:
            self._array.resize(shape)

    def _attributes(self, *, complete: bool) -> dict[str, Any]:
        summary = self._summary
        axes: list[dict[str, str]] = []
        scale: list[float] = []
        for axis in self._layout.axes:
            kind = {"T": "time", "C": "channel"}.get(axis, "space")
            unit = None
            step = 1.0
            if axis == "T" and summary.mean_interval_ms is not None:
                unit, step = "millisecond", summary.mean_interval_ms * self._layout.turn
            elif axis == "Z" and summary.z_step_um is not None:
                unit, step = "micrometer", summary.z_step_um
            elif axis in "YX" and summary.pixel_size_um is not None:
                unit, step = "micrometer", summary.pixel_size_um
            axes.append({"name": axis.lower(), "type": kind, **({"unit": unit} if unit else {})})
            scale.append(step)
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if "Z" in self._layout.axes and summary.z_start_um is not None:
            place = [summary.z_start_um if axis == "Z" else 0.0 for axis in self._layout.axes]
            transforms.append({"type": "translation", "translation": place})
        image = {
            "name": self.path.name.split(".")[0],
            "axes": axes,
            "datasets": [{"path": _ARRAY, "coordinateTransformations": transforms}],
        }
        own = {
            "software": self._software,
            "records": f"{_ARRAY}/{RECORDS_NAME}",
            "complete": complete,
            "frames": summary.frames,
        }
        if self._layout.turn > 1:
            own["channels_in_turn"] = self._layout.turn
        turn = summary.first_channels[: self._layout.group : self._layout.channel_stride]
        if "C" in self._layout.axes and any(turn):
            own["channels"] = [name or "" for name in turn]
        if summary.first is not None:
            own["run_id"] = summary.first.run_id
        if summary.made_by:
            own["restored_by"] = summary.made_by
        light = summary.light.told()
        if light is not None:
            own["light"] = light
        described: dict[str, Any] = {
            "ome": {"version": "0.5", "multiscales": [image]},
            "liverestore": own,
        }
        # Refuses here what JSON cannot hold, instead of in whoever reads it.
        json.dumps(described, allow_nan=False)
        return described
