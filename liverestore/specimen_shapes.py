"""Geometry of simulated cells: where fluorophores sit, before any optics.

Everything lives on a torus (what leaves on one side enters on the other), so that a
moving specimen never shows an edge. Lengths are um; z is 0 in the plane in focus at the
start and grows away from the coverslip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = [
    "SLICES_UM",
    "Cell",
    "chromatin",
    "deposit",
    "filaments",
    "nucleus",
    "place_cells",
    "plasma",
]

FloatArray = NDArray[np.float64]

SLICES_UM: FloatArray = np.arange(-1.0, 4.01, 0.5)
"""Heights of the slices that light is gathered in; half an axial width of NA 1.2 apart."""

CELL_RADIUS_UM = 13.0
_POINT_STEP_UM = 0.05
_NUCLEUS_HEIGHT_UM = 0.9


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: (y, x) of its centre and its outline as Fourier terms of the angle."""

    centre_um: tuple[float, float]
    nucleus_um: tuple[float, float, float]
    """Semi-axes (z, y, x) before turning."""
    nucleus_angle: float
    outline: tuple[tuple[float, float], ...]
    """(amplitude, phase) of the second to fifth harmonic of the radius."""

    def radius_um(self, angle: FloatArray) -> FloatArray:
        """Distance from the centre to the outline in directions `angle` (radians)."""
        wave = sum(
            amplitude * np.cos(order * angle + phase)
            for order, (amplitude, phase) in enumerate(self.outline, start=2)
        )
        return CELL_RADIUS_UM * (1 + np.asarray(wave))


def place_cells(extent_um: tuple[float, float], rng: np.random.Generator) -> list[Cell]:
    """Cells spread over a torus of `extent_um` (Y, X), about one in 25 x 25 um2."""
    extent = np.array(extent_um)
    count = max(1, round(float(extent.prod()) / 25.0**2))
    centres = [rng.uniform(0, 1, 2) * extent]
    while len(centres) < count:
        # The best of many candidates keeps cells apart without a fixed distance.
        candidates = rng.uniform(0, 1, (200, 2)) * extent
        apart = np.abs(candidates[:, None] - np.array(centres)[None])
        apart = np.minimum(apart, extent - apart)
        nearest = np.hypot(apart[..., 0], apart[..., 1]).min(1)
        centres.append(candidates[nearest.argmax()])
    return [
        Cell(
            centre_um=(float(y), float(x)),
            nucleus_um=(
                float(rng.uniform(1.6, 2.0)),
                float(rng.uniform(3.6, 4.6)),
                float(rng.uniform(4.8, 6.2)),
            ),
            nucleus_angle=float(rng.uniform(0, math.pi)),
            outline=tuple(
                (float(rng.uniform(0, 0.36 / order)), float(rng.uniform(0, 2 * math.pi)))
                for order in range(2, 6)
            ),
        )
        for y, x in centres
    ]


def filaments(cell: Cell, rng: np.random.Generator) -> list[FloatArray]:
    """Curved lines (P, 3) of (z, y, x) every 0.05 um, from beside the nucleus outwards."""
    lines = []
    start_angle = cell.nucleus_angle + rng.uniform(0.8, 1.6)
    away = 0.85 * cell.nucleus_um[1]
    origin = np.array(cell.centre_um) + away * np.array(
        [math.sin(start_angle), math.cos(start_angle)]
    )
    for angle in np.arange(56) * (2 * math.pi / 56) + rng.normal(0, 0.12, 56):
        length = float(cell.radius_um(np.array(angle))) * rng.uniform(0.75, 1.25) + away
        steps = int(length / _POINT_STEP_UM)
        along = np.arange(steps) * _POINT_STEP_UM
        # Direction wanders like that of a stiff polymer and bends around the nucleus.
        wander = ndimage.gaussian_filter1d(rng.normal(0, 1, steps + 400), 55)[200 : 200 + steps]
        heading = angle + 1.9 * np.cumsum(wander) * _POINT_STEP_UM + rng.normal(0, 0.035) * along
        first_y, first_x = origin + rng.normal(0, 1.1, 2)
        y = first_y + np.cumsum(np.sin(heading)) * _POINT_STEP_UM
        x = first_x + np.cumsum(np.cos(heading)) * _POINT_STEP_UM
        share = along / length
        lift = rng.uniform(0.0, 2.6) * np.exp(-(((along - away) / 5.0) ** 2))
        z = 0.5 * (1 - share) - 0.35 * share + lift * (rng.random() < 0.45)
        z += ndimage.gaussian_filter1d(rng.normal(0, 1, steps), 40) * 1.2
        lines.append(np.stack([np.clip(z, SLICES_UM[0], SLICES_UM[-1]), y, x], axis=1))
    return lines


