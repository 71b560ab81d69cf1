"""A virtual stack on the screen: planes that an engine computed of one frame; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import Restored

__all__ = ["Stack", "brightest_light", "section_xz", "section_yz"]


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Planes of one frame at even distances from the plane in focus, the shallowest first."""

    planes: tuple[NDArray[np.generic], ...]
    """Each (Y, X) in counts. They are not copied into one block: of large frames that would
    take longer than painting them."""
    z_um: tuple[float, ...]
    """Distance of each from the plane in focus, positive deeper into the sample."""
    pixel_size_um: float | None
    """Edge of one pixel in the sample; None: not known."""

    @classmethod
    def of(cls, made: Restored) -> Stack | None:
        """The stack that came with `made`; None where there is none, or it says not where it is."""
        if not made.planes or any(
            "virtual_z_um" not in plane.provenance.parameters for plane in made.planes
        ):
            return None
        first = made.planes[0].provenance.parameters
        size_um = made.source.header.pixel_size_um
        if size_um is None and "pixel_size_um" in first:
            # Where the camera states none, the engine went by the rig's.
            size_um = float(first["pixel_size_um"])
        return cls(
            tuple(plane.pixels for plane in made.planes),
            tuple(float(p.provenance.parameters["virtual_z_um"]) for p in made.planes),
            size_um,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""
        height, width = self.planes[0].shape
        return len(self.planes), height, width

    @property
    def step_um(self) -> float:
        """From one plane to the next; 0 for a single one."""
        if len(self.z_um) < 2:
            return 0.0
        return (self.z_um[-1] - self.z_um[0]) / (len(self.z_um) - 1)

    @property
    def aspect(self) -> float:
        """Distance of two planes in pixels; 1 where a length is not known."""
        if self.pixel_size_um is None or self.step_um <= 0:
            return 1.0
        return self.step_um / self.pixel_size_um

    @property
    def in_focus(self) -> int:
        """The plane nearest to the one in focus."""
        return int(np.argmin(np.abs(self.z_um)))


def section_xz(stack: Stack, y: int, columns: slice = slice(None)) -> NDArray[np.generic]:
    """(Z, X) counts of row `y`, the shallowest plane on top."""
    return np.stack([plane[y, columns] for plane in stack.planes])


def section_yz(stack: Stack, x: int, rows: slice = slice(None)) -> NDArray[np.generic]:
    """(Y, Z) counts of column `x`, the shallowest plane on the left."""
    return np.stack([plane[rows, x] for plane in stack.planes], axis=1)


def brightest_light(
    stack: Stack, rows: slice = slice(None), columns: slice = slice(None)
) -> tuple[NDArray[np.generic], NDArray[np.uint8]]:
    """The maximum of all planes at each pixel, and the plane in which it is.

    Both (Y, X) of the part; counts, and places from 0. Of equal planes the shallowest counts.
    """
    brightest = stack.planes[0][rows, columns].copy()
    place = np.zeros(brightest.shape, np.uint8)
    for n, plane in enumerate(stack.planes[1:], 1):
        part = plane[rows, columns]
        brighter = np.greater(part, brightest)
        np.copyto(brightest, part, where=brighter)
        place[brighter] = n
    return brightest, place
