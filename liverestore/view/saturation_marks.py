"""Where the raw frame is saturated or zero, as marks on the picture of it; no Qt."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from liverestore.view.levels import saturation_level

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from liverestore.frame import Frame
    from liverestore.view.geometry import VisiblePart

__all__ = ["MARK_COLOURS", "mark_indices", "marks_text", "paint_marks"]

_SATURATED, _ZERO = 1, 2

MARK_COLOURS: Mapping[int, int] = MappingProxyType({_SATURATED: 0xFFFF0000, _ZERO: 0xFF0050FF})
"""0xAARRGGBB by the index that `mark_indices` gives: red and blue."""


def mark_indices(raw: Frame, part: VisiblePart) -> NDArray[np.uint8] | None:
    """(Y, X) uint8 for the samples of `part`: 1 saturated, 2 zero, 0 neither.

    Where a sample stands for several pixels, one saturated pixel among them marks it, so
    that a lone one is seen in a whole frame. None where there is nothing to mark, and for a
    float32 camera, which has no highest count.
    """
    level = saturation_level(raw.header)
    if level is None:
        return None
    step = part.rows.step or 1
    area = raw.pixels[part.rows.start : part.rows.stop, part.columns.start : part.columns.stop]
    saturated = _any_of(area >= np.asarray(level, area.dtype), step)
    zero = _any_of(area == 0, step)
    if saturated is None and zero is None:
        return None
    shape = (-(-area.shape[0] // step), -(-area.shape[1] // step))
    marks = np.zeros(shape, np.uint8)
    if zero is not None:
        marks[zero] = _ZERO
    if saturated is not None:
        marks[saturated] = _SATURATED
    return marks


def paint_marks(argb: NDArray[np.uint32], marks: NDArray[np.uint8]) -> None:
    """Colour the marked pixels of `argb` (Y, X), a picture made for the screen, in place."""
    for index, colour in MARK_COLOURS.items():
        np.copyto(argb, np.uint32(colour), where=marks == index)


def marks_text(raw: Frame) -> str:
    """What the marks mean."""
    level = saturation_level(raw.header)
    if level is None:
        return "float counts: no highest count to mark"
    return f"red: saturated ({level}), blue: 0"


def _any_of(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_] | None:
    """Whether any of each `step` x `step` block is set; None where none is at all."""
    if not mask.any():
        return None
    if step == 1:
        return mask
    for axis in (0, 1):
        mask = np.moveaxis(mask, axis, 0)
        blocks = mask[::step].copy()
        for i in range(1, step):
            further = mask[i::step]
            blocks[: len(further)] |= further
        mask = np.moveaxis(blocks, 0, axis)
    return mask
