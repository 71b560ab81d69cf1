"""Random-valued impulse noise, and what each loss makes of it (Lehtinen et al. 2018, 4.2).

With probability p a pixel is replaced by a value that is uniform in [0, 1]. The mean of what
is seen is then a lie about the scene, the median a smaller one, and only the most frequent
value is right: this is the case for which the L0 loss exists. Pictures here are between 0 and
1, not variance-stabilised, because this noise has nothing to do with photons.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.training.simulate import SimulatedPairs

__all__ = ["ImpulsePairs", "l1_optimum", "l2_optimum", "with_impulses"]

FloatImage = NDArray[np.float32]


def with_impulses(clean: Tensor, probability: Tensor, generator: torch.Generator) -> Tensor:
    """`clean` (N, 1, Y, X) with a share of its pixels replaced; `probability` (N, 1, 1, 1)."""
    hit = torch.rand(clean.shape, generator=generator) < probability
    return torch.where(hit, torch.rand(clean.shape, generator=generator), clean)


def l2_optimum(clean: FloatImage, probability: float) -> FloatImage:
    """Mean of the noisy pixel: what training with L2 against noisy targets leads to."""
    return np.asarray((1 - probability) * clean + probability / 2, np.float32)


def l1_optimum(clean: FloatImage, probability: float) -> FloatImage:
    """Median of the noisy pixel: what training with L1 against noisy targets leads to.

    The pixel keeps its value where that lies between the places at which the impulses alone
    reach a half on either side; beyond them it is drawn to the middle.
    """
    low = 0.0 if probability <= 0.5 else 1 - 1 / (2 * probability)
    return np.asarray(np.clip(clean, low, 1 - low), np.float32)


class ImpulsePairs:
    """Two noisy versions of each simulated scene, with one probability each, up to `highest`."""

    def __init__(
        self,
        seed: int,
        *,
        batch: int = 4,
        crop_px: int = 128,
        highest: float = 0.95,
        clean_targets: bool = False,
    ) -> None:
        """With `clean_targets` the target has no noise: the yardstick for the losses."""
        self._scenes = SimulatedPairs(seed, batch=batch, crop_px=crop_px)
        self.seed, self.highest, self.clean_targets = seed, highest, clean_targets

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target, (N, 1, crop, crop) float32 in [-0.5, 0.5] as in the paper."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        clean = self._scenes.clean(iteration, generator).clamp(0, 1)
        share = self.highest * torch.rand((clean.shape[0], 1, 1, 1), generator=generator)
        noisy = with_impulses(clean, share, generator)
        target = clean if self.clean_targets else with_impulses(clean, share, generator)
        return noisy - 0.5, target - 0.5
