"""Where the pictures of a virtual stack stand on the screen, in true proportions; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Kind", "Rect", "Tile", "section_tiles", "single_tile"]

Kind = Literal["xy", "xz", "yz"]
"""Which axes run to the right and down; z grows deeper into the sample."""

Rect = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture: `rect` (x, y, width, height) on the screen shows `span` of the stack.

    `span` is (left, top, right, bottom) in pixels of the frame and, along z, in planes.
    """

    kind: Kind
    rect: Rect
    span: Rect

    def to_stack(self, x: float, y: float) -> tuple[float, float]:
        """The place in the stack, along the two axes of `kind`, of a point on the screen."""
        left, top, width, height = self.rect
        u0, v0, u1, v1 = self.span
        return u0 + (x - left) / width * (u1 - u0), v0 + (y - top) / height * (v1 - v0)

    def to_screen(self, u: float, v: float) -> tuple[float, float]:
        """The opposite of `to_stack`."""
        left, top, width, height = self.rect
        u0, v0, u1, v1 = self.span
        return left + (u - u0) / (u1 - u0) * width, top + (v - v0) / (v1 - v0) * height

    def holds(self, x: float, y: float) -> bool:
        """Whether the point on the screen lies in it."""
        left, top, width, height = self.rect
        return left <= x < left + width and top <= y < top + height

    @property
    def zoom(self) -> float:
        """Screen pixels per pixel of the frame."""
        along = 1 if self.kind == "yz" else 0
        return self.rect[2 + along] / (self.span[2 + along] - self.span[along])


def _inside(view: Rect, shape: tuple[int, int]) -> Rect | None:
    """The part of `view` (x0, y0, x1, y1) that lies in a frame of `shape` (Y, X)."""
    x0, y0 = max(0.0, view[0]), max(0.0, view[1])
    x1, y1 = min(float(shape[1]), view[2]), min(float(shape[0]), view[3])
    return (x0, y0, x1, y1) if x1 - x0 >= 1 and y1 - y0 >= 1 else None


def single_tile(view: Rect, shape: tuple[int, int], size: tuple[float, float]) -> Tile | None:
    """The part of a frame of `shape` (Y, X) in `view`, as large as fits into `size`.

    None where nothing of the frame is in view, or there is no room.
    """
    span = _inside(view, shape)
    if span is None or min(size) < 1:
        return None
    across, down = span[2] - span[0], span[3] - span[1]
    scale = min(size[0] / across, size[1] / down)
    width, height = across * scale, down * scale
    return Tile("xy", ((size[0] - width) / 2, (size[1] - height) / 2, width, height), span)


def section_tiles(
    view: Rect, shape: tuple[int, int, int], aspect: float, size: tuple[float, float], gap: float
) -> tuple[Tile, Tile, Tile] | None:
    """XY, below it XZ and beside it YZ, all at one scale, as large as fits into `size`.

    `shape` is (Z, Y, X), `aspect` the distance of two planes in pixels, `gap` what stays free
    between the pictures. Planes are as thick as they are apart. None where nothing of the frame
    is in view, or there is no room.
    """
    planes, height_px, width_px = shape
    span = _inside(view, (height_px, width_px))
    if span is None:
        return None
    across, down, deep = span[2] - span[0], span[3] - span[1], planes * aspect
    scale = min((size[0] - gap) / (across + deep), (size[1] - gap) / (down + deep))
    if scale <= 0:
        return None
    width, height, depth = across * scale, down * scale, deep * scale
    left = (size[0] - width - gap - depth) / 2
    top = (size[1] - height - gap - depth) / 2
    x0, y0, x1, y1 = span
    return (
        Tile("xy", (left, top, width, height), span),
        Tile("xz", (left, top + height + gap, width, depth), (x0, 0.0, x1, float(planes))),
        Tile("yz", (left + width + gap, top, depth, height), (0.0, y0, float(planes), y1)),
    )
