"""OME-Zarr 0.4 and 0.5 images, and plain Zarr arrays, as movies."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.frame_record import RECORDS_NAME, FrameRecord, decode_record
from liverestore.movie_base import Movie

__all__ = ["ZarrMovie"]

_MARKS = ("zarr.json", ".zgroup", ".zarray")
_UM_PER_UNIT = {"meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0,
                "nanometer": 1e-3}  # fmt: skip
_MS_PER_UNIT = {"hour": 3.6e6, "minute": 6e4, "second": 1e3, "millisecond": 1.0,
                "microsecond": 1e-3}  # fmt: skip


class ZarrMovie(Movie):
    """The full resolution of one Zarr image (see `Movie`)."""

    def __init__(self, path: Path) -> None:
        if not any((path / name).is_file() for name in _MARKS):
            raise UserError(
                f"{path}: got a folder that is no Zarr store (no {', '.join(_MARKS)}); give the "
                ".ome.zarr folder itself, or a TIFF file"
            )
        with _one_line(f"{path}"), warnings.catch_warnings():
            # zarr warns of extensions it knows but finds unusual; the reading is right.
            warnings.simplefilter("ignore")
            self._open(path)

    def _open(self, path: Path) -> None:
        node = zarr.open(path, mode="r")
        attributes: dict[str, Any] = dict(node.attrs)
        image: dict[str, Any] = {}
        folder = path
        if isinstance(node, zarr.Group):
            image, inside = _only_image(path, attributes)
            if inside not in node:
                raise UserError(
                    f"{path}: its metadata names the array {inside!r}, which is missing; "
                    "copy it again from where it was recorded"
                )
            node = node[inside]
            folder = path / inside
        if not isinstance(node, zarr.Array):
            raise UserError(f"{path}: got a Zarr group where an image array is expected")
        self._array: zarr.Array[Any] | None = node
        axes = _axes(image, node.ndim)
        if node.ndim < 2 or axes[-2:] != "YX":
            raise UserError(
                f"{path}: got a Zarr array with the axes {axes or '(none)'}; allowed are axes "
                "that end in YX; save it with the image plane as the last two axes"
            )
        self._records_file = folder / RECORDS_NAME
        self._lines: list[bytes] | None = None
        self._ours = "liverestore" in attributes
        self._torn: int | None = None
        """Index of the first frame at the end of a recording whose chunk is not whole."""
        shape = self._recorded_shape(attributes, node.shape, np.dtype(node.dtype))
        self._turn: tuple[int, ...] = node.shape[1:-2] if len(shape) == 3 else ()
        """Sizes of the axes after T of a recording that opens as a plain series, else empty."""
        super().__init__(path, "TYX" if self._turn else axes, shape, node.dtype)
        self._read_calibration(image)
        if (torn := self._torn) is not None:
            words = self._ends_within(partial(self._record_of_line, torn))
            self.note = "; ".join(filter(None, (self.note, words)))

    def _recorded_shape(
        self, attributes: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> tuple[int, ...]:
        """Of an image; where its recording was cut off, as many frames as have a record.

        A recording of channels in turn that ends within a turn is a plain series of frames,
        virtual stacks are as many as are complete, or a plain series where none is.
        """
        own = attributes.get("liverestore")
        if not isinstance(own, dict) or len(shape) < 3:
            return shape
        cut_off = own.get("complete") is False
        if len(shape) == 3 and not cut_off:
            return shape
        count, group = len(self._record_lines()), math.prod(shape[1:-2])
        if cut_off:
            count = self._whole_chunks(count, shape, dtype)
        in_turn = "channels_in_turn" in own
        if count == math.prod(shape[:-2]) and not (cut_off and in_turn):
            return shape
        stacks = len(shape) == 5 or (len(shape) == 4 and not in_turn)
        if stacks and count >= group:
            return (count // group, *shape[1:])
        return (count, *shape[-2:])

    def _whole_chunks(self, count: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
        """How many of the first `count` frames there are before the ones at the end that lack some
        of their pixels, as a power cut leaves them; all, where no frame is whole.
        """
        nbytes = math.prod(shape[-2:]) * dtype.itemsize
        whole = count
        while whole and self._chunk_bytes(whole - 1, shape[1:-2]) != nbytes:
            whole -= 1
        if whole in (0, count):
            return count
        self._torn = whole
        return whole

    def _chunk_bytes(self, index: int, turn: tuple[int, ...]) -> int:
        """Of the chunk of frame `index` of a recording; 0 where there is none."""
        first, within = divmod(index, math.prod(turn))
        place = (first, *map(int, np.unravel_index(within, turn))) if turn else (first,)
        chunk = self._records_file.parent.joinpath("c", *map(str, place), "0", "0")
        return chunk.stat().st_size if chunk.is_file() else 0

    def _read(self, index: int) -> NDArray[Any]:
        if self._array is None:
            raise UserError(f"{self.path}: is closed; open it again to read frame {index}")
        place = tuple(map(int, np.unravel_index(index, self.leading_shape or (1,))))
        place = place if self.leading_shape else ()
        if self._turn:
            turn, within = divmod(index, math.prod(self._turn))
            place = (turn, *map(int, np.unravel_index(within, self._turn)))
        chunk = self._records_file.parent.joinpath("c", *map(str, place), "0", "0")
        with _one_line(f"{self.path}, frame {index}"):
            if self._ours and not chunk.is_file():
                # Zarr itself takes a missing chunk for zeros.
                raise UserError(
                    f"{self.path}: frame {index} is missing ({chunk}); copy the store again "
                    "from where it was recorded"
                )
            if len(self.shape) == 3 and place and place[0] >= self._array.shape[0]:
                # The recording was cut off before the array was told of this frame.
                stored = np.fromfile(chunk, self.stored_dtype.newbyteorder("<"))
                return stored.reshape(self.shape[1:])
            return np.asarray(self._array[place])

    def record(self, index: int) -> FrameRecord | None:
        """See `Movie.record`; it is in `frames.jsonl` in the folder of the array."""
        return self._record_of_line(index) if index < len(self._record_lines()) else None

    def _record_of_line(self, index: int) -> FrameRecord:
        """That stands in line `index`, from 0. Raises `UserError` where it is damaged."""
        lines = self._record_lines()
        return decode_record(lines[index], f"{self._records_file}, line {index + 1}")

    def _record_lines(self) -> list[bytes]:
        if self._lines is None:
            try:
                # A last line without its end belongs to a frame that was being written.
                self._lines = self._records_file.read_bytes().split(b"\n")[:-1]
            except FileNotFoundError:
                self._lines = []
        return self._lines

    def close(self) -> None:
        """See `Movie.close`."""
        self._array = None

    def _read_calibration(self, image: dict[str, Any]) -> None:
        scale = _scale(image, len(self.axes))
        units = [
            axis.get("unit") if isinstance(axis, dict) else None for axis in image.get("axes", [])
        ]
        if scale is None or len(units) != len(scale):
            return
        size_um: dict[str, float] = {}
        for axis, unit, step in zip(self.axes, units, scale, strict=True):
            if axis in "ZYX" and unit in _UM_PER_UNIT and step > 0:
                size_um[axis] = step * _UM_PER_UNIT[unit]
            elif axis == "T" and unit in _MS_PER_UNIT and step > 0:
                self.interval_ms = step * _MS_PER_UNIT[unit]
        x, y = size_um.get("X"), size_um.get("Y")
        if x is not None and y is not None and abs(x - y) <= 0.01 * x:
            self.pixel_size_um = x
        self.z_step_um = size_um.get("Z")


@contextmanager
def _one_line(place: str) -> Iterator[None]:
    """Turn what zarr and its codecs raise into one line."""
    try:
        yield
    except UserError:
        raise
    except MemoryError as error:
        raise UserError(
            f"{place}: got an image that does not fit into the memory; crop it, or check that "
            "the copy is complete"
        ) from error
    except (ValueError, TypeError, LookupError, OSError, ArithmeticError, AttributeError,
            RuntimeError, AssertionError) as error:  # fmt: skip
        # All of these come out of damaged metadata and chunks.
        raise UserError(
            f"{place}: got damaged or unknown Zarr data ({type(error).__name__}: "
            f"{_first_line(error)}); allowed are OME-Zarr 0.4 and 0.5; copy it again from where "
            "it was recorded"
        ) from error


def _only_image(path: Path, attributes: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """What the attributes of a group say of its image, and the path of its array."""
    described = attributes.get("ome", attributes)
    multiscales = described.get("multiscales") if isinstance(described, dict) else None
    if multiscales:
        try:
            return multiscales[0], str(multiscales[0]["datasets"][0]["path"])
        except (KeyError, IndexError, TypeError) as error:
            raise UserError(
                f"{path}: its OME-Zarr metadata names no dataset; allowed are OME-Zarr 0.4 "
                "and 0.5 images; copy it again from where it was recorded"
            ) from error
    inside = sorted(p.name for p in path.iterdir() if p.is_dir())
    if isinstance(described, dict) and "plate" in described:
        remedy = "a plate; give the folder of one field inside it, for example A/1/0"
    else:
        remedy = f"a group without an image; give the folder of an image inside it ({inside})"
    raise UserError(f"{path}: got {remedy}")


def _axes(image: dict[str, Any], ndim: int) -> str:
    """One capital letter an axis; unnamed leading axes are "Q" (unknown)."""
    named = image.get("axes")
    if isinstance(named, list) and len(named) == ndim:
        names = [str(a.get("name", "q")) if isinstance(a, dict) else str(a) for a in named]
        return "".join(name[:1].upper() for name in names)
    unnamed = {0: "", 1: "X", 2: "YX"}.get(ndim)
    return unnamed if unnamed is not None else "Q" * (ndim - 2) + "YX"


def _scale(image: dict[str, Any], ndim: int) -> list[float] | None:
    """Step of each axis: the data set's scale times the one common to all."""
    datasets = image.get("datasets") or [{}]
    total: list[float] | None = None
    for owner in (datasets[0], image):
        for transform in owner.get("coordinateTransformations") or []:
            step = transform.get("scale")
            if transform.get("type") == "scale" and isinstance(step, list) and len(step) == ndim:
                total = [a * float(b) for a, b in zip(total or [1.0] * ndim, step, strict=True)]
    return total


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
