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

__all__ = ["KINDS", "Grid", "random_volume", "voxels"]


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


def _u(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _log_u(generator: torch.Generator, low: float, high: float) -> float:
    return math.exp(_u(generator, math.log(low), math.log(high)))


def _rand(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(shape, generator=generator)


def _randn(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator)


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
    out = torch.zeros(planes * side * side)
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


def filaments(grid: Grid, generator: torch.Generator, thickness_um: float) -> Points:
    """Semiflexible curves that wander through a layer, such as microtubules."""
    count = int(_log_u(generator, 10, 150))
    step_um = 0.4 * grid.pixel_size_um
    steps = int(_log_u(generator, 10.0, 1.2 * grid.side_um) / step_um)
    persistence_um = grid.unit * _log_u(generator, 2.0, 40.0)
    turn = math.sqrt(2 * step_um / persistence_um)
    start = 2 * math.pi * _rand(generator, count, 1)
    if _u(generator, 0, 1) < 0.4:
        start = start[:1] + 0.4 * _randn(generator, count, 1)  # a common direction
    angle = start + turn * _randn(generator, count, steps).cumsum(1)
    slope = 0.15 * _u(generator, 0, 1) * _randn(generator, count, 1)
    slope = slope + 0.3 * turn * _randn(generator, count, steps).cumsum(1)
    z = (_rand(generator, count, 1) - 0.5) * thickness_um
    z = z + (step_um * torch.tanh(slope)).cumsum(1)
    # Reflected at the faces of the layer.
    z = (z + thickness_um / 2).remainder(2 * thickness_um) - thickness_um
    z = z.abs() - thickness_um / 2
    y = _rand(generator, count, 1) * grid.side_um + (step_um * angle.sin()).cumsum(1)
    x = _rand(generator, count, 1) * grid.side_um + (step_um * angle.cos()).cumsum(1)
    weight = torch.exp(0.4 * _randn(generator, count, 1)).expand(-1, steps)
    return torch.stack([z, y, x], -1).view(-1, 3), weight.reshape(-1)


def spots(grid: Grid, generator: torch.Generator, thickness_um: float) -> Points:
    """Beads and vesicles, even or clustered."""
    count = int(_log_u(generator, 10, 800))
    place = _rand(generator, count, 3)
    place[:, 0] = (place[:, 0] - 0.5) * thickness_um
    place[:, 1:] *= grid.side_um
    if _u(generator, 0, 1) < 0.3:
        centres = _rand(generator, 8, 2) * grid.side_um
        owner = torch.randint(8, (count,), generator=generator)
        spread = grid.unit * _log_u(generator, 1.0, 8.0)
        place[:, 1:] = centres[owner] + spread * _randn(generator, count, 2)
    weight = torch.exp(_u(generator, 0.1, 1.0) * _randn(generator, count))
    radius_um = grid.unit * _log_u(generator, 0.05, 0.8)
    dots = 24  # a bead is a handful of points
    offset = radius_um * 0.6 * _randn(generator, count, dots, 3)
    place = (place[:, None] + offset).reshape(-1, 3)
    return place, (weight[:, None] / dots).expand(-1, dots).reshape(-1)


def _even_directions(count: int) -> Tensor:
    """(N, 3) unit vectors spread evenly over the sphere (golden spiral)."""
    k = torch.arange(count) + 0.5
    z = 1 - 2 * k / count
    turn = math.pi * (1 + math.sqrt(5)) * k
    ring = torch.sqrt(1 - z * z)
    return torch.stack([z, ring * turn.sin(), ring * turn.cos()], -1).float()


def _even_ball(count: int) -> Tensor:
    """(N, 3) points that fill the unit ball evenly (an additive recurrence in three
    dimensions): random ones would clump, and no network can foretell that.
    """
    steps = torch.tensor([0.8191725134, 0.6710436067, 0.5497004779], dtype=torch.float64)
    u = (0.5 + torch.arange(1, count + 1, dtype=torch.float64)[:, None] * steps).remainder(1.0)
    height, turn, radius = 1 - 2 * u[:, 0], 2 * math.pi * u[:, 1], u[:, 2] ** (1 / 3)
    ring = torch.sqrt(1 - height**2)
    unit = torch.stack([height, ring * turn.sin(), ring * turn.cos()], -1)
    return (radius[:, None] * unit).float()


def _bumpy(generator: torch.Generator, direction: Tensor, amount: float) -> Tensor:
    """Radius around 1 that varies slowly over the sphere, (N,)."""
    waves = 3 * _randn(generator, 6, 3)
    phase = 2 * math.pi * _rand(generator, 6)
    return 1 + amount * (direction @ waves.T + phase).sin().mean(1)


def membranes(grid: Grid, generator: torch.Generator, thickness_um: float) -> Points:
    """Closed, bumpy shells of cells or organelles."""
    count = int(_log_u(generator, 4, 40))
    radius_um = grid.unit * _log_u(generator, 1.0, 10.0)
    per_shell = max(400, min(40_000, int(12 * (radius_um / grid.pixel_size_um) ** 2)))
    per_shell = min(per_shell, 120_000 // count)
    direction = _even_directions(per_shell)
    places = []
    for _ in range(count):
        radius = radius_um * _u(generator, 0.6, 1.4) * _bumpy(generator, direction, 0.4)
        flat = torch.tensor([_u(generator, 0.3, 1.0), 1.0, _u(generator, 0.6, 1.0)])
        centre = _rand(generator, 3) * grid.side_um
        centre[0] = (float(_rand(generator, 1)) - 0.5) * thickness_um
        places.append(centre + radius[:, None] * direction * flat)
    weight = torch.exp(0.3 * _randn(generator, count, 1)).expand(-1, per_shell)
    return torch.cat(places), weight.reshape(-1)


def nuclei(grid: Grid, generator: torch.Generator, thickness_um: float) -> Points:
    """Filled ellipsoids with the texture of chromatin."""
    count = int(_log_u(generator, 2, 20))
    radius_um = grid.unit * _log_u(generator, 2.0, 7.0)
    per_nucleus = min(120_000 // count, 60_000)
    coarse = _randn(generator, 1, 1, 12, 32, 32)
    place = _even_ball(per_nucleus)
    direction = functional.normalize(place, dim=1)
    places, weights = [], []
    for _ in range(count):
        shape = torch.tensor([_u(generator, 0.3, 0.7), 1.0, _u(generator, 0.6, 1.0)])
        inside = place * _bumpy(generator, direction, 0.3)[:, None]
        centre = _rand(generator, 3) * grid.side_um
        centre[0] = (float(_rand(generator, 1)) - 0.5) * thickness_um
        places.append(centre + radius_um * inside * shape)
        # Each nucleus from its own corner of the random field.
        sampled = (0.5 * inside + _rand(generator, 3) - 0.5).view(1, 1, 1, -1, 3)
        field = functional.grid_sample(coarse, sampled, align_corners=False, padding_mode="border")
        weights.append(torch.exp(_u(generator, 0.2, 1.0) * field.flatten()))
    return torch.cat(places), torch.cat(weights)


KINDS: dict[str, tuple[Callable[[Grid, torch.Generator, float], Points], float]] = {
    "filaments": (filaments, 0.35),
    "spots": (spots, 0.25),
    "membranes": (membranes, 0.2),
    "nuclei": (nuclei, 0.2),
}
"""Kind -> (generator of points, share of the specimens that it is the main part of)."""


def _tilted(points: Points, grid: Grid, generator: torch.Generator) -> Points:
    """The layer moved along z, tilted and bent."""
    place, weight = points
    slope = 0.15 * _randn(generator, 2) * _u(generator, 0, 1)
    bend_um = grid.unit * _u(generator, 0, 2.0)
    wave = 2 * math.pi / grid.side_um
    y, x = place[:, 1], place[:, 2]
    phase = 2 * math.pi * float(_rand(generator, 1))
    # Whole waves over the field, because the field is periodic.
    lift = slope[0] * (wave * y + phase).sin() + slope[1] * (wave * x).sin()
    lift = lift * grid.side_um / (2 * math.pi) + bend_um * (wave * (x + y) + phase).sin()
    shift_um = (float(_rand(generator, 1)) - 0.5) * 0.5 * grid.height_um
    return torch.stack([place[:, 0] + lift + shift_um, y, x], -1), weight


def random_volume(grid: Grid, generator: torch.Generator) -> Tensor:
    """One specimen, (Z, Y, X) float32, not negative, its sum 1."""
    names = list(KINDS)
    shares = torch.tensor([KINDS[name][1] for name in names])
    thickness_um = _log_u(generator, 0.2, max(grid.height_um, 0.3))
    total = torch.zeros(grid.planes, grid.side_px, grid.side_px)
    strength = 1.0
    for layer in range(2):
        pick = int(torch.multinomial(shares, 1, generator=generator))
        points = KINDS[names[pick]][0](grid, generator, thickness_um)
        part = voxels(_tilted(points, grid, generator), grid)
        mass = float(part.sum())
        if mass > 0:
            total += strength * part / mass
        if layer == 0:
            if _u(generator, 0, 1) > 0.4:
                break
            strength = _log_u(generator, 0.1, 1.0)
    mass = float(total.sum())
    if mass == 0:  # all of it above or below the grid: a bead in the middle instead
        total[grid.planes // 2, grid.side_px // 2, grid.side_px // 2] = 1.0
        mass = 1.0
    return total / mass
