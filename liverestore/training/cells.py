"""Random adherent cells: bodies a few um high whose parts lie over and under one another.

In a thin layer what is sharp in one plane is blurred in the next. In a cell it is not: its
filaments cross the depth of field and much of its light comes from above and below. A network
that has seen layers only blurs what it should leave as it is.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from liverestore.training.dice import Dice

__all__ = ["cell_points"]

Points = tuple[Tensor, Tensor]

_LOWEST_UM, _HIGHEST_UM = 1.5, 10.0
_POINTS = 60_000
"""Of all bodies together, and of all nuclei."""


def cell_points(side_um: float, unit: float, dice: Dice, thickness_um: float) -> Points:
    """Cells on one floor, in a field of `side_um`: places (N, 3) in um as (z, y, x), weights (N,).

    `unit` scales them as `Grid.unit` does. Their height is `thickness_um`, from 1.5 to 10 um;
    filaments, nuclei, cytoplasm and vesicles give light in random shares, often only some.
    """
    count = int(dice.log_uniform(2, 14))
    height_um = min(max(thickness_um, _LOWEST_UM), _HIGHEST_UM)
    radius_um = unit * dice.uniform(6.0, 18.0) * torch.exp(0.2 * dice.randn(count, 1))
    floor = torch.full((count, 1), -height_um / 2, device=dice.device)
    centre = torch.cat([floor, dice.rand(count, 2) * side_um], 1)
    height = height_um * (0.7 + 0.3 * dice.rand(count, 1))
    made = (
        _filaments(centre, radius_um, height, unit, dice),
        _nuclei(centre, radius_um, height, dice),
        _bodies(centre, radius_um, height, dice),
        _vesicles(centre, radius_um, height, dice),
    )
    main = dice.integer(2)  # filaments or nuclei, and whatever else is lit
    places, weights = [], []
    for number, (place, weight) in enumerate(made):
        share = dice.log_uniform(0.1, 1.0)
        lit = dice.uniform(0, 1) < 0.6
        if number == main or lit:
            places.append(place)
            weights.append((1.0 if number == main else share) * weight / weight.sum())
    return torch.cat(places), torch.cat(weights)


def _height_at(share: Tensor, height: Tensor) -> Tensor:
    """How high a cell is at `share` of its radius: a dome over the nucleus, flat at the rim."""
    return height * (0.12 + 0.88 * torch.exp(-((share / 0.5) ** 2)))


def _filaments(
    centre: Tensor, radius_um: Tensor, height: Tensor, unit: float, dice: Dice
) -> Points:
    """Curves from near the middle outwards, anywhere between the floor and the roof."""
    each = int(dice.log_uniform(10, 80))
    owner = torch.arange(centre.shape[0], device=dice.device).repeat_interleave(each)
    count, steps = owner.shape[0], 120
    length_um = radius_um[owner] * (0.5 + 0.7 * dice.rand(count, 1))
    step_um = length_um / steps
    turn = torch.sqrt(2 * step_um / (unit * dice.log_uniform(4.0, 40.0)))
    angle = 2 * math.pi * dice.rand(count, 1) + turn * dice.randn(count, steps).cumsum(1)
    start = 0.15 * radius_um[owner] * dice.randn(count, 2)
    y = start[:, :1] + (step_um * angle.sin()).cumsum(1)
    x = start[:, 1:] + (step_um * angle.cos()).cumsum(1)
    share = torch.hypot(y, x) / radius_um[owner]
    rise = 0.6 * dice.randn(count, 1) + 0.05 * dice.randn(count, steps).cumsum(1)
    between = torch.sigmoid(dice.randn(count, 1) + rise)
    z = between * _height_at(share, height[owner])
    place = torch.stack(
        [z + centre[owner, :1], y + centre[owner, 1:2], x + centre[owner, 2:]], dim=-1
    )
    # A longer filament has more light; its steps are longer.
    weight = (step_um * torch.exp(0.3 * dice.randn(count, 1))).expand(-1, steps)
    return place.view(-1, 3), weight.reshape(-1)


def _nuclei(centre: Tensor, radius_um: Tensor, height: Tensor, dice: Dice) -> Points:
    """Filled ellipsoids in the domes, with the texture of chromatin."""
    count = centre.shape[0]
    each = _POINTS // count
    inside = functional.normalize(dice.randn(count, each, 3), dim=2)
    inside = inside * dice.rand(count, each, 1) ** (1 / 3)
    axes = torch.cat(
        [
            0.35 * height,
            radius_um * (0.22 + 0.13 * dice.rand(count, 1)),
            radius_um * (0.22 + 0.13 * dice.rand(count, 1)),
        ],
        dim=1,
    )
    place = inside * axes[:, None] + centre[:, None]
    place[..., 0] += 0.45 * height
    coarse = dice.randn(1, 1, 12, 24, 24)
    corner = dice.rand(count, 1, 3) - 0.5
    sampled = (0.5 * inside + corner).view(1, 1, count, each, 3)
    field = functional.grid_sample(coarse, sampled, align_corners=False, padding_mode="border")
    weight = torch.exp(dice.uniform(0.2, 0.9) * field.view(count, each))
    return place.view(-1, 3), weight.flatten()


def _bodies(centre: Tensor, radius_um: Tensor, height: Tensor, dice: Dice) -> Points:
    """Even light between floor and roof, more where the cell is higher."""
    count = centre.shape[0]
    each = _POINTS // count
    share = dice.rand(count, each).sqrt()
    angle = 2 * math.pi * dice.rand(count, each)
    # Outlines that are no circles.
    bumps = 1 + 0.3 * torch.sin(
        (2 + 2 * dice.rand(count, 1)).round() * angle + 2 * math.pi * dice.rand(count, 1)
    )
    roof = _height_at(share, height)
    z = dice.rand(count, each) * roof
    reach = radius_um * share * bumps
    place = torch.stack(
        [
            z + centre[:, :1],
            reach * angle.sin() + centre[:, 1:2],
            reach * angle.cos() + centre[:, 2:],
        ],
        dim=-1,
    )
    return place.view(-1, 3), roof.flatten()


def _vesicles(centre: Tensor, radius_um: Tensor, height: Tensor, dice: Dice) -> Points:
    """Small bright dots anywhere in the bodies."""
    count, each, dots = centre.shape[0], int(dice.log_uniform(4, 60)), 12
    share, angle = dice.rand(count, each).sqrt(), 2 * math.pi * dice.rand(count, each)
    z = dice.rand(count, each) * _height_at(share, height)
    place = torch.stack(
        [
            z + centre[:, :1],
            radius_um * share * angle.sin() + centre[:, 1:2],
            radius_um * share * angle.cos() + centre[:, 2:],
        ],
        dim=-1,
    )
    place = place[:, :, None] + 0.12 * dice.randn(count, each, dots, 3)
    weight = torch.exp(0.5 * dice.randn(count, each, 1)).expand(-1, -1, dots)
    return place.reshape(-1, 3), weight.reshape(-1)
