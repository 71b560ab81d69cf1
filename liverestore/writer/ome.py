"""Recordings as OME-TIFF and OME-Zarr 0.5, chosen by the extension of the name."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure, UserError
from liverestore.frame import PIXEL_DTYPES, Frame, FrameHeader, Restored
from liverestore.frame_record import FrameRecord, record_of
from liverestore.version import __version__
from liverestore.writer.layout import RECORDING, Layout, file_kind
from liverestore.writer.sink import SinkReport
from liverestore.writer.summary import RunSummary
from liverestore.writer.tiff_pages import TiffPages
from liverestore.writer.whole import reason
from liverestore.writer.zarr_chunks import ZarrChunks

__all__ = ["OmeSink", "free_name"]

_SPARE_BYTES = 64 * 2**20
"""Free space that a recording of unknown length must find beyond its first 16 frames."""
_RECORD_BYTES = 4096
"""Rough size of a frame's record."""


class _Store(Protocol):
    path: Path

    def write(self, pixels: NDArray[Any], record: bytes) -> None: ...

    def close(self) -> None: ...


class OmeSink:
    """Writes every frame at once, with its record (see `FrameRecord`); no thread, no queue.

    Where the record of a frame is: OME-TIFF, tag 65000 of its page; OME-Zarr, its line in
    `0/frames.jsonl`. Both are on their way to the disk when `append` returns, so a killed
    process loses neither frames nor records. `open_movie` reads both back. The summary for
    other programs (OME-XML, the Zarr attributes) is completed by `close`.

    Nothing that exists is ever overwritten: `on_existing` "number" writes `name_001...`
    instead of `name...`, "refuse" raises `UserError`; "continue" adds to the OME-Zarr that is
    there, whose frames `held` are handed to `note` again first.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        layout: Layout = RECORDING,
        on_existing: Literal["number", "refuse", "continue"] = "number",
        pixel_size_um: float | None = None,
        z_step_um: float | None = None,
        z_start_um: float | None = None,
        about: dict[str, str] | None = None,
        interval_ms: float | None = None,
        expected_frames: int | None = None,
        held: int = 0,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        """Sizes and interval not given here are taken from the frames' headers.

        `z_start_um`, for virtual stacks, is where the first plane lies, as seen from the one
        in focus; `about` is what the file says of its making beside the engine, by name.

        Raises `UserError` for an extension that is not .ome.tif, .tif or .ome.zarr.
        """
        self.path = Path(path).expanduser()
        """Where the frames go; may get a number when the file is created."""
        self._kind = file_kind(self.path)
        self._layout = layout
        self._on_existing = on_existing
        self._held = held
        self._expected = layout.frame_count or expected_frames
        self._free_bytes = free_bytes
        self._summary = RunSummary(
            pixel_size_um,
            z_step_um,
            interval_ms,
            z_start_um,
            dict(about or {}),
            layout=layout,
            times_planes=self._kind == "ome-tiff",
        )
        self._store: _Store | None = None
        self._shape: tuple[int, ...] = ()
        self._dtype = ""
        self._failure: Failure | None = None
        self._closed = False

    @property
    def written(self) -> int:
        """Frames on disk."""
        return self._summary.frames

    def prepare(self, first: Frame | Restored) -> None:
        """Create the file for frames like `first`, which is not written yet.

        Raises `UserError` where the folder cannot be written to, the name is taken or
        there is too little free space. Without a call the first `append` does it.
        """
        if self._store is not None or self._closed:
            return
        self._shape, self._dtype = first.pixels.shape, first.pixels.dtype.name
        if self._dtype not in PIXEL_DTYPES or len(self._shape) != 2:
            raise UserError(
                f"{self.path}: got a frame {self._shape} of {self._dtype}; allowed are (Y, X) "
                f"frames of {', '.join(PIXEL_DTYPES)}; convert them before they are written"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._on_existing != "continue":
                self._check_space(first.pixels.nbytes)
            self._summary.note_first(first)
            self._store = self._create()
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be created ({reason(error)}); choose a folder "
                "that exists and that you may write to"
            ) from error
        self.path = self._store.path

    def append(self, item: Frame | Restored) -> None:
        """See `FrameSink.append`. After a `Failure` nothing more is accepted."""
        header = item.source.header if isinstance(item, Restored) else item.header
        if self._failure is not None:
            raise Failure(f"frame {header.number} is not kept, as before it: {self._failure}")
        if self._closed:
            raise Failure(f"frame {header.number} came after {self.path} was closed")
        self.prepare(item)
        assert self._store is not None
        self._check_frame(item.pixels, header.number)
        self._check_turn(header)
        try:
            self._store.write(
                item.pixels, msgspec.json.encode(record_of(item, self._summary.frames))
            )
        except OSError as error:
            why = self._why(error, item.pixels.nbytes)
            raise self._failed(
                f"frame {header.number} could not be written to {self.path}: {why}; the "
                f"{self.written} frames before it are kept; make room and start a new recording"
            ) from error
        self._summary.add(item)

    @property
    def layout(self) -> Layout:
        """Axes and sizes of the file."""
        return self._layout

    def note(self, record: FrameRecord, dtype: str) -> None:
        """Count the next frame of an OME-Zarr, whose chunk another process wrote.

        `record` is what that one noted of it, with the checksum. Raises as `append` does.
        """
        item = stand_in(record, dtype)
        self.prepare(item)
        self._check_frame(item.pixels, record.header.number)
        store = self._store
        assert isinstance(store, ZarrChunks), "chunks are files of their own in OME-Zarr only"
        if self._summary.frames >= self._held:
            try:
                store.note(msgspec.json.encode(record))
            except OSError as error:
                why = self._why(error, item.pixels.nbytes)
                raise self._failed(
                    f"the record of frame {record.header.number} could not be written to "
                    f"{self.path}: {why}; the {self.written} frames before it are kept"
                ) from error
        self._summary.add(item)

    def note_interval(self, interval_ms: float) -> None:
        """Say what was measured from one time point to the next, before `close`.

        For files that get only some of the camera's frames, such as one of several positions.
        """
        self._summary.interval_ms = interval_ms / self._layout.turn

    def close(self) -> SinkReport:
        """See `FrameSink.close`. Raises `Failure` where the closing itself fails."""
        if not self._closed:
            self._closed = True
            store, self._store = self._store, None
            try:
                if store is not None:
                    self._finish(store)
            finally:
                # A run keeps the account of all its files, of which there can be hundreds.
                self._summary.let_go()
        return SinkReport(self.path, self._summary.frames)

    def _finish(self, store: _Store) -> None:
        try:
            store.close()
        except OSError as error:
            if self._failure is None:
                raise self._failed(
                    f"{self.path}: all {self.written} frames and their records are kept, but "
                    f"the summary for other programs is not ({reason(error)}); make "
                    "room and copy the file"
                ) from error
            # The disk is full and that has been said; the frames and records are there.

    def _why(self, error: OSError, frame_bytes: int) -> str:
        """A short write carries no reason; the free space tells it."""
        if error.errno is None and self._free_bytes(self.path.parent) < 2 * frame_bytes:
            return "the disk is full"
        return reason(error)

    def _failed(self, text: str) -> Failure:
        self._failure = Failure(text)
        self._summary.failed = True
        return self._failure

    def _check_frame(self, pixels: NDArray[Any], number: int) -> None:
        if pixels.shape != self._shape or pixels.dtype.name != self._dtype:
            raise self._failed(
                f"frame {number}: got {_size(pixels.shape)} {pixels.dtype}, but {self.path} "
                f"holds frames of {_size(self._shape)} {self._dtype}; the {self.written} frames "
                "before it are kept; start a new recording after changing ROI or binning"
            )
        if self._expected is not None and self._layout.frame_count == self.written:
            raise self._failed(
                f"frame {number}: {self.path} is full with its {self.written} frames; start "
                "another file"
            )

    def _check_turn(self, header: FrameHeader) -> None:
        """Refuse a frame that would stand in the place of another channel."""
        summary, turn = self._summary, self._summary.channel_before
        begun = summary.frames >= self._layout.group
        if self._layout.turn > 1 and begun and header.channel != turn:
            raise self._failed(
                f"frame {header.number}: got the channel {header.channel}, but in {self.path} it "
                f"is the turn of {turn}; the {self.written} frames before it are kept; "
                "start a new recording"
            )

    def _check_space(self, frame_bytes: int) -> None:
        count = self._expected
        per_frame = frame_bytes + _RECORD_BYTES
        needed = per_frame * count if count is not None else 16 * per_frame + _SPARE_BYTES
        free = self._free_bytes(self.path.parent)
        if free < needed:
            what = f"{count} frames" if count is not None else "a recording of frames"
            raise UserError(
                f"{self.path}: got {free / 1e6:.0f} MB of free space; allowed are "
                f"{math.ceil(needed / 1e6)} MB and more for {what} of {frame_bytes / 1e6:.1f} MB; "
                "make room or save to another disk"
            )

    def _create(self) -> _Store:
        make = TiffPages if self._kind == "ome-tiff" else ZarrChunks
        shape = (self._shape[0], self._shape[1])
        wanted = self.path
        if self._on_existing == "continue":
            return ZarrChunks(
                wanted, self._layout, shape, self._dtype, self._summary,
                f"liverestore {__version__}", keep=self._held,
            )  # fmt: skip
        names = [wanted] if self._on_existing == "refuse" else _numbered(wanted)
        for name in names:
            try:
                return make(
                    name, self._layout, shape, self._dtype, self._summary,
                    f"liverestore {__version__}",
                )  # fmt: skip
            except FileExistsError:
                continue
        raise UserError(
            f"{wanted}: exists already and is not overwritten; choose another name or delete it"
        )


def stand_in(record: FrameRecord, dtype: str) -> Restored:
    """A restored frame of `record` without its pixels, where only the record counts."""
    header = record.header
    assert record.provenance is not None, "a restored frame says what restored it"
    raw = Frame(np.broadcast_to(np.zeros((), header.dtype), header.shape), header)
    pixels = np.broadcast_to(np.zeros((), dtype), header.shape)
    return Restored(pixels, raw, record.provenance)


def free_name(path: Path) -> Path:
    """`path`, or `path` with the first number that makes it a name nothing has."""
    return next(name for name in _numbered(path) if not name.exists())


def _numbered(path: Path) -> itertools.chain[Path]:
    found = re.search(r"(\.ome)?\.[^.]*$", path.name, re.IGNORECASE)
    extension = found.group() if found else ""
    stem = path.name.removesuffix(extension)
    return itertools.chain(
        [path], (path.with_name(f"{stem}_{n:03d}{extension}") for n in itertools.count(1))
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(str(int(n)) for n in np.asarray(shape, dtype=int))
