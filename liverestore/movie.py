"""Open movies, stacks and single images, whatever file they are in, frame by frame."""

from __future__ import annotations

from pathlib import Path

from liverestore.errors import UserError
from liverestore.movie_base import READABLE, Movie
from liverestore.movie_tiff import TiffMovie
from liverestore.movie_zarr import ZarrMovie

__all__ = ["READABLE", "Movie", "open_movie"]


def open_movie(path: str | Path) -> Movie:
    """Open a TIFF, OME-TIFF, OME-Zarr (0.4, 0.5) or plain Zarr image for reading.

    Raises `UserError` in one line for a file that is missing, is no image, is damaged or
    empty, holds colour (RGB) pixels, several images, or a dtype that cannot be restored.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(
            f"{path}: no such file; give the path of an existing image or movie ({READABLE})"
        )
    if path.is_dir():
        return ZarrMovie(path)
    if path.name.lower().endswith((".tif", ".tiff")):
        return TiffMovie(path)
    raise UserError(
        f"{path}: got a file of the kind {path.suffix or 'without extension'!r}; allowed are "
        f"{READABLE}; export it as OME-TIFF, for example with Fiji or Bio-Formats"
    )
