"""Noisy pairs of simulated specimens for Noise2Noise, in the variance-stabilised domain.

Each batch is a pure function of (seed, iteration): a run can be stopped, resumed and
repeated. Cameras are drawn over wide ranges (photon peak 3 to 1000 e, read noise 0 to 5 e,
background, coarse digitisation, excess noise of multipliers, per-pixel read noise, row
noise, fixed pattern, resampling), and the noise estimate is drawn *wrong* on purpose: to a
network every real frame looks noisier or cleaner than a blind estimate says.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from liverestore.training.specimens import scene

__all__ = ["Ahead", "CameraRanges", "PairSource", "SimulatedPairs", "noisy_realisations"]


class PairSource(Protocol):
    """Delivers training pairs; the same iteration always gives the same pair."""

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target, (N, 1, Y, X) float32, unit noise, independent of each other."""
        ...


@dataclass(frozen=True, slots=True)
class CameraRanges:
    """Ranges that simulated cameras are drawn from (electrons unless named otherwise)."""

    peak_e: tuple[float, float] = (3.0, 1000.0)
    background_e: tuple[float, float] = (0.05, 20.0)
    read_noise_e: tuple[float, float] = (0.3, 5.0)
    gain_e_per_count: tuple[float, float] = (0.03, 1.5)
    scale: tuple[float, float] = (0.75, 1.35)
    """Factor by which the stabilised image is wrongly scaled."""


def _uniform(
    count: int, low: float, high: float, generator: torch.Generator, *, log: bool = False
) -> Tensor:
    """(N, 1, 1, 1) random numbers."""
    u = torch.rand((count, 1, 1, 1), generator=generator)
    if log:
        return low * (high / low) ** u
    return low + (high - low) * u


