"""Several channels in one picture: each in its colour, added; no Qt."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.levels import Levels

__all__ = ["Layer", "Layers", "Rgb", "colour_table", "layers_of"]

Rgb = tuple[int, int, int]
"""(red, green, blue), 0 to 255 each."""

_OPAQUE = np.uint32(0xFF000000)
_BLOCK = 64
"""Rows that are composed at a time: what they need stays in the processor's cache, which
halves the time for 2048 x 2048."""


Part = tuple[slice, slice]
"""Rows and columns."""


class Layer:
    """One channel of a composite: `pixels` (Y, X) in counts, white painted in `rgb`.

    It keeps the colours of the part that was asked for last: while one channel gets a new
    frame, those of the others need not be looked up again.
    """

    def __init__(self, pixels: NDArray[np.generic], levels: Levels, rgb: Rgb) -> None:
        self.pixels = pixels
        self.levels = levels
        self.rgb = rgb
        self._kept: tuple[Part, NDArray[np.uint32]] | None = None

    def like(self, other: Layer) -> bool:
        """Whether it looks as `other` does."""
        return self.pixels is other.pixels and self.levels == other.levels and self.rgb == other.rgb

    def colours(self, part: Part) -> NDArray[np.uint32]:
        """(Y, X) of the rows and columns in `part`, each 0x00RRGGBB; not to be changed."""
        if self._kept is None or self._kept[0] != part:
            table = colour_table(self.levels, self.rgb, self.pixels.dtype.name)
            samples = self.pixels[part]
            found = np.empty(samples.shape, np.uint32)
            for start in range(0, len(found), _BLOCK):
                rows = slice(start, start + _BLOCK)
                found[rows] = table[_entries(samples[rows], self.levels)]
            self._kept = (part, found)
        return self._kept[1]


class Layers:
    """What a pane shows instead of (Y, X) pixels: the sum of the colours of `layers`.

    All layers have the shape of the first one. Only the part that is asked for is composed.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        height, width = layers[0].pixels.shape
        self.shape: tuple[int, int] = (height, width)
        """(Y, X) of each layer."""

    def __getitem__(self, part: Part) -> NDArray[np.uint32]:
        """(Y, X) of the rows and columns in `part`, each 0xffRRGGBB.

        A colour that overflows stays at 255, so that nothing bright turns dark.
        """
        total = self.layers[0].colours(part) | _OPAQUE
        for layer in self.layers[1:]:
            more = layer.colours(part)
            for start in range(0, len(total), _BLOCK):
                rows = slice(start, start + _BLOCK)
                _add(total[rows], more[rows])
        return total


def _entries(samples: NDArray[np.generic], levels: Levels) -> NDArray[np.generic]:
    """Where the colours of `samples` stand in the table."""
    if samples.dtype.kind != "f":
        return samples
    scaled = (samples.astype(np.float32) - np.float32(levels[0])) * np.float32(
        255.0 / (levels[1] - levels[0])
    )
    # NaN, which no count is, is shown black.
    steps: NDArray[np.uint8] = np.nan_to_num(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
    return steps


def _add(total: NDArray[np.uint32], more: NDArray[np.uint32]) -> None:
    """Add each byte of `more` to that of `total`, up to 255."""
    room = np.invert(total).view(np.uint8)
    np.minimum(more.view(np.uint8), room, out=room)
    # No byte overflows any more, so the words can be added as they are.
    total += room.view(np.uint32)


@functools.lru_cache(maxsize=64)
def colour_table(levels: Levels, rgb: Rgb, dtype: str) -> NDArray[np.uint32]:
    """0x00RRGGBB for every count of an integer `dtype`; for float32, of 256 steps.

    Counts up to the lower level are black, from the upper one on `rgb`.
    """
    size = 256 if dtype in ("uint8", "float32") else 65_536
    low, high = (0.0, 255.0) if dtype == "float32" else levels
    share = np.clip((np.arange(size) - low) / (high - low), 0.0, 1.0)
    parts = [np.rint(share * part).astype(np.uint32) for part in rgb]
    table: NDArray[np.uint32] = (parts[0] << 16) | (parts[1] << 8) | parts[2]
    table.setflags(write=False)
    return table


def layers_of(before: Layers | None, layers: tuple[Layer, ...]) -> Layers:
    """The picture of `layers`: `before` itself where nothing changed.

    Layers of `before` that did not change are taken over, since they know their colours.
    """
    old = () if before is None else before.layers
    kept = tuple(next((o for o in old if o.like(layer)), layer) for layer in layers)
    if before is not None and len(kept) == len(old) and all(map(operator.is_, kept, old)):
        return before
    return Layers(kept)
