"""Opens recordings and results of liverestore in napari, with their sizes and provenance.

Files of other programs too, as far as `liverestore restore` takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import LiverestoreError
from liverestore.movie import Movie, open_movie

__all__ = ["get_reader", "read"]

LayerData = tuple[Any, dict[str, Any], str]


def get_reader(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """The reader for `path`; None, so that napari takes another, for what cannot be opened."""
    if not isinstance(path, str):
        return None
    try:
        open_movie(path).close()
    except LiverestoreError:
        return None
    return read


def read(path: str) -> list[LayerData]:
    """The layers of a file: one for each channel, frames read when they are looked at.

    Scales are in um; `metadata["liverestore"]` has the record of the first frame and what made
    it, where this program wrote it. Raises `UserError` for a damaged file.
    """
    movie = open_movie(path)
    record = movie.record(0)
    axes, name = movie.axes, Path(path).name.split(".ome.")[0]
    frames = dask.array.from_array(
        _Frames(movie), chunks=(1,) * len(movie.leading_shape) + movie.shape[1:], lock=True
    )
    told: dict[str, Any] = {"file": str(movie.path)}
    if movie.note is not None:
        told["note"] = movie.note
    start_um = 0.0
    if record is not None:
        told["record"] = msgspec.to_builtins(record)
        made = record.provenance
        if made is not None and "Z" in axes:
            start_um = float(made.parameters.get("virtual_z_um", 0.0))
    pixel_um = movie.pixel_size_um
    if pixel_um is None and record is not None:
        pixel_um = record.header.pixel_size_um
    sizes = {"Z": movie.z_step_um, "Y": pixel_um, "X": pixel_um}
    shown = [axis for axis in axes if axis != "C"]
    layer: dict[str, Any] = {
        "name": name,
        "scale": [sizes.get(axis) or 1.0 for axis in shown],
        "translate": [start_um if axis == "Z" else 0.0 for axis in shown],
        "units": ["um" if sizes.get(axis) else "pixel" for axis in shown],
        "axis_labels": [axis.lower() for axis in shown],
        "metadata": {"liverestore": told},
    }
    if "C" in axes:
        layer |= {"channel_axis": axes.index("C"), "name": _channels(movie, name)}
    return [(frames, layer, "image")]


def _channels(movie: Movie, name: str) -> list[str]:
    """A name for each channel, as far as the frames tell theirs."""
    place = movie.axes.index("C")
    after = int(np.prod(movie.leading_shape[place + 1 :], dtype=int))
    names = []
    for number in range(movie.leading_shape[place]):
        header = movie.header(number * after)
        told = header.channel if header is not None else None
        names.append(f"{name} {told or number + 1}")
    return names


class _Frames:
    """A movie as dask wants an array: blocks of single frames."""

    def __init__(self, movie: Movie) -> None:
        self._movie = movie
        self.shape = (*movie.leading_shape, *movie.shape[1:])
        self.dtype = movie.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, index: tuple[Any, ...]) -> NDArray[Any]:
        leading = index[: len(self._movie.leading_shape)]
        places = np.arange(len(self._movie)).reshape(self._movie.leading_shape)[leading]
        frames = np.stack([self._movie[int(n)] for n in np.ravel(places)])
        frames = frames.reshape(*np.shape(places), *self._movie.shape[1:])
        rows_columns: tuple[Any, ...] = index[len(leading) :]
        return np.asarray(frames[(..., *rows_columns)] if rows_columns else frames)
