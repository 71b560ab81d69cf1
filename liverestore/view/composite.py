"""Several channels in one picture: each in its colour, added; no Qt."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.levels import Levels

__all__ = ["Layer", "Layers", "Rgb", "colour_table", "same_layers"]

Rgb = tuple[int, int, int]
"""(red, green, blue), 0 to 255 each."""

_OPAQUE = np.uint32(0xFF000000)
_BLOCK = 64
"""Rows that are composed at a time: what they need stays in the processor's cache, which
halves the time for 2048 x 2048."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One channel of a composite."""

    pixels: NDArray[np.generic]
    """(Y, X) counts; uint8, uint16 or float32."""
    levels: Levels
    rgb: Rgb
    """What white is painted in."""


class Layers:
    """What a pane shows instead of (Y, X) pixels: the sum of the colours of `layers`.

    All layers have the shape of the first one. Only the part that is asked for is composed.
    """

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        height, width = layers[0].pixels.shape
        self.shape: tuple[int, int] = (height, width)
        """(Y, X) of each layer."""

    def __getitem__(self, part: tuple[slice, slice]) -> NDArray[np.uint32]:
        """(Y, X) of the rows and columns in `part`, each 0xffRRGGBB.

        A colour that overflows stays at 255, so that nothing bright turns dark.
        """
        first = self.layers[0].pixels[part]
        total = np.full(first.shape, _OPAQUE, np.uint32)
        for layer in self.layers:
            table = colour_table(layer.levels, layer.rgb, layer.pixels.dtype.name)
            samples = layer.pixels[part]
            for start in range(0, len(total), _BLOCK):
                rows = slice(start, start + _BLOCK)
                _add(total[rows], _colours(samples[rows], table, layer.levels))
        return total


def _colours(
    samples: NDArray[np.generic], table: NDArray[np.uint32], levels: Levels
) -> NDArray[np.uint32]:
    if samples.dtype.kind == "f":
        scaled = (samples.astype(np.float32) - np.float32(levels[0])) * np.float32(
            255.0 / (levels[1] - levels[0])
        )
        # NaN, which no count is, is shown black.
        samples = np.nan_to_num(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
    colours: NDArray[np.uint32] = table[samples]
    return colours


def _add(total: NDArray[np.uint32], more: NDArray[np.uint32]) -> None:
    """Add each byte of `more` to that of `total`, up to 255."""
    room = np.invert(total).view(np.uint8)
    limited = more.view(np.uint8)
    np.minimum(limited, room, out=limited)
    # No byte overflows any more, so the words can be added as they are.
    total += more


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


def same_layers(before: Layers | None, layers: tuple[Layer, ...]) -> bool:
    """Whether `layers` would look like `before`, so that nothing needs to be painted."""
    return (
        before is not None
        and len(before.layers) == len(layers)
        and all(
            old.pixels is new.pixels and old.levels == new.levels and old.rgb == new.rgb
            for old, new in zip(before.layers, layers, strict=True)
        )
    )
