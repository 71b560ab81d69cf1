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

__all__ = ["LightRanges", "Photographs", "photographed"]

_READ_NOISES_E = (0.5, 0.9, 1.3, 1.6, 2.0, 2.5, 3.0)
_TABLE_ROOTS = np.concatenate([np.linspace(0, 6, 121), np.linspace(6, 70, 129)[1:]])
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


@functools.lru_cache(maxsize=32)
def _mean_table(read_noise_e: float) -> NDArray[np.float64]:
    return expected_stabilised(_TABLE_ROOTS**2, read_noise_e)


def _drawn(n: int, span: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = span
    return low * (high / low) ** torch.rand((n, 1, 1, 1), generator=generator)


def photographed(
    seen: Tensor, wanted: Tensor, generator: torch.Generator, ranges: LightRanges | None = None
) -> Photographs:
    """Noisy pictures of `seen` and noise-free pictures of `wanted`, one exposure for both.

    Both are (N, 1, Y, X) and in the same units of light, `seen` with a peak near 1; each
    sample gets its own random exposure, background and read noise.
    """
    r = ranges or LightRanges()
    n = seen.shape[0]
    peak = _drawn(n, r.peak_e, generator)
    background = _drawn(n, r.background_e, generator)
    scale = _drawn(n, r.scale, generator)
    choice = torch.randint(len(_READ_NOISES_E), (n,), generator=generator)
    read = torch.tensor(_READ_NOISES_E)[choice].view(n, 1, 1, 1)
    light = seen.clamp_min(0) * peak + background
    electrons = torch.poisson(light, generator=generator)
    electrons = electrons + read * torch.randn(light.shape, generator=generator)
    noisy = scale * 2 * (electrons + 0.375 + read**2).clamp_min(0).sqrt()
    target = (wanted.clamp_min(0) * peak + background).clamp_max(float(_TABLE_ROOTS[-1] ** 2))
    mean = torch.empty_like(target)
    for k in range(n):
        table = _mean_table(_READ_NOISES_E[int(choice[k])])
        roots = target[k].sqrt().numpy()
        mean[k] = torch.from_numpy(np.interp(roots, _TABLE_ROOTS, table).astype(np.float32))
    return Photographs(noisy, scale * mean)
