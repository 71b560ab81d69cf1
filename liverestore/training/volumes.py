"""Random three-dimensional specimens, fast enough to be made inside the training loop.

Each kind gives points (um) with weights, which are then spread over the voxels by trilinear
weights; nothing is stored on disk. A specimen lies in a layer of random thickness, tilt and
density, from a single sharp sheet to a filled volume: what lies close behind one another in a
filled volume cannot be told apart by any method, what lies in a layer can.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from liverestore.errors import UserError
from liverestore.training.cells import cell_points
from liverestore.training.dice import Dice

__all__ = ["KINDS", "Grid", "points_and_lines", "random_volume", "voxels"]


@dataclass(frozen=True, slots=True)
class Grid:
    """Voxels of a volume (Z, Y, X); z is centred on 0 and grows deeper into the sample."""

    planes: int
    side_px: int
    z_step_um: float
    pixel_size_um: float

    def __post_init__(self) -> None:
        if self.planes < 1 or self.side_px < 8 or min(self.z_step_um, self.pixel_size_um) <= 0:
            raise UserError(
                f"grid: got {self.planes} planes of {self.side_px} px, steps {self.z_step_um} and "
                f"{self.pixel_size_um} um; allowed are 1 plane, 8 px and steps above 0 or more"
            )

    @property
    def z_um(self) -> Tensor:
        """Distances of the planes, (Z,) float64."""
        half = (self.planes - 1) / 2
        return (torch.arange(self.planes, dtype=torch.float64) - half) * self.z_step_um

    @property
    def side_um(self) -> float:
        """Edge of the field."""
        return self.side_px * self.pixel_size_um

    @property
    def unit(self) -> float:
        """Scale of structures: fine pixels are used to look at fine things. 1 at 20x."""
        return self.pixel_size_um / 0.325

    @property
    def height_um(self) -> float:
        """From the first plane to the last."""
        return (self.planes - 1) * self.z_step_um


Points = tuple[Tensor, Tensor]
"""Places (N, 3) in um as (z, y, x), and weights (N,), float32."""


def voxels(points: Points, grid: Grid) -> Tensor:
    """Points spread over their eight nearest voxels, (Z, Y, X) float32.

    The field is periodic in y and x; what lies above or below the grid is left out. The sum
    of the weights of points inside is kept.
    """
    place, weight = points
    side, planes = grid.side_px, grid.planes
    z = place[:, 0] / grid.z_step_um + (planes - 1) / 2
    y, x = place[:, 1] / grid.pixel_size_um, place[:, 2] / grid.pixel_size_um
    base = [torch.floor(c) for c in (z, y, x)]
    part = [c - b for c, b in zip((z, y, x), base, strict=True)]
    iz, iy, ix = (b.long() for b in base)
    out = torch.zeros(planes * side * side, device=place.device)
    for dz in (0, 1):
        kz = iz + dz
        inside = ((kz >= 0) & (kz < planes)).float()
        wz = (part[0] if dz else 1 - part[0]) * weight * inside
        kz = kz.clamp(0, planes - 1) * side
        for dy in (0, 1):
            wy = wz * (part[1] if dy else 1 - part[1])
            row = (kz + (iy + dy) % side) * side
            for dx in (0, 1):
                w = wy * (part[2] if dx else 1 - part[2])
                out.index_add_(0, row + (ix + dx) % side, w)
    return out.view(planes, side, side)


def filaments(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Semiflexible curves that wander through a layer, such as microtubules."""
    count = int(dice.log_uniform(10, 150))
    step_um = 0.4 * grid.pixel_size_um
    steps = int(dice.log_uniform(10.0, 1.2 * grid.side_um) / step_um)
    persistence_um = grid.unit * dice.log_uniform(2.0, 40.0)
    turn = math.sqrt(2 * step_um / persistence_um)
    start = 2 * math.pi * dice.rand(count, 1)
    if dice.uniform(0, 1) < 0.4:
        start = start[:1] + 0.4 * dice.randn(count, 1)  # a common direction
    angle = start + turn * dice.randn(count, steps).cumsum(1)
    slope = 0.15 * dice.uniform(0, 1) * dice.randn(count, 1)
    slope = slope + 0.3 * turn * dice.randn(count, steps).cumsum(1)
    z = (dice.rand(count, 1) - 0.5) * thickness_um
    z = z + (step_um * torch.tanh(slope)).cumsum(1)
    # Reflected at the faces of the layer.
    z = (z + thickness_um / 2).remainder(2 * thickness_um) - thickness_um
    z = z.abs() - thickness_um / 2
    y = dice.rand(count, 1) * grid.side_um + (step_um * angle.sin()).cumsum(1)
    x = dice.rand(count, 1) * grid.side_um + (step_um * angle.cos()).cumsum(1)
    weight = torch.exp(0.4 * dice.randn(count, 1)).expand(-1, steps)
    return torch.stack([z, y, x], -1).view(-1, 3), weight.reshape(-1)


