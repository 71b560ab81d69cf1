"""Frames as chunks of one OME-Zarr 0.5 image, each with its own record."""

from __future__ import annotations

import json
import shutil
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from liverestore.frame_record import RECORDS_NAME
from liverestore.writer.layout import Layout
from liverestore.writer.summary import RunSummary
from liverestore.writer.whole import write_all

__all__ = ["ZarrChunks"]

_ARRAY = "0"
_SHAPE_EVERY_S = 1.0
"""How often the array's shape on disk follows the frames, for programs that look on."""


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
    ) -> None:
        """Create the folder `path`; raises FileExistsError where something is there."""
        self.path = path
        self._layout = layout
        self._frame_shape = frame_shape
        self._summary = summary
        self._software = software
        self._clock = clock
        self._little = np.dtype(dtype).newbyteorder("<")
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

    def write(self, pixels: NDArray[Any], record: bytes) -> None:
        """Write the next chunk; raises OSError, after which the frames before are whole."""
        index = self._summary.frames
        leading = self._layout.leading_shape
        place: tuple[int, ...] = (index,)
        if not leading:
            place = ()
        elif leading[0] is None:
            rest = tuple(n or 1 for n in leading[1:])
            within = np.unravel_index(index % self._layout.group, rest) if rest else ()
            place = (index // self._layout.group, *map(int, within))
        else:
            place = tuple(int(n) for n in np.unravel_index(index, tuple(n or 1 for n in leading)))
        chunk = self.path.joinpath(_ARRAY, "c", *map(str, place), "0", "0")
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
        if leading[:1] == (None,) and (late or index == 0):
            self._shape_told_at = now
            self._tell_shape(index + 1)

    def close(self) -> None:
        """Write shape and scales; raises OSError where there is no room for it."""
        if not self._records.closed:
            self._records.close()
        self._tell_shape(self._summary.frames)
        count = self._layout.frame_count
        whole = not self._summary.failed and count in (None, self._summary.frames)
        self._group.attrs.put(self._attributes(complete=whole))

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
