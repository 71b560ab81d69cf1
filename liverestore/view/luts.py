"""Look-up tables: 256 RGB colours from the darkest to the brightest displayed count."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from liverestore.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from liverestore.view.levels import Levels

__all__ = ["DIVERGING", "LUTS", "counts_in_colours", "lut_table"]

_Rgb = tuple[int, int, int]


def _ramp(colours: Sequence[_Rgb]) -> NDArray[np.uint8]:
    """(256, 3) uint8 through equally spaced `colours`."""
    at = np.linspace(0.0, 255.0, len(colours))
    anchors = np.asarray(colours, dtype=np.float64)
    grid = np.arange(256.0)
    table = np.stack([np.interp(grid, at, anchors[:, i]) for i in range(3)], axis=1)
    rounded: NDArray[np.uint8] = np.rint(table).astype(np.uint8)
    rounded.setflags(write=False)
    return rounded


LUTS: Mapping[str, NDArray[np.uint8]] = MappingProxyType(
    {
        "grey": _ramp([(0, 0, 0), (255, 255, 255)]),
        "green": _ramp([(0, 0, 0), (0, 255, 0)]),
        "magenta": _ramp([(0, 0, 0), (255, 0, 255)]),
        "cyan": _ramp([(0, 0, 0), (0, 255, 255)]),
        "yellow": _ramp([(0, 0, 0), (255, 255, 0)]),
        # Luminance grows from end to end, so that a brighter pixel never looks darker.
        "fire": _ramp(
            [
                (0, 0, 0),
                (32, 0, 88),
                (104, 0, 132),
                (176, 16, 104),
                (228, 56, 44),
                (250, 120, 8),
                (255, 180, 24),
                (255, 228, 104),
                (255, 255, 255),
            ]
        ),
        # Anchors of the map "viridis" by van der Walt and Smith (2015), perceptually uniform.
        "viridis": _ramp(
            [
                (68, 1, 84),
                (72, 40, 120),
                (62, 73, 137),
                (49, 104, 142),
                (38, 130, 142),
                (31, 158, 137),
                (53, 183, 121),
                (110, 206, 88),
                (181, 222, 43),
                (253, 231, 37),
            ]
        ),
        "inverted": _ramp([(255, 255, 255), (0, 0, 0)]),
    }
)
"""Name to (256, 3) uint8 table, read-only, in the order of the chooser."""

# Black in the middle: on a dark screen only what differs lights up.
DIVERGING = _ramp(
    [(176, 220, 255), (72, 150, 255), (20, 60, 150), (0, 0, 0), (150, 50, 8), (255, 136, 32),
     (255, 226, 160)]
)  # fmt: skip
"""(256, 3) uint8 for signed numbers: blue below zero, black at it, orange above."""


def lut_table(name: str) -> NDArray[np.uint8]:
    """The (256, 3) uint8 table of that name. Raises `UserError` for an unknown name."""
    try:
        return LUTS[name]
    except KeyError:
        raise UserError(f"unknown LUT {name!r}; choose one of: {', '.join(LUTS)}") from None


def counts_in_colours(
    counts: NDArray[np.generic], levels: Levels, lut: NDArray[np.uint8]
) -> NDArray[np.uint32]:
    """(Y, X) counts between `levels` in the (256, 3) colours of `lut`, each 0xffRRGGBB."""
    if counts.dtype.kind == "u" and counts.size > 2 ** (8 * counts.dtype.itemsize):
        # Fewer different counts than pixels: each is coloured once.
        every = np.arange(2 ** (8 * counts.dtype.itemsize), dtype=counts.dtype)
        colours: NDArray[np.uint32] = _coloured(every, levels, lut)[counts]
        return colours
    return _coloured(counts, levels, lut)


def _coloured(
    counts: NDArray[np.generic], levels: Levels, lut: NDArray[np.uint8]
) -> NDArray[np.uint32]:
    low, high = levels
    scaled = (counts.astype(np.float32) - np.float32(low)) * np.float32(255 / max(high - low, 1e-6))
    np.clip(scaled, 0, 255, out=scaled)
    table = lut.astype(np.uint32)
    packed = np.uint32(0xFF000000) | table[:, 0] << 16 | table[:, 1] << 8 | table[:, 2]
    colours: NDArray[np.uint32] = packed.astype(np.uint32)[scaled.astype(np.uint8)]
    return colours