def deposit(
    volume: NDArray[np.float32], points_um: FloatArray, weight: float, pixel_size_um: float
) -> None:
    """Add points (P, 3) of (z, y, x) to `volume` (slices, Y, X), shared among neighbours."""
    depth, rows, columns = volume.shape
    z = (points_um[:, 0] - SLICES_UM[0]) / (SLICES_UM[1] - SLICES_UM[0])
    yx = points_um[:, 1:] / pixel_size_um
    base_z = np.clip(np.floor(z).astype(int), 0, depth - 2)
    base = np.floor(yx).astype(int)
    part_z, part = z - base_z, yx - base
    flat = volume.reshape(-1)
    for corner in range(8):
        dz, dy, dx = corner >> 2, corner >> 1 & 1, corner & 1
        share = np.abs(1 - dz - part_z) * np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
        index = ((base_z + dz) * rows + (base[:, 0] + dy) % rows) * columns
        index += (base[:, 1] + dx) % columns
        np.add.at(flat, index, (weight * share).astype(np.float32))


def _offsets(cell: Cell, shape: tuple[int, int], pixel_size_um: float) -> tuple[FloatArray, ...]:
    """(y, x) distances in um of every pixel from the centre of `cell`, around the torus."""
    both: list[FloatArray] = []
    for axis, size in enumerate(shape):
        extent = size * pixel_size_um
        away = np.arange(size, dtype=np.float64) * pixel_size_um - cell.centre_um[axis]
        both.append((away + extent / 2) % extent - extent / 2)
    return both[0][:, None], both[1][None, :]


def chromatin(
    shape: tuple[int, int], pixel_size_um: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(slices, Y, X) grain of mean 0 that the nuclei are cut out of."""
    white = rng.standard_normal((len(SLICES_UM), *shape), dtype=np.float32)
    result = np.zeros_like(white)
    for scale_um in (0.25, 0.7):
        scale_px = scale_um / pixel_size_um
        smooth = ndimage.gaussian_filter(
            white, (0.7, scale_px, scale_px), mode="wrap", truncate=2.5
        )
        result += np.float32(0.5) * smooth / smooth.std()
    return result


def nucleus(
    cell: Cell, grain: NDArray[np.float32], pixel_size_um: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(slices, Y, X) density of the nucleus: an ellipsoid of `grain` with dark nucleoli."""
    dy, dx = _offsets(cell, (grain.shape[1], grain.shape[2]), pixel_size_um)
    cosine, sine = math.cos(cell.nucleus_angle), math.sin(cell.nucleus_angle)
    u, v = cosine * dx + sine * dy, -sine * dx + cosine * dy
    half_z, half_v, half_u = cell.nucleus_um
    flat = (u / half_u) ** 2 + (v / half_v) ** 2
    holes = np.ones_like(flat)
    for _ in range(int(rng.integers(2, 4))):
        turn, place = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.6)
        hole_u, hole_v = place * half_u * math.cos(turn), place * half_v * math.sin(turn)
        size = rng.uniform(0.6, 1.0)
        holes -= 0.75 * np.exp(-(((u - hole_u) ** 2 + (v - hole_v) ** 2) / size**2))
    heights = SLICES_UM[:, None]
    present = flat < 1
    inside = 1 - flat[present] - ((heights - _NUCLEUS_HEIGHT_UM) / half_z) ** 2
    texture = np.clip(1 + 0.5 * grain[:, present], 0.15, 2.2)
    result = np.zeros_like(grain)
    result[:, present] = texture * np.clip(holes[present], 0.1, 1) * np.clip(inside * 4, 0, 1)
    return result


def plasma(cell: Cell, shape: tuple[int, int], pixel_size_um: float) -> NDArray[np.float32]:
    """(slices, Y, X) density of the cell's body: thick at the nucleus, thin at the rim."""
    dy, dx = _offsets(cell, shape, pixel_size_um)
    share = np.hypot(dy, dx) / cell.radius_um(np.arctan2(dy, dx))
    top = -0.6 + 3.6 * np.clip(1 - share**1.5, 0, None)
    present = share < 1
    result = np.zeros((len(SLICES_UM), *shape), np.float32)
    for layer, height in zip(result, SLICES_UM, strict=True):
        layer[:] = np.clip((top - height) / 0.5 + 0.5, 0, 1) * present * (height > -0.8)
    return result
