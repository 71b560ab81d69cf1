"""From a movie to a restored file: names, axes, headers and dtypes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.file_moves import remove, rename
from liverestore.frame import Frame, FrameHeader, PixelDtype, Restored
from liverestore.movie import Movie
from liverestore.writer.layout import file_kind, layout_like
from liverestore.writer.ome import OmeSink, free_name
from liverestore.zstack import ZStack

__all__ = [
    "Made",
    "as_dtype",
    "check_apart",
    "check_output",
    "frame_of",
    "header_at",
    "open_output",
    "replace_old",
]

_WIDER: dict[str, tuple[str, ...]] = {
    "uint8": ("uint16", "float32"),
    "uint16": ("float32",),
    "float32": (),
}
"""What holds every value of a dtype."""


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What a file says of its making besides the engine."""

    words: dict[str, str] = dataclasses.field(default_factory=dict)
    pixel_size_um: float | None = None
    """Of the microscope, for movies that do not state their own."""


def check_output(source: Path, out: Path, *, force: bool) -> None:
    """Refuse an OUT that cannot be, before any work. Raises `UserError`."""
    check_apart(source, out)
    if not out.exists():
        return
    if not force:
        raise UserError(f"{out}: exists already; give OUT another name, or replace it with --force")
    if out.is_dir() and not any((out / name).is_file() for name in ("zarr.json", ".zgroup")):
        raise UserError(
            f"{out}: got a folder that is no OME-Zarr; --force replaces files of the kinds "
            ".tif, .ome.tif and .ome.zarr only; give OUT another name"
        )


def check_apart(source: Path, out: Path) -> None:
    """Refuse an OUT of an unknown kind, or one that is IN. Raises `UserError`."""
    file_kind(out)
    ours, theirs = source.resolve(), out.expanduser().resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise UserError(
            f"{out}: IN and OUT are the same or lie in each other; raw frames are never "
            "overwritten; give OUT another name"
        )


def open_output(
    movie: Movie,
    out: Path,
    *,
    force: bool,
    planes: ZStack | None = None,
    about: Made | None = None,
    held: int | None = None,
) -> tuple[OmeSink, NDArray[np.intp]]:
    """A sink for a file like `movie`, and the order in which it wants the frames.

    With `planes` each frame becomes a stack, and Z the last axis before Y and X. Where `out`
    exists, and `force` allows to replace it, the new file gets a free name beside it until
    `replace_old`. With `held` the file is there, and is gone on with after so many pictures.
    Raises `UserError` for axes that the kind of file cannot have, and for planes of a movie that
    has z already.
    """
    axes, sizes = movie.axes, movie.leading_shape
    z_step_um, z_start_um = movie.z_step_um, None
    if planes is not None:
        axes, sizes = f"{_flat_axes(movie)}ZYX", (*sizes, planes.count)
        z_step_um, z_start_um = planes.step_um, planes.start_um
    layout, order = layout_like(axes, sizes, file_kind(out))
    if planes is not None:
        # Z comes last in both kinds of file, so the planes of a frame stay together.
        order = order[:: planes.count] // planes.count
    about = about or Made()
    sink = OmeSink(
        free_name(out) if force else out,
        layout=layout,
        on_existing="refuse" if held is None else "continue",
        held=held or 0,
        pixel_size_um=movie.pixel_size_um or about.pixel_size_um,
        z_step_um=z_step_um,
        z_start_um=z_start_um,
        about=about.words,
        interval_ms=movie.interval_ms,
    )
    return sink, order


def _flat_axes(movie: Movie) -> str:
    """The leading axes of a movie of single planes. Raises `UserError` where z is one."""
    leading = list(movie.axes[:-2])
    if movie.time_axis is not None and leading[movie.time_axis] == "Z":
        # ImageJ calls every stack "slices"; without a spacing it counts as time.
        leading[movie.time_axis] = "T"
    if "Z" in leading:
        size = movie.leading_shape[leading.index("Z")]
        raise UserError(
            f"{movie.path}: got a movie that has {size} planes of z already; --zstack takes frames "
            "of one plane; save the plane in focus alone, or refocus every plane with --z or --dpm"
        )
    return "".join(leading)


def replace_old(new: Path, out: Path) -> Path:
    """Put the finished file `new` in the place of `out`; where the file is then."""
    if new == out:
        return new
    remove(out)
    return rename(new, out)


def frame_of(movie: Movie, index: int, dtype: str) -> Frame:
    """Frame `index` of `movie` with its header, as `dtype` where that loses nothing.

    Restoring in a wider dtype keeps what the narrower one would round off.
    """
    pixels = movie[index]
    if dtype in _WIDER[pixels.dtype.name]:
        pixels = pixels.astype(dtype)
    made_as: PixelDtype = pixels.dtype.name  # type: ignore[assignment]
    return Frame(pixels, msgspec.structs.replace(header_at(movie, index), dtype=made_as))


def header_at(movie: Movie, index: int) -> FrameHeader:
    """Header of frame `index` of `movie`, as it is handed out.

    A movie of another program has no clock times: the header then counts from 0 and has no date.
    """
    shape = (movie.shape[1], movie.shape[2])
    dtype: PixelDtype = movie.dtype.name  # type: ignore[assignment]
    header = movie.header(index)
    if header is not None:
        return msgspec.structs.replace(header, dtype=dtype, shape=shape)
    return FrameHeader(
        run_id=movie.path.name.split(".")[0],
        number=index,
        shape=shape,
        dtype=dtype,
        captured_ns=round(index * (movie.interval_ms or 0.0) * 1e6),
        captured_utc="",
        camera="",
        pixel_size_um=movie.pixel_size_um,
    )


def as_dtype(restored: Restored, dtype: str) -> tuple[Restored, int]:
    """`restored` with pixels of `dtype`, rounded and clipped; and how many were clipped."""
    pixels: NDArray[Any] = restored.pixels
    if pixels.dtype.name == dtype:
        return restored, 0
    if dtype == "float32":
        return dataclasses.replace(restored, pixels=pixels.astype(np.float32)), 0
    limits = np.iinfo(dtype)
    rounded = np.rint(pixels) if pixels.dtype.kind == "f" else pixels
    clipped = int(np.count_nonzero((rounded < limits.min) | (rounded > limits.max)))
    fitting = np.clip(rounded, limits.min, limits.max).astype(dtype)
    return dataclasses.replace(restored, pixels=fitting), clipped
