"""How the frames of a file are ordered: its axes and their sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError

__all__ = [
    "RECORDING",
    "FileKind",
    "Layout",
    "file_kind",
    "layout_like",
    "recording_of",
]

FileKind = Literal["ome-tiff", "ome-zarr"]

_STORABLE = "TCZ"
"""Leading axes that OME files know, in the order that OME-Zarr demands."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes of a file and the sizes of those before Y and X; frames come in C order."""

    axes: str
    """Upper-case letters, ending in YX, for example "TYX" or "TCZYX"."""
    leading_shape: tuple[int | None, ...]
    """None as the first size: as many as come."""

    @property
    def frame_count(self) -> int | None:
        """Frames that fit; None for as many as come."""
        if None in self.leading_shape:
            return None
        return math.prod(size for size in self.leading_shape if size is not None)

    @property
    def group(self) -> int:
        """Frames at each position of the first axis."""
        return math.prod(size for size in self.leading_shape[1:] if size is not None)

    @property
    def turn(self) -> int:
        """Camera frames from one time point to the next, where channels come in turn."""
        return self.channels if self.axes[0] == "T" and self.leading_shape[0] is None else 1

    @property
    def channels(self) -> int:
        """Size of the axis C; 1 without one."""
        place = self.axes.find("C")
        return 1 if place < 0 else self.leading_shape[place] or 1

    @property
    def channel_stride(self) -> int:
        """Frames from one channel to the next."""
        behind = self.leading_shape[self.axes.find("C") + 1 :] if "C" in self.axes else ()
        return math.prod(size or 1 for size in behind)

    def shape_for(self, frames: int) -> tuple[int, ...]:
        """Sizes of the leading axes when the file ends after `frames` frames.

        The first axis shrinks to what was begun; missing frames at its end stay empty.
        """
        if not self.leading_shape:
            return ()
        rest = tuple(size or 1 for size in self.leading_shape[1:])
        return (max(1, math.ceil(frames / math.prod(rest))), *rest)


RECORDING = Layout("TYX", (None,))
"""One frame after the other, as long as it lasts."""


def recording_of(channels: int, planes: int = 1) -> Layout:
    """Frames of so many channels in turn, each with so many planes, as long as it lasts."""
    sizes = [(axis, size) for axis, size in (("C", channels), ("Z", planes)) if size > 1]
    axes = "".join(axis for axis, _ in sizes)
    return Layout(f"T{axes}YX", (None, *(size for _, size in sizes)))


def file_kind(path: Path) -> FileKind:
    """What `path` is to become, by its extension. Raises `UserError` for any other."""
    name = path.name.lower()
    if name.endswith((".tif", ".tiff")):
        return "ome-tiff"
    if name.endswith((".ome.zarr", ".zarr")):
        return "ome-zarr"
    raise UserError(
        f"{path}: got a name with the extension {path.suffix or '(none)'!r}; allowed are "
        ".ome.tif, .tif and .ome.zarr; give the file one of them"
    )


def layout_like(
    axes: str, leading_shape: tuple[int, ...], kind: FileKind
) -> tuple[Layout, NDArray[np.intp]]:
    """The layout of a file of `kind` that is like an image with these axes.

    Axes without a name (Q, I ...) become the first of T, Z, C that is free. OME-Zarr
    demands the order T, C, Z: where the image has another, the second value says which
    frame of the image (counted in its own C order) is the next one of the file.

    Raises `UserError` for more axes than OME files can have.
    """
    leading = axes[:-2]
    taken = set(leading) & set(_STORABLE)
    free = [axis for axis in "TZC" if axis not in taken]
    unnamed = sum(axis not in _STORABLE for axis in leading)
    if unnamed > len(free) or len(taken) + unnamed != len(leading):
        raise UserError(
            f"got an image with the axes {axes}; allowed are at most one each of time, channel "
            "and z before Y and X; save its parts as separate files"
        )
    names = [axis if axis in _STORABLE else free.pop(0) for axis in leading]
    order: NDArray[Any] = np.arange(math.prod(leading_shape), dtype=np.intp)
    permutation = list(range(len(names)))
    if kind == "ome-zarr":
        permutation.sort(key=lambda position: _STORABLE.index(names[position]))
        order = order.reshape(leading_shape).transpose(permutation).ravel()
    layout = Layout(
        "".join(names[p] for p in permutation) + "YX",
        tuple(leading_shape[p] for p in permutation),
    )
    return layout, order
