"""What is computed of a whole virtual stack, on as many samples as the screen can show; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from liverestore.view.depth_colours import depth_coloured
from liverestore.view.sharpest_planes import sharpest_planes
from liverestore.view.stack import brightest_light

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.geometry import VisiblePart
    from liverestore.view.levels import Levels
    from liverestore.view.stack import Stack

__all__ = ["Projection", "StackView", "project"]

_MOST_JUDGED = 1_000_000
"""Samples of a stack whose sharpness is judged: about a tenth of a second of one core. Of more,
every second or third in both directions is, and its neighbours go with it."""


class StackView(Enum):
    """How a virtual stack is looked at."""

    SLICES = "slices"
    SECTIONS = "orthogonal"
    MAXIMUM = "maximum"
    DEPTH = "depth colour"
    IN_FOCUS = "all in focus"
    CHOSEN_Z = "chosen z"

    @property
    def projects(self) -> bool:
        """Whether all planes are computed into one picture."""
        return self not in (StackView.SLICES, StackView.SECTIONS)

    @property
    def coloured(self) -> bool:
        """Whether colours say how deep something lies."""
        return self in (StackView.DEPTH, StackView.CHOSEN_Z)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """All planes in one picture, of `part` of the frame."""

    stack: Stack
    view: StackView
    part: VisiblePart
    light: NDArray[np.generic]
    """(Y, X) counts of the samples."""
    place: NDArray[np.uint8]
    """(Y, X) the plane that each of them comes from."""
    colours: NDArray[np.uint32] | None
    """(Y, X) 0xffRRGGBB where colours say the depth."""
    judged_every: int = 1
    """Of the samples in each direction, every so many-th was judged for its sharpness."""


def project(stack: Stack, view: StackView, part: VisiblePart, levels: Levels) -> Projection:
    """`stack` in one picture; of `part` only, between `levels` (counts) where it has colours."""
    every = 1
    if view in (StackView.IN_FOCUS, StackView.CHOSEN_Z):
        parts = [plane[part.rows, part.columns] for plane in stack.planes]
        height, width = parts[0].shape
        every = max(1, math.ceil(math.sqrt(len(parts) * height * width / _MOST_JUDGED)))
        place = sharpest_planes([p[::every, ::every] for p in parts], stack.in_focus)
        if every > 1:
            place = place.repeat(every, 0).repeat(every, 1)[:height, :width]
        light = parts[0].copy()
        for n, plane in enumerate(parts[1:], 1):
            np.copyto(light, plane, where=place == n)
    else:
        light, place = brightest_light(stack, part.rows, part.columns)
    colours = depth_coloured(light, place, stack.shape[0], levels) if view.coloured else None
    return Projection(stack, view, part, light, place, colours, every)
