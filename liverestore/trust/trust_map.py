"""The maps of a test, small enough to travel with the run's status."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.trust.spots import SpotTest

__all__ = ["MapKind", "TrustMap", "trust_map"]

MapKind = Literal["evidence", "detectable"]

_MOST_CELLS = 64


class TrustMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A map of one frame in cells of `cell_px` square pixels, from its upper left corner."""

    kind: MapKind
    """Evidence: of each cell the z farthest from 0 (below: shown and not in the data).
    Detectable: the smallest invented spot, in photoelectrons, that the data could refute."""
    channel: str
    shape: tuple[int, int]
    """(Y, X) of the frame in pixels."""
    cell_px: int
    values: bytes
    """Little-endian float16, row by row."""

    def grid(self) -> NDArray[np.float32]:
        """(rows, columns) float32. Raises `Failure` for values that do not fill it."""
        rows, columns = (-(-side // self.cell_px) for side in self.shape)
        if len(self.values) != 2 * rows * columns:
            raise Failure(
                f"trust map: got {len(self.values)} bytes, {rows} x {columns} cells have "
                f"{2 * rows * columns}"
            )
        return np.frombuffer(self.values, "<f2").reshape(rows, columns).astype(np.float32)


def trust_map(test: SpotTest, kind: MapKind, channel: str = "") -> TrustMap:
    """The map `kind` of `test` in at most 64 x 64 cells; of each cell what matters most."""
    height, width = test.z.shape
    cell = max(1, -(-max(height, width) // _MOST_CELLS))
    pad = ((0, -height % cell), (0, -width % cell))

    def cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
        padded = np.pad(values, pad, mode="edge")
        rows, columns = (side // cell for side in padded.shape)
        return padded.reshape(rows, cell, columns, cell).swapaxes(1, 2).reshape(rows, columns, -1)

    if kind == "evidence":
        z = cells(test.z)
        far = np.abs(z).argmax(-1)
        values = np.take_along_axis(z, far[..., None], -1)[..., 0]
    else:
        values = np.median(cells(test.detectable_e), axis=-1)
    values = np.clip(values, -60_000, 60_000).astype("<f2")
    return TrustMap(
        kind=kind, channel=channel, shape=(height, width), cell_px=cell, values=values.tobytes()
    )
