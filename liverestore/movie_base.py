"""What every movie is, whatever file it is in: frames, axes, sizes and records."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.frame import PIXEL_DTYPES, FrameHeader
from liverestore.frame_record import FrameRecord

__all__ = ["READABLE", "Movie"]

READABLE = ".tif, .tiff, .ome.tif, .ome.tiff, .ome.zarr and .zarr"
"""For messages: the kinds of file that can be opened."""

_EXACT_IN_FLOAT32 = 2**24
_UNNAMED_AXES = "QI"
"""What a file calls an axis of which it knows nothing ("other", "sequence")."""


class Movie(ABC):
    """Frames (Y, X) of one file, read when asked for.

    All leading axes (time, channel, z ...) are flattened in C order into one, so that
    `shape` is (T, Y, X); `axes` and `leading_shape` remember them. Frames come as uint8,
    uint16 or float32 in native byte order: other integers and floats are given as float32,
    and `note` says so; a value that float32 cannot hold exactly as an integer is refused
    when its frame is read.
    """

    def __init__(self, path: Path, axes: str, stored_shape: tuple[int, ...], dtype: Any) -> None:
        self.path = path
        self.axes = axes
        """One letter for each axis of the file, for example "TYX", "TCZYX" or "YX"."""
        self.leading_shape = tuple(int(n) for n in stored_shape[:-2])
        """Sizes of the axes before Y and X."""
        self.shape = (
            math.prod(self.leading_shape),
            int(stored_shape[-2]),
            int(stored_shape[-1]),
        )
        """(T, Y, X), T counting over all leading axes."""
        self.stored_dtype = np.dtype(dtype).newbyteorder("=")
        """dtype in the file."""
        self.dtype, self.note = _readable_dtype(path, self.stored_dtype)
        """dtype of the frames handed out, and what a person should know of it, or None."""
        self.pixel_size_um: float | None = None
        """Edge of one pixel in the sample; None where the file does not say it."""
        self.interval_ms: float | None = None
        """Time from one time point to the next; None where the file does not say it."""
        self.z_step_um: float | None = None
        self.time_axis = next(
            (n for n, axis in enumerate(axes[:-2]) if axis == "T" or axis in _UNNAMED_AXES), None
        )
        """Position in `axes` of the axis that is time, or of one without a name; or None."""
        if 0 in self.shape:
            raise UserError(
                f"{path}: got an image of {'x'.join(map(str, stored_shape))} pixels, which "
                "is empty; allowed is at least one frame of one pixel; check how it was saved"
            )

    @abstractmethod
    def _read(self, index: int) -> NDArray[Any]:
        """Frame `index` (0 <= index < T) as stored."""

    @abstractmethod
    def record(self, index: int) -> FrameRecord | None:
        """What this program recorded of frame `index`, with the checksum of its pixels.

        None for a file of another program. Raises `UserError` for a damaged record.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; safe to call twice."""

    def header(self, index: int) -> FrameHeader | None:
        """Header of frame `index` if this program recorded it, else None."""
        record = self.record(self._checked(index))
        return None if record is None else record.header

    def time_series(self) -> range:
        """Indices of frames that show one plane of one channel at successive times.

        The frames at the first position of every other axis; a single index where the
        file holds no time series. An axis without a name counts as time.
        """
        if self.time_axis is None:
            return range(1)
        step = math.prod(self.leading_shape[self.time_axis + 1 :])
        return range(0, step * self.leading_shape[self.time_axis], step)

    def _ends_within(self, cut: Callable[[], FrameRecord | None]) -> str:
        """What a person should know of a recording that ends in the middle of a frame.

        `cut` gives the record of that frame, None where there is none any more.
        """
        which, numbers = "a frame", ""
        with contextlib.suppress(UserError):  # a damaged record is named when it is asked for
            first, last, record = self.header(0), self.header(len(self) - 1), cut()
            if first is not None and last is not None:
                numbers = f", {first.number} to {last.number},"
                which = f"the frame after {last.number}"
            if record is not None:
                which = f"frame {record.header.number}"
        before = (
            f"the frame before it{numbers} is"
            if len(self) == 1
            else f"the {len(self)} frames before it{numbers} are"
        )
        return (
            f"{self.path.name} ends in the middle of {which}, which is left out; {before} whole; "
            "if the file was copied, copy it again"
        )

    def _checked(self, index: int) -> int:
        count = self.shape[0]
        if not -count <= index < count:
            raise IndexError(f"frame {index} of {self.path.name}, which has {count} frames")
        return index % count

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Frame `index` as (Y, X) of `dtype`, writable and owned by the caller.

        Raises `UserError` where the file is damaged at this frame or a value does not
        fit, IndexError beyond the end.
        """
        index = self._checked(index)
        stored = self._read(index)
        if stored.shape != self.shape[1:]:
            raise UserError(
                f"{self.path}: got a frame {index} of {'x'.join(map(str, stored.shape))} pixels "
                f"where all have {self.shape[1]}x{self.shape[2]}; copy the file again from its "
                "source"
            )
        if stored.dtype.kind in "iu" and stored.dtype.itemsize > 2:
            largest = max(abs(int(stored.max())), abs(int(stored.min())))
            if largest > _EXACT_IN_FLOAT32:
                raise UserError(
                    f"{self.path}: got the value {largest} in frame {index} "
                    f"({self.stored_dtype}); allowed are integers up to {_EXACT_IN_FLOAT32}, "
                    "which float32 holds exactly; scale the image down and save it again"
                )
        return np.array(stored, dtype=self.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        for index in range(len(self)):
            yield self[index]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _readable_dtype(path: Path, stored: np.dtype[Any]) -> tuple[np.dtype[Any], str | None]:
    if stored.name in PIXEL_DTYPES:
        return stored, None
    single = np.dtype(np.float32)
    if stored.kind == "f" and stored.itemsize == 2:
        return single, "float16 is read as float32, exactly"
    if stored.kind == "f" and stored.itemsize == 8:
        return single, "float64 is read as float32: values are rounded to 7 digits"
    if stored.kind in "iu":
        return single, f"{stored} is read as float32, exactly"
    raise UserError(
        f"{path}: got pixels of {stored}; allowed are uint8, uint16, float32, and other "
        "integers and floats, which are read as float32; convert the image and save it again"
    )
