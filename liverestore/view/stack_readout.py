"""The line under the pictures of a virtual stack; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from liverestore.view.display import photoelectrons
from liverestore.view.stack_projections import StackView
from liverestore.view.um_text import signed_um

if TYPE_CHECKING:
    from liverestore.rig import CameraConfig
    from liverestore.view.stack import Stack
    from liverestore.view.stack_layout import Tile
    from liverestore.view.stack_projections import Projection

__all__ = ["about_stack", "place_in", "stack_readout"]

Place = tuple[int, int, int]
"""(x, y, plane) from 0."""


def about_stack(stack: Stack, *, sections: bool) -> str:
    """What there is, where no pixel is read; `sections`: and how they lie."""
    first, last = signed_um(stack.z_um[0]), signed_um(stack.z_um[-1])
    text = f"{len(stack.planes)} planes from {first} to {last}, step {stack.step_um:.3g} µm"
    return f"{text}; deeper is down, and right" if sections else text


def place_in(
    stack: Stack,
    view: StackView,
    projection: Projection | None,
    tile: Tile,
    at: tuple[float, float],
    cross: Place,
) -> Place | None:
    """Which sample is seen at the place `at` in `tile`; None where there is none.

    `cross` is where the sections cross, and its plane the one that is shown.
    """
    x, y, plane = cross
    u, v = int(at[0] // 1), int(at[1] // 1)
    if tile.kind == "xy":
        x, y = u, v
    elif tile.kind == "xz":
        x, plane = u, v
    else:
        plane, y = u, v
    planes, height, width = stack.shape
    if not (0 <= x < width and 0 <= y < height and 0 <= plane < planes):
        return None
    if view in (StackView.MAXIMUM, StackView.DEPTH):
        return x, y, int(np.argmax([p[y, x] for p in stack.planes]))
    if view.projects:
        chosen = _chosen(projection, x, y)
        return None if chosen is None else (x, y, chosen)
    return x, y, plane


def _chosen(projection: Projection | None, x: int, y: int) -> int | None:
    """The plane that was found to be the sharpest at a pixel."""
    if projection is None:
        return None
    rows, columns = projection.part.rows, projection.part.columns
    row, column = (y - rows.start) // rows.step, (x - columns.start) // columns.step
    height, width = projection.place.shape
    if not (0 <= row < height and 0 <= column < width):
        return None
    return int(projection.place[row, column])


def stack_readout(stack: Stack, place: Place, camera: CameraConfig | None) -> str:
    """Text for one sample of the stack."""
    x, y, plane = place
    value = float(stack.planes[plane][y, x])
    text = f"x {x}  y {y}  z {signed_um(stack.z_um[plane])}    {value:.6g} counts"
    electrons = photoelectrons(value, camera)
    return text if electrons is None else f"{text}    {electrons:.1f} e⁻"
