"""Light to a camera's noisy picture, and to what that picture is on average.

Both in the variance-stabilised domain that `restore` hands to a network, so that a network
trained on them gives, after the exact unbiased inverse, unbiased counts.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.camera_model import expected_stabilised
from liverestore.errors import UserError
from liverestore.training.accelerator import moved
from liverestore.training.dice import Dice

__all__ = ["LightRanges", "Photographs", "photographed"]

_READ_NOISES_E = (0.5, 0.9, 1.3, 1.6, 2.0, 2.5, 3.0)
_FINE, _FINE_NODES, _COARSE, _COARSE_NODES = 0.05, 120, 0.5, 328
# Up to 28,900 e: a point that STED makes narrow is seven times as bright at its middle.
_MANY_E = 900.0
"""From here on the sum over all numbers of electrons would be long, and tells nothing more."""
_BREAK = _FINE * _FINE_NODES
_LAST_ROOT = _BREAK + _COARSE * _COARSE_NODES
_TABLE_ROOTS = np.concatenate(
    [_FINE * np.arange(_FINE_NODES), _BREAK + _COARSE * np.arange(_COARSE_NODES + 1)]
)
"""Square roots of the light (electrons) at which the mean is tabulated; it is smooth in them."""


@dataclass(frozen=True, slots=True)
class LightRanges:
    """What the exposures are drawn from (electrons), evenly on a logarithmic scale."""

    peak_e: tuple[float, float] = (30.0, 1000.0)
    background_e: tuple[float, float] = (0.5, 20.0)
    scale: tuple[float, float] = (0.9, 1.15)
    """Factor by which a wrong estimate of the gain scales the stabilised picture."""

    def __post_init__(self) -> None:
        for low, high in (self.peak_e, self.background_e, self.scale):
            if not 0 < low <= high <= 4000:
                raise UserError(
                    f"light: got the range {low} to {high}; allowed are numbers above 0, the "
                    "first not above the second, up to 4000"
                )


@dataclass(frozen=True, slots=True)
class Photographs:
    """A batch: `noisy` and `mean` are (N, 1, Y, X), stabilised."""

    noisy: Tensor
    mean: Tensor


@functools.lru_cache(maxsize=1)
def _mean_tables() -> NDArray[np.float32]:
    """(read noises, roots) mean of the stabilised picture."""
    few = _TABLE_ROOTS**2 < _MANY_E
    rows = [np.where(few, 0.0, _mean_of_many(_TABLE_ROOTS**2, read)) for read in _READ_NOISES_E]
    for row, read in zip(rows, _READ_NOISES_E, strict=True):
        row[few] = expected_stabilised(_TABLE_ROOTS[few] ** 2, read)
    return np.asarray(rows, np.float32)


def _mean_of_many(light: NDArray[np.float64], read: float) -> NDArray[np.float64]:
    """Mean of 2 sqrt(electrons + 3/8 + read^2) by Taylor's series to the variance; from 900 e
    on the next term is below 1e-5.
    """
    middle = light + 0.375 + read**2
    return np.asarray(2 * np.sqrt(middle) - (light + read**2) / (4 * middle**1.5))


def _mean(light: Tensor, choice: Tensor) -> Tensor:
    """Mean of the stabilised picture of `light` (N, 1, Y, X), electrons, with the read noise
    that `choice` (N,) names; linear between the nodes of the table.
    """
    table = moved(torch.from_numpy(_mean_tables()), light.device)
    root = light.sqrt().clamp_max(_LAST_ROOT)
    # The nodes are even up to the break, and even again, wider, behind it.
    place = torch.where(
        root < _BREAK, root / _FINE, _FINE_NODES + (root - _BREAK) / _COARSE
    ).clamp_max(table.shape[1] - 1.001)
    below = place.long()
    row = (choice * table.shape[1]).view(-1, 1, 1, 1)
    flat = table.flatten()
    low, high = flat[row + below], flat[row + below + 1]
    return torch.lerp(low, high, place - below)


def _drawn(n: int, span: tuple[float, float], dice: Dice) -> Tensor:
    low, high = span
    return low * (high / low) ** dice.rand(n, 1, 1, 1)


def photographed(
    seen: Tensor,
    wanted: Tensor,
    dice: Dice | torch.Generator,
    ranges: LightRanges | None = None,
) -> Photographs:
    """Noisy pictures of `seen` and noise-free pictures of `wanted`, one exposure for both.

    Both are (N, 1, Y, X) on the device of the dice, and in the same units of light, `seen` with
    a peak near 1; each sample gets its own random exposure, background and read noise. A torch
    generator of the CPU serves as dice, too.
    """
    r, dice = ranges or LightRanges(), Dice.of(dice)
    n = seen.shape[0]
    peak = _drawn(n, r.peak_e, dice)
    background = _drawn(n, r.background_e, dice)
    scale = _drawn(n, r.scale, dice)
    choice = dice.integers(len(_READ_NOISES_E), n)
    read = dice.constant(_READ_NOISES_E)[choice].view(n, 1, 1, 1)
    light = seen.clamp_min(0) * peak + background
    electrons = dice.poisson(light)
    electrons = electrons + read * dice.randn(*light.shape)
    noisy = scale * 2 * (electrons + 0.375 + read**2).clamp_min(0).sqrt()
    return Photographs(noisy, scale * _mean(wanted.clamp_min(0) * peak + background, choice))