def spots(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Beads and vesicles, even or clustered."""
    count = int(dice.log_uniform(10, 800))
    place = dice.rand(count, 3)
    place[:, 0] = (place[:, 0] - 0.5) * thickness_um
    place[:, 1:] *= grid.side_um
    if dice.uniform(0, 1) < 0.3:
        centres = dice.rand(8, 2) * grid.side_um
        owner = dice.integers(8, count)
        spread = grid.unit * dice.log_uniform(1.0, 8.0)
        place[:, 1:] = centres[owner] + spread * dice.randn(count, 2)
    weight = torch.exp(dice.uniform(0.1, 1.0) * dice.randn(count))
    radius_um = grid.unit * dice.log_uniform(0.05, 0.8)
    dots = 24  # a bead is a handful of points
    offset = radius_um * 0.6 * dice.randn(count, dots, 3)
    place = (place[:, None] + offset).reshape(-1, 3)
    return place, (weight[:, None] / dots).expand(-1, dots).reshape(-1)


_BALL_STEPS = (0.8191725134, 0.6710436067, 0.5497004779)
"""1/g, 1/g^2 and 1/g^3 with g^4 = g + 1: the additive recurrence of Roberts (2018)."""


def _even_directions(count: int, device: torch.device) -> Tensor:
    """(N, 3) unit vectors spread evenly over the sphere (golden spiral)."""
    k = torch.arange(count, device=device) + 0.5
    z = 1 - 2 * k / count
    turn = math.pi * (1 + math.sqrt(5)) * k
    ring = torch.sqrt(1 - z * z)
    return torch.stack([z, ring * turn.sin(), ring * turn.cos()], -1).float()


def _even_ball(count: int, device: torch.device) -> Tensor:
    """(N, 3) points that fill the unit ball evenly (an additive recurrence in three
    dimensions): random ones would clump, and no network can foretell that.
    """
    k = torch.arange(1, count + 1, dtype=torch.float64, device=device)
    a, b, c = ((0.5 + k * step).remainder(1.0) for step in _BALL_STEPS)
    height, turn, radius = 1 - 2 * a, 2 * math.pi * b, c ** (1 / 3)
    ring = torch.sqrt(1 - height**2)
    unit = torch.stack([height, ring * turn.sin(), ring * turn.cos()], -1)
    return (radius[:, None] * unit).float()


def _bumpy(dice: Dice, count: int, direction: Tensor, amount: float) -> Tensor:
    """Radii around 1 of `count` bodies that vary slowly over the sphere, (count, N)."""
    waves = 3 * dice.randn(count, 3, 6)
    phase = 2 * math.pi * dice.rand(count, 1, 6)
    return 1 + amount * (direction @ waves + phase).sin().mean(2)


def _centres(grid: Grid, dice: Dice, count: int, thickness_um: float) -> Tensor:
    """(count, 1, 3) places in the layer, um."""
    z = (dice.rand(count, 1, 1) - 0.5) * thickness_um
    return torch.cat([z, dice.rand(count, 1, 2) * grid.side_um], dim=2)


def _flattened(dice: Dice, count: int, low: float, high: float) -> Tensor:
    """(count, 1, 3) factors that make ellipsoids out of balls, flat along z."""
    z = low + (high - low) * dice.rand(count, 1, 1)
    x = 0.6 + 0.4 * dice.rand(count, 1, 1)
    return torch.cat([z, torch.ones_like(z), x], dim=2)


def membranes(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Closed, bumpy shells of cells or organelles."""
    count = int(dice.log_uniform(4, 40))
    radius_um = grid.unit * dice.log_uniform(1.0, 10.0)
    per_shell = max(400, min(40_000, int(12 * (radius_um / grid.pixel_size_um) ** 2)))
    per_shell = min(per_shell, 120_000 // count)
    direction = _even_directions(per_shell, dice.device)
    radius = radius_um * (0.6 + 0.8 * dice.rand(count, 1)) * _bumpy(dice, count, direction, 0.4)
    place = radius[:, :, None] * direction * _flattened(dice, count, 0.3, 1.0)
    place = place + _centres(grid, dice, count, thickness_um)
    weight = torch.exp(0.3 * dice.randn(count, 1)).expand(-1, per_shell)
    return place.view(-1, 3), weight.reshape(-1)


def nuclei(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Filled ellipsoids with the texture of chromatin."""
    count = int(dice.log_uniform(2, 20))
    radius_um = grid.unit * dice.log_uniform(2.0, 7.0)
    per_nucleus = min(120_000 // count, 60_000)
    coarse = dice.randn(1, 1, 12, 32, 32)
    ball = _even_ball(per_nucleus, dice.device)
    direction = functional.normalize(ball, dim=1)
    inside = ball * _bumpy(dice, count, direction, 0.3)[:, :, None]
    place = radius_um * inside * _flattened(dice, count, 0.3, 0.7)
    place = place + _centres(grid, dice, count, thickness_um)
    # Each nucleus from its own corner of the random field.
    sampled = (0.5 * inside + dice.rand(count, 1, 3) - 0.5).view(1, 1, count, per_nucleus, 3)
    field = functional.grid_sample(coarse, sampled, align_corners=False, padding_mode="border")
    contrast = 0.2 + 0.8 * dice.rand(count, 1)
    weight = torch.exp(contrast * field.view(count, per_nucleus))
    return place.view(-1, 3), weight.flatten()


def mitochondria(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Short, thick, winding tubes, bright all through or at their walls."""
    count = int(dice.log_uniform(8, 120))
    radius_um = max(grid.unit * dice.log_uniform(0.25, 0.7), 0.6 * grid.pixel_size_um)
    step_um = 0.5 * min(radius_um, grid.pixel_size_um)
    steps = min(int(grid.unit * dice.log_uniform(3.0, 20.0) / step_um), 200)
    turn = math.sqrt(2 * step_um / (grid.unit * dice.log_uniform(1.5, 12.0)))
    angle = 2 * math.pi * dice.rand(count, 1) + turn * dice.randn(count, steps).cumsum(1)
    rise = 0.5 * dice.randn(count, 1) + 0.5 * turn * dice.randn(count, steps).cumsum(1)
    z = (step_um * torch.tanh(rise)).cumsum(1)
    # Tubes grow from the middle of a cell.
    cell = dice.integers(4, count)
    spread_um = grid.unit * dice.log_uniform(4.0, 40.0)
    centre = (dice.rand(4, 2) * grid.side_um)[cell] + spread_um * dice.randn(count, 2)
    y = centre[:, :1] + (step_um * angle.sin()).cumsum(1)
    x = centre[:, 1:] + (step_um * angle.cos()).cumsum(1)
    z = z - z.mean(1, keepdim=True) + (dice.rand(count, 1) - 0.5) * thickness_um
    # A ring of even points across the tube at each step, at one or at two radii.
    around = 2 * math.pi * torch.arange(8, device=dice.device) / 8
    filled = dice.uniform(0, 1) < 0.5
    rings = (0.4, 0.85) if filled else (1.0,)
    places, weights = [], []
    for share in rings:
        lift = radius_um * share * around.sin().view(1, 1, -1)
        aside = radius_um * share * around.cos().view(1, 1, -1)
        ring = [
            z[..., None] + lift,
            y[..., None] + aside * angle.cos()[..., None],
            x[..., None] - aside * angle.sin()[..., None],
        ]
        places.append(torch.stack([c.expand(count, steps, 8) for c in ring], -1).reshape(-1, 3))
        # As much light for an area of the outer ring as for one of the inner.
        weight = share * torch.exp(0.3 * dice.randn(count, 1, 1))
        weights.append(weight.expand(-1, steps, 8).reshape(-1))
    return torch.cat(places), torch.cat(weights)


def cells(grid: Grid, dice: Dice, thickness_um: float) -> Points:
    """Adherent cells, a few um high (see `training.cells`)."""
    return cell_points(grid.side_um, grid.unit, dice, thickness_um)


def tissue(grid: Grid, dice: Dice) -> Tensor:
    """(Z, Y, X) dim light from everywhere, brighter and darker by regions: a thick sample."""
    turns = torch.arange(grid.side_px, device=dice.device) * (2 * math.pi / grid.side_px)
    heights = torch.linspace(0, 2, grid.planes, device=dice.device)
    field = torch.zeros(grid.planes, grid.side_px, grid.side_px, device=dice.device)
    strength = dice.uniform(0.3, 1.0)
    for _ in range(8):
        # Whole waves over the field, because the field is periodic.
        ky, kx = dice.integer(7) - 3, dice.integer(7) - 3
        along = heights * dice.uniform(-2, 2) + dice.uniform(0, 2 * math.pi)
        wave = along[:, None, None] + (ky * turns)[:, None] + kx * turns
        field += strength / 3 * wave.cos()
    return field.exp()


def points_and_lines(grid: Grid, dice: Dice | torch.Generator) -> Tensor:
    """What a resolution is measured on, (Z, Y, X) float32 with a sum of 1: single points and
    straight lines without a width of their own, all in the middle plane.

    Specimens with depth leave open whether something wide is thick, out of focus or seen by a
    wider microscope; here only the microscope is left.
    """
    dice = Dice.of(dice)
    points = int(dice.log_uniform(3, 60))
    lines = int(dice.log_uniform(1, 12)) if dice.uniform(0, 1) < 0.7 else 0
    side = grid.side_um
    place = torch.cat([torch.zeros(points, 1, device=dice.device), dice.rand(points, 2) * side], 1)
    weight = torch.exp(0.4 * dice.randn(points))
    if lines:
        steps = 4 * grid.side_px
        length = side * (0.3 + 0.7 * dice.rand(lines, 1))
        along = length * torch.linspace(-0.5, 0.5, steps, device=dice.device)
        angle = math.pi * dice.rand(lines, 1)
        centre = dice.rand(lines, 2, 1) * side
        y, x = centre[:, 0] + along * angle.sin(), centre[:, 1] + along * angle.cos()
        curves = torch.stack([torch.zeros_like(y), y, x], -1).view(-1, 3)
        # About as bright as the points where they pass.
        each = 0.12 * length / grid.pixel_size_um / steps * torch.exp(0.4 * dice.randn(lines, 1))
        place = torch.cat([place, curves])
        weight = torch.cat([weight, each.expand(-1, steps).reshape(-1)])
    made = voxels((place, weight), grid)
    return made / made.sum()


_NOTHING = 1e-20
"""Light that is none; keeps a division defined."""

KINDS: dict[str, tuple[Callable[[Grid, Dice, float], Points], float]] = {
    "filaments": (filaments, 0.3),
    "spots": (spots, 0.2),
    "membranes": (membranes, 0.15),
    "nuclei": (nuclei, 0.2),
    "mitochondria": (mitochondria, 0.15),
    "cells": (cells, 0.5),
}
"""Kind -> (generator of points, how often it is the main part of a specimen beside the others)."""

_IN_TISSUE = 0.2
"""Share of the specimens that lie in a dim, thick surrounding."""


def _tilted(points: Points, grid: Grid, dice: Dice) -> Points:
    """The layer moved along z, tilted and bent."""
    place, weight = points
    slope = 0.15 * dice.randn(2) * dice.uniform(0, 1)
    bend_um = grid.unit * dice.uniform(0, 2.0)
    wave = 2 * math.pi / grid.side_um
    y, x = place[:, 1], place[:, 2]
    phase = dice.uniform(0, 2 * math.pi)
    # Whole waves over the field, because the field is periodic.
    lift = slope[0] * (wave * y + phase).sin() + slope[1] * (wave * x).sin()
    lift = lift * grid.side_um / (2 * math.pi) + bend_um * (wave * (x + y) + phase).sin()
    shift_um = dice.uniform(-0.25, 0.25) * grid.height_um
    return torch.stack([place[:, 0] + lift + shift_um, y, x], -1), weight


def random_volume(grid: Grid, dice: Dice | torch.Generator) -> Tensor:
    """One specimen, (Z, Y, X) float32 on the device of the dice, not negative, its sum 1.

    A torch generator of the CPU serves as dice, too.
    """
    dice = Dice.of(dice)
    shares = [share for _, share in KINDS.values()]
    makers = [make for make, _ in KINDS.values()]
    thickness_um = dice.log_uniform(0.2, max(grid.height_um, 0.3))
    total = torch.zeros(grid.planes, grid.side_px, grid.side_px, device=dice.device)
    strength = 1.0
    for layer in range(2):
        points = makers[dice.chosen(shares)](grid, dice, thickness_um)
        part = voxels(_tilted(points, grid, dice), grid)
        total += strength * part / part.sum().clamp_min(_NOTHING)
        if layer == 0:
            if dice.uniform(0, 1) > 0.4:
                break
            strength = dice.log_uniform(0.1, 1.0)
    if dice.uniform(0, 1) < _IN_TISSUE:
        around = tissue(grid, dice)
        total += dice.log_uniform(0.05, 2.0) * around / around.sum().clamp_min(_NOTHING)
    mass = total.sum()
    # All of it may lie above or below the grid: a bead in the middle instead.
    total[grid.planes // 2, grid.side_px // 2, grid.side_px // 2] += (mass <= 0).float()
    return total / torch.where(mass > 0, mass, 1.0)
