"""A rectangular ROI: its arithmetic in whole pixels, and where it lies on the chip; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liverestore.frame import FrameHeader

__all__ = [
    "BODY",
    "Grip",
    "Place",
    "Rect",
    "carried",
    "dragged",
    "grip_at",
    "place_of",
    "rect_between",
]

Grip = tuple[int, int]
"""Side of a rectangle that is held: -1 left or top, 1 right or bottom, 0 neither of the two."""
BODY: Grip = (0, 0)
"""All of it is held: it is moved, not resized."""


@dataclass(frozen=True, slots=True)
class Rect:
    """Whole pixels: columns `x` to `x + width`, rows `y` to `y + height`, both ends excluded."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    @property
    def slices(self) -> tuple[slice, slice]:
        """(rows, columns) that index a (Y, X) image."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def clipped(self, shape: tuple[int, int]) -> Rect | None:
        """What of it lies in a frame of `shape` (Y, X); None for nothing."""
        x0, y0 = max(self.x, 0), max(self.y, 0)
        x1, y1 = min(self.x + self.width, shape[1]), min(self.y + self.height, shape[0])
        return Rect(x0, y0, x1 - x0, y1 - y0) if x1 > x0 and y1 > y0 else None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame's first pixel lies on the chip, in binned pixels."""

    x: int = 0
    y: int = 0
    binning: int | None = None

    def on_chip(self, rect: Rect) -> tuple[int, int, int, int]:
        """(x, y, width, height) of `rect` on the chip, in binned pixels.

        >>> Place(512, 256).on_chip(Rect(10, 20, 30, 40))
        (522, 276, 30, 40)
        """
        return (self.x + rect.x, self.y + rect.y, rect.width, rect.height)

    def carry(self, x: float, y: float, to: Place) -> tuple[float, float]:
        """The point (x, y) of a frame at this place, in the pixels of a frame placed `to`."""
        ratio = self.binning / to.binning if self.binning and to.binning else 1.0
        return (self.x + x) * ratio - to.x, (self.y + y) * ratio - to.y


def place_of(header: FrameHeader) -> Place:
    """Where the frame lies on the chip; at its corner where the camera reports no ROI."""
    x, y = header.roi[:2] if header.roi is not None else (0, 0)
    return Place(x, y, header.binning)


def rect_between(
    first: tuple[float, float], second: tuple[float, float], shape: tuple[int, int]
) -> Rect | None:
    """All pixels that a drag from (x, y) `first` to `second` touched in a frame of `shape`.

    >>> rect_between((7.9, 2.1), (3.2, 5.0), (10, 10))
    Rect(x=3, y=2, width=5, height=3)
    """
    x0, x1 = sorted((first[0], second[0]))
    y0, y1 = sorted((first[1], second[1]))
    left, top = math.floor(x0), math.floor(y0)
    return Rect(left, top, math.ceil(x1) - left, math.ceil(y1) - top).clipped(shape)


def grip_at(rect: Rect, at: tuple[float, float], reach: float, *, inside: bool) -> Grip | None:
    """What a press at (x, y) `at` takes hold of, `reach` pixels around; None: nothing.

    The eight handles at corners and sides come first, then the outline, which moves the
    rectangle, and where `inside` is true all of its area.
    """
    x0, y0, x1, y1 = rect.x, rect.y, rect.x + rect.width, rect.y + rect.height
    handles: list[tuple[float, Grip]] = []
    for sy, y in ((-1, y0), (0, (y0 + y1) / 2), (1, y1)):
        for sx, x in ((-1, x0), (0, (x0 + x1) / 2), (1, x1)):
            away = max(abs(at[0] - x), abs(at[1] - y))
            if (sx, sy) != BODY and away <= reach:
                handles.append((away, (sx, sy)))
    if handles:
        return min(handles)[1]
    if not (x0 - reach <= at[0] <= x1 + reach and y0 - reach <= at[1] <= y1 + reach):
        return None
    edge = min(abs(at[0] - x0), abs(at[0] - x1), abs(at[1] - y0), abs(at[1] - y1))
    within = inside and x0 <= at[0] <= x1 and y0 <= at[1] <= y1
    return BODY if edge <= reach or within else None


def dragged(rect: Rect, grip: Grip, by: tuple[float, float], shape: tuple[int, int]) -> Rect:
    """`rect` after its `grip` was dragged `by` (x, y) pixels; it stays in `shape` (Y, X).

    A side that is dragged beyond the other one turns it over; one pixel always stays.
    """
    height, width = shape
    dx, dy = round(by[0]), round(by[1])
    if grip == BODY:
        x = min(max(rect.x + dx, 0), max(width - rect.width, 0))
        y = min(max(rect.y + dy, 0), max(height - rect.height, 0))
        return Rect(x, y, rect.width, rect.height)
    x, wide = _side(rect.x, rect.width, grip[0], dx, width)
    y, high = _side(rect.y, rect.height, grip[1], dy, height)
    return Rect(x, y, wide, high)


def _side(start: int, length: int, side: int, by: int, size: int) -> tuple[int, int]:
    if side == 0:
        return start, length
    fixed = start + length if side < 0 else start
    moved = min(max((start if side < 0 else start + length) + by, 0), size)
    if moved == fixed:
        moved = fixed + side if 0 <= fixed + side <= size else fixed - side
    return min(fixed, moved), abs(moved - fixed)


def carried(rect: Rect, old: Place, new: Place, shape: tuple[int, int]) -> Rect | None:
    """The same part of the sample in a frame of `shape` placed `new`; None outside of it."""
    x0, y0 = old.carry(rect.x, rect.y, new)
    x1, y1 = old.carry(rect.x + rect.width, rect.y + rect.height, new)
    x, y = round(x0), round(y0)
    return Rect(x, y, max(1, round(x1) - x), max(1, round(y1) - y)).clipped(shape)
