"""Noisy pairs of simulated specimens for Noise2Noise, in the variance-stabilised domain.

Each batch is a pure function of (seed, iteration): a run can be stopped, resumed and
repeated. Cameras are drawn over wide ranges (photon peak 3 to 1000 e, read noise 0 to 5 e,
background, coarse digitisation, excess noise of multipliers, per-pixel read noise, row
noise, fixed pattern, resampling), and the noise estimate is drawn *wrong* on purpose: to a
network every real frame looks noisier or cleaner than a blind estimate says.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from liverestore.training.accelerator import moved
from liverestore.training.ahead import Ahead, PairSource
from liverestore.training.dice import Dice
from liverestore.training.prepared import Prepared
from liverestore.training.specimens import numbered_scene

__all__ = ["Ahead", "CameraRanges", "PairSource", "SimulatedPairs", "noisy_realisations"]


@dataclass(frozen=True, slots=True)
class CameraRanges:
    """Ranges that simulated cameras are drawn from (electrons unless named otherwise)."""

    peak_e: tuple[float, float] = (3.0, 1000.0)
    background_e: tuple[float, float] = (0.05, 20.0)
    read_noise_e: tuple[float, float] = (0.3, 5.0)
    gain_e_per_count: tuple[float, float] = (0.03, 1.5)
    scale: tuple[float, float] = (0.75, 1.35)
    """Factor by which the stabilised image is wrongly scaled."""


def _uniform(count: int, low: float, high: float, dice: Dice, *, log: bool = False) -> Tensor:
    """(N, 1, 1, 1) random numbers."""
    u = dice.rand(count, 1, 1, 1)
    if log:
        return low * (high / low) ** u
    return low + (high - low) * u


def _sometimes(count: int, probability: float, dice: Dice) -> Tensor:
    return (dice.rand(count, 1, 1, 1) < probability).float()


def _poisson(rate: Tensor, dice: Dice) -> Tensor:
    """Poisson numbers; above a rate of 12 by a Cornish-Fisher expansion, twice as fast."""
    few = rate < 12
    exact = dice.poisson(torch.where(few, rate, 0.0))
    normal = dice.randn(*rate.shape)
    many = torch.round(rate + rate.sqrt() * normal + (normal.square() - 1) / 6).clamp_min(0)
    return torch.where(few, exact, many)


def noisy_realisations(
    clean: Tensor,
    count: int,
    dice: Dice | torch.Generator,
    ranges: CameraRanges | None = None,
) -> list[Tensor]:
    """`count` independent noisy pictures of each scene of `clean`, variance-stabilised.

    `clean` is (N, 1, Y, X) between 0 and about 1, on the device of the dice; every scene gets
    one random camera, which its realisations share. Fixed pattern is drawn anew each time, so
    that a network learns to remove it. A torch generator of the CPU serves as dice, too.
    """
    r, dice = ranges or CameraRanges(), Dice.of(dice)
    n = clean.shape[0]
    # Low light, where denoising matters, gets most of the scenes.
    low, high = r.peak_e
    middle = (low**0.4) * (high**0.6)
    dim = _uniform(n, low, middle, dice, log=True)
    bright = _uniform(n, middle, high, dice, log=True)
    peak = torch.where(_sometimes(n, 0.75, dice) > 0, dim, bright)
    background = _uniform(n, *r.background_e, dice, log=True)
    read = _uniform(n, *r.read_noise_e, dice, log=True) * _sometimes(n, 0.8, dice)
    spread = _uniform(n, 0.0, 0.6, dice) * _sometimes(n, 0.5, dice)
    row = _uniform(n, 0.0, 0.35, dice) * _sometimes(n, 0.3, dice)
    fixed_offset = _uniform(n, 0.0, 0.5, dice) * _sometimes(n, 0.4, dice)
    fixed_gain = _uniform(n, 0.0, 0.03, dice) * _sometimes(n, 0.4, dice)
    # Multipliers (PMT, EMCCD) answer to one electron with a spread-out pulse.
    excess = _uniform(n, 0.1, 1.0, dice) * _sometimes(n, 0.35, dice)
    gain = _uniform(n, *r.gain_e_per_count, dice, log=True)
    shift_y = _uniform(n, 0.0, 0.5, dice) * _sometimes(n, 0.3, dice)
    shift_x = _uniform(n, 0.0, 0.5, dice) * _sometimes(n, 0.3, dice)
    kept = ((1 - shift_y) ** 2 + shift_y**2) * ((1 - shift_x) ** 2 + shift_x**2)
    apparent = (1 + excess) * kept
    # What a blind estimate would say the read noise and the offset are.
    assumed = (read**2 * kept / apparent**2) * _uniform(n, 0.6, 1.4, dice)
    assumed = assumed + _uniform(n, -0.4, 0.8, dice) * _sometimes(n, 0.7, dice)
    scale = _uniform(n, *r.scale, dice)

    rate = clean.clamp_min(0) * peak + background
    out = []
    for _ in range(count):
        e = _poisson(rate, dice)
        sigma = read * torch.exp(spread * dice.randn(*rate.shape))
        variance = excess * e + sigma**2 + fixed_offset**2 + (fixed_gain * rate) ** 2
        e = e + variance.sqrt() * dice.randn(*rate.shape)
        e = e + row * dice.randn(*rate.shape[:3], 1)
        e = e + shift_y * (torch.roll(e, 1, 2) - e)
        e = e + shift_x * (torch.roll(e, 1, 3) - e)
        e = torch.round(e / gain) * gain
        out.append(scale * 2 * (e / apparent + 0.375 + assumed).clamp_min(0).sqrt())
    return out


class SimulatedPairs:
    """Pairs from a slowly renewed pool of random scenes.

    At iteration i the pool holds the scenes i // `renew_every` ... + `pool_size`, so it can
    be rebuilt for any iteration. The target is the mean of `targets` realisations: still
    Noise2Noise, with less noise in the gradient. The pool and the noise are on `device`; the
    scenes are made when they are needed or, by `workers` processes, ahead of time.
    """

    def __init__(
        self,
        seed: int,
        *,
        batch: int = 8,
        crop_px: int = 128,
        pool_size: int = 512,
        renew_every: int = 8,
        targets: int = 2,
        scene_px: int = 256,
        device: torch.device | None = None,
        workers: int = 0,
    ) -> None:
        self.seed, self.batch, self.crop_px, self.targets = seed, batch, crop_px, targets
        self.pool_size, self.renew_every, self.scene_px = pool_size, renew_every, scene_px
        self.device = device or torch.device("cpu")
        self._pool = torch.empty(pool_size, scene_px, scene_px, device=self.device)
        self._held = np.full(pool_size, -1, np.int64)
        self._scenes = Prepared(functools.partial(numbered_scene, seed, scene_px), workers)

    def _scene(self, iteration: int, slot: int) -> Tensor:
        """(Y, X) scene that the pool holds in `slot` at this iteration, made when needed."""
        first = iteration // self.renew_every
        index = first + (slot - first) % self.pool_size
        if self._held[slot] != index:
            image = torch.from_numpy(self._scenes.get(index))
            self._pool[slot] = moved(image, self.device)
            self._held[slot] = index
        return self._pool[slot]

    def clean(self, iteration: int, dice: Dice | torch.Generator) -> Tensor:
        """(N, 1, crop, crop) noise-free crops of this iteration, flipped and transposed."""
        dice = Dice.of(dice)
        first, held = iteration // self.renew_every, set(self._held.tolist())
        # A tenth of the pool more than is needed now.
        coming = range(first, first + self.pool_size + self.pool_size // 10 + 1)
        self._scenes.want(index for index in coming if index not in held)
        span = self.scene_px - self.crop_px + 1
        crops = []
        for _ in range(self.batch):
            slot, y, x, turn = (dice.integer(high) for high in (self.pool_size, span, span, 8))
            crop = self._scene(iteration, slot)[y : y + self.crop_px, x : x + self.crop_px]
            crop = torch.rot90(crop, turn % 4)
            crops.append(crop.flip(1) if turn >= 4 else crop)
        return torch.stack(crops)[:, None]

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration, (N, 1, crop, crop) float32."""
        dice = Dice.seeded(self.seed * 1_000_003 + iteration, self.device)
        # Two pixels more on each side, so that resampling has no wrapped border.
        clean = functional.pad(self.clean(iteration, dice), (2, 2, 2, 2), mode="reflect")
        noisy, *targets = noisy_realisations(clean, 1 + self.targets, dice)
        target = torch.stack(targets).mean(dim=0)
        return noisy[..., 2:-2, 2:-2].contiguous(), target[..., 2:-2, 2:-2].contiguous()

    def close(self) -> None:
        """End the processes that make scenes."""
        self._scenes.close()
