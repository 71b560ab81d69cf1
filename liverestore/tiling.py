"""Pictures too large for one go: overlapping tiles in, the same picture out.

With a halo of at least the network's reach and tiles on a grid of its divisor, the result is
the same as in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError

__all__ = ["Tile", "infer_tiled", "tiles"]

Slices = tuple[slice, slice]
Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Tile:
    """What to read from the picture, which part of the result to keep, where it goes."""

    read: Slices
    keep: Slices
    write: Slices


def _spans(length: int, step: int, halo: int) -> Iterator[tuple[slice, slice, slice]]:
    """All of one length, those at the edges too: a network is compiled for each that it meets."""
    window = min(step + 2 * halo, length)
    for start in range(0, length, step):
        stop = min(start + step, length)
        low = min(max(start - halo, 0), length - window)
        yield slice(low, low + window), slice(start - low, stop - low), slice(start, stop)


def tiles(shape: tuple[int, int], tile_px: int, halo_px: int, divisor: int = 1) -> list[Tile]:
    """Tiles that cover `shape` (Y, X) once, `tile_px` wide plus `halo_px` on each side.

    All have one size; those at an edge of the picture reach further into it instead. `tile_px`
    and `halo_px` are rounded up to the divisor. `shape` must be a multiple of it (pad first);
    raises `UserError` otherwise.
    """
    if any(n % divisor for n in shape) or tile_px < 1 or halo_px < 0:
        raise UserError(
            f"tiles: got a picture {shape}, tiles of {tile_px} px and a halo of {halo_px} px; "
            f"the picture must be a multiple of {divisor}, the tile positive; pad it first"
        )
    step, halo = (-(-n // divisor) * divisor for n in (tile_px, halo_px))
    return [
        Tile((ry, rx), (ky, kx), (wy, wx))
        for ry, ky, wy in _spans(shape[0], step, halo)
        for rx, kx, wx in _spans(shape[1], step, halo)
    ]


def infer_tiled(
    infer: Infer, batch: NDArray[np.float32], tile_px: int, halo_px: int, divisor: int = 1
) -> NDArray[np.float32]:
    """`infer` of an (N, C, Y, X) batch, tile by tile; a new (N, C', Y, X) array.

    All channels are cut alike, so that a DPM stays with its pixels.
    """
    out: NDArray[np.float32] | None = None
    shape = (batch.shape[2], batch.shape[3])
    for tile in tiles(shape, tile_px, halo_px, divisor):
        part = infer(np.ascontiguousarray(batch[(..., *tile.read)]))
        if out is None:
            out = np.empty((*part.shape[:2], *shape), np.float32)
        out[(..., *tile.write)] = part[(..., *tile.keep)]
    assert out is not None, "a picture has at least one tile"
    return out