def _sometimes(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return (torch.rand((count, 1, 1, 1), generator=generator) < probability).float()


def _poisson(rate: Tensor, generator: torch.Generator) -> Tensor:
    """Poisson numbers; above a rate of 12 by a Cornish-Fisher expansion, twice as fast."""
    few = rate < 12
    exact = torch.poisson(torch.where(few, rate, 0.0), generator=generator)
    normal = torch.randn(rate.shape, generator=generator)
    many = torch.round(rate + rate.sqrt() * normal + (normal.square() - 1) / 6).clamp_min(0)
    return torch.where(few, exact, many)


def noisy_realisations(
    clean: Tensor, count: int, generator: torch.Generator, ranges: CameraRanges | None = None
) -> list[Tensor]:
    """`count` independent noisy pictures of each scene of `clean`, variance-stabilised.

    `clean` is (N, 1, Y, X) between 0 and about 1; every scene gets one random camera, which
    its realisations share. Fixed pattern is drawn anew each time, so that a network learns
    to remove it.
    """
    r = ranges or CameraRanges()
    n = clean.shape[0]
    # Low light, where denoising matters, gets most of the scenes.
    low, high = r.peak_e
    middle = (low**0.4) * (high**0.6)
    dim = _uniform(n, low, middle, generator, log=True)
    bright = _uniform(n, middle, high, generator, log=True)
    peak = torch.where(_sometimes(n, 0.75, generator) > 0, dim, bright)
    background = _uniform(n, *r.background_e, generator, log=True)
    read = _uniform(n, *r.read_noise_e, generator, log=True) * _sometimes(n, 0.8, generator)
    spread = _uniform(n, 0.0, 0.6, generator) * _sometimes(n, 0.5, generator)
    row = _uniform(n, 0.0, 0.35, generator) * _sometimes(n, 0.3, generator)
    fixed_offset = _uniform(n, 0.0, 0.5, generator) * _sometimes(n, 0.4, generator)
    fixed_gain = _uniform(n, 0.0, 0.03, generator) * _sometimes(n, 0.4, generator)
    # Multipliers (PMT, EMCCD) answer to one electron with a spread-out pulse.
    excess = _uniform(n, 0.1, 1.0, generator) * _sometimes(n, 0.35, generator)
    gain = _uniform(n, *r.gain_e_per_count, generator, log=True)
    shift_y = _uniform(n, 0.0, 0.5, generator) * _sometimes(n, 0.3, generator)
    shift_x = _uniform(n, 0.0, 0.5, generator) * _sometimes(n, 0.3, generator)
    kept = ((1 - shift_y) ** 2 + shift_y**2) * ((1 - shift_x) ** 2 + shift_x**2)
    apparent = (1 + excess) * kept
    # What a blind estimate would say the read noise and the offset are.
    assumed = (read**2 * kept / apparent**2) * _uniform(n, 0.6, 1.4, generator)
    assumed = assumed + _uniform(n, -0.4, 0.8, generator) * _sometimes(n, 0.7, generator)
    scale = _uniform(n, *r.scale, generator)

    rate = clean.clamp_min(0) * peak + background
    out = []
    for _ in range(count):
        e = _poisson(rate, generator)
        sigma = read * torch.exp(spread * torch.randn(rate.shape, generator=generator))
        variance = excess * e + sigma**2 + fixed_offset**2 + (fixed_gain * rate) ** 2
        e = e + variance.sqrt() * torch.randn(rate.shape, generator=generator)
        e = e + row * torch.randn((*rate.shape[:3], 1), generator=generator)
        e = e + shift_y * (torch.roll(e, 1, 2) - e)
        e = e + shift_x * (torch.roll(e, 1, 3) - e)
        e = torch.round(e / gain) * gain
        out.append(scale * 2 * (e / apparent + 0.375 + assumed).clamp_min(0).sqrt())
    return out


class SimulatedPairs:
    """Pairs from a slowly renewed pool of random scenes.

    At iteration i the pool holds the scenes i // `renew_every` ... + `pool_size`, so it can
    be rebuilt for any iteration. The target is the mean of `targets` realisations: still
    Noise2Noise, with less noise in the gradient.
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
    ) -> None:
        self.seed, self.batch, self.crop_px, self.targets = seed, batch, crop_px, targets
        self.pool_size, self.renew_every, self.scene_px = pool_size, renew_every, scene_px
        self._pool = torch.zeros(pool_size, scene_px, scene_px)
        self._held = np.full(pool_size, -1, np.int64)

    def _scene(self, iteration: int, slot: int) -> Tensor:
        """(Y, X) scene that the pool holds in `slot` at this iteration, made when needed."""
        first = iteration // self.renew_every
        index = first + (slot - first) % self.pool_size
        if self._held[slot] != index:
            image = scene((self.seed, index), (self.scene_px, self.scene_px))
            self._pool[slot] = torch.from_numpy(image)
            self._held[slot] = index
        return self._pool[slot]

    def clean(self, iteration: int, generator: torch.Generator) -> Tensor:
        """(N, 1, crop, crop) noise-free crops of this iteration, flipped and transposed."""
        span = self.scene_px - self.crop_px + 1
        crops = []
        for _ in range(self.batch):
            slot, y, x, turn = (
                int(torch.randint(high, (1,), generator=generator))
                for high in (self.pool_size, span, span, 8)
            )
            crop = self._scene(iteration, slot)[y : y + self.crop_px, x : x + self.crop_px]
            crop = torch.rot90(crop, turn % 4)
            crops.append(crop.flip(1) if turn >= 4 else crop)
        return torch.stack(crops)[:, None]

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration, (N, 1, crop, crop) float32."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        # One pixel more on each side, so that resampling has no wrapped border.
        clean = functional.pad(self.clean(iteration, generator), (2, 2, 2, 2), mode="reflect")
        noisy, *targets = noisy_realisations(clean, 1 + self.targets, generator)
        target = torch.stack(targets).mean(dim=0)
        return noisy[..., 2:-2, 2:-2].contiguous(), target[..., 2:-2, 2:-2].contiguous()


class Ahead:
    """Makes the pairs of another source a few iterations ahead, in one thread of its own.

    With one torch thread each, drawing noise and training keep two cores busy without waiting
    for each other. Close it, or use it in a `with` statement.
    """

    def __init__(self, source: PairSource, depth: int = 3) -> None:
        self._source, self._depth = source, depth
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pairs")
        self._made: dict[int, Future[tuple[Tensor, Tensor]]] = {}

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration; the next ones are begun."""
        for wanted in range(iteration, iteration + self._depth):
            if wanted not in self._made:
                self._made[wanted] = self._pool.submit(self._source.pair, wanted)
        return self._made.pop(iteration).result()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)
