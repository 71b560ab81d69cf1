"""The files of an acquisition: for each position one with its raw frames and one restored."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Frame, Restored
from liverestore.writer.layout import Layout, recording_of
from liverestore.writer.ome import OmeSink
from liverestore.writer.sink import SinkReport
from liverestore.zstack import ZStack

__all__ = ["AcquisitionFiles", "PositionFiles", "check_space"]

_RECORD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PositionFiles:
    """What is on disk of one position."""

    raw: SinkReport
    restored: SinkReport
    """Its frames are planes."""


@dataclass(slots=True)
class _Times:
    """When the first frame of each time point was taken, ns of `captured_ns`."""

    first_ns: int | None = None
    last_ns: int = 0
    count: int = 0


@dataclass(slots=True)
class AcquisitionFiles:
    """T[C][Z]YX files of raw frames, and TCZYX files of their planes or the same of pictures.

    One pair for each position, as every program opens them: OME-Zarr has five axes at most. Raw
    frames are on the disk when `keep_raw` returns.
    """

    paths: Sequence[tuple[Path, Path]]
    """Raw and restored file of each position."""
    channels: int = 1
    stack: ZStack | None = None
    """The virtual planes of each frame."""
    heights: int = 1
    """Positions of the focus drive at each time point, for pictures alone; the axis Z then."""
    height_step_um: float | None = None
    about: dict[str, str] = field(default_factory=dict)
    """What the restored files say of their making besides the engine."""
    _raw: list[OmeSink] = field(init=False)
    _restored: list[OmeSink] = field(init=False)
    _times: list[_Times] = field(init=False)

    def __post_init__(self) -> None:
        stack = self.stack
        # With a stack all five axes are there, also a single channel: what viewers expect.
        taken = recording_of(self.channels, self.heights)
        layout = taken
        if stack is not None:
            layout = Layout("TCZYX", (None, self.channels, stack.count))
        self._times = [_Times() for _ in self.paths]
        self._raw = [
            OmeSink(raw, layout=taken, on_existing="refuse", z_step_um=self.height_step_um)
            for raw, _ in self.paths
        ]
        self._restored = [
            OmeSink(
                restored,
                layout=layout,
                on_existing="refuse",
                z_step_um=self.height_step_um if stack is None else stack.step_um,
                z_start_um=None if stack is None else stack.start_um,
                about=self.about,
            )
            for _, restored in self.paths
        ]

    def keep_raw(self, position: int, place: int, frame: Frame) -> None:
        """Write one frame, by its place among those of its time point.

        Raises `Failure` where the disk does not take it.
        """
        self._raw[position].append(frame)
        if place == 0:
            times = self._times[position]
            times.last_ns = frame.header.captured_ns
            times.first_ns = times.last_ns if times.first_ns is None else times.first_ns
            times.count += 1

    def keep_restored(self, position: int, made: Sequence[Restored]) -> None:
        """Write what was made of one frame. Raises as `keep_raw` does."""
        for picture in made:
            self._restored[position].append(picture)

    def close(self) -> tuple[list[PositionFiles], list[LiverestoreError]]:
        """Close all files, whatever happens to one; what is in them, and what went wrong."""
        errors: list[LiverestoreError] = []
        for times, *sinks in zip(self._times, self._raw, self._restored, strict=True):
            if times.count > 1 and times.first_ns is not None:
                interval_ms = (times.last_ns - times.first_ns) * 1e-6 / (times.count - 1)
                for sink in sinks:
                    sink.note_interval(interval_ms)
        raw = [_closed(sink, errors.append) for sink in self._raw]
        restored = [_closed(sink, errors.append) for sink in self._restored]
        return [PositionFiles(*pair) for pair in zip(raw, restored, strict=True)], errors


def _closed(sink: OmeSink, tell: Callable[[LiverestoreError], None]) -> SinkReport:
    try:
        return sink.close()
    except LiverestoreError as error:
        tell(error)
        return sink.close()


def check_space(
    folder: Path,
    frames: int,
    planes: int,
    shape: tuple[int, int],
    dtype: str,
    *,
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
) -> None:
    """Refuse, before any light is spent, what the disk cannot hold. Raises `UserError`.

    `frames` raw ones of `shape` and `dtype`, and `planes` pictures of each.
    """
    each = shape[0] * shape[1] * np.dtype(dtype).itemsize + _RECORD_BYTES
    needed, free = frames * (1 + planes) * each, free_bytes(folder)
    if free < needed:
        raise UserError(
            f"{folder}: got {free / 1e9:.2f} GB of free space; the {frames:,} frames and their "
            f"{frames * planes:,} restored pictures of {shape[1]}x{shape[0]} px need "
            f"{needed / 1e9:.2f} GB; save to another disk, take fewer planes or time points"
        )
