"""Blind-spot pairs from noisy frames alone (Noise2Void, N2V2, structN2V).

Some pixels of the input are replaced by something that does not know their noise, and the
network is asked for their noisy values. Elsewhere the target is NaN: not asked.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from liverestore.training.recordings import fitting_crop

__all__ = ["BlindSpotPairs"]

Direction = Literal["x", "y"]

_RADIUS = 2
"""Neighbourhood of 5x5 for the replacing median (N2V2)."""


class BlindSpotPairs:
    """Crops of stabilised frames with one blind spot in each block of `block_px` squared.

    Without a direction a spot is one pixel, replaced by the median of its neighbourhood
    without the pixel itself (N2V2, Hoeck et al. 2022). With `direction` and `reach_px` a spot
    is a line of 2 reach + 1 pixels, replaced by random values (structN2V, Broaddus et al.
    2020), and crops are not turned.
    """

    def __init__(
        self,
        movies: list[NDArray[np.float32]],
        seed: int,
        *,
        batch: int = 8,
        crop_px: int = 96,
        block_px: int = 7,
        direction: Direction | None = None,
        reach_px: int = 0,
        divisor: int = 4,
    ) -> None:
        """`movies` are (T, Y, X), stabilised; T may be 1.

        Raises `UserError` for movies smaller than four times the divisor.
        """
        self.crop_px = fitting_crop(crop_px, movies, divisor)
        self.seed, self.batch, self.block_px = seed, batch, block_px
        self.direction, self.reach_px = direction, reach_px
        self._movies = [torch.from_numpy(np.ascontiguousarray(movie)) for movie in movies]
        self._weights = torch.tensor([float(movie.numel()) for movie in self._movies])
        self._mean = float(np.mean([movie.mean() for movie in movies]))
        self._spread = float(np.mean([movie.std() for movie in movies]))

    def _crops(self, generator: torch.Generator) -> Tensor:
        crops = []
        for _ in range(self.batch):
            which = int(torch.multinomial(self._weights, 1, generator=generator))
            movie = self._movies[which]
            spans = (movie.shape[0], *(n - self.crop_px + 1 for n in movie.shape[1:]), 8)
            t, y, x, turn = (int(torch.randint(span, (1,), generator=generator)) for span in spans)
            crop = movie[t, y : y + self.crop_px, x : x + self.crop_px]
            if self.direction is None:
                crop = torch.rot90(crop, turn % 4)
            crops.append(crop.flip(1) if turn >= 4 else crop)
        return torch.stack(crops)

    def _spots(self, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Batch index, y and x of one spot in each block."""
        blocks = -(-self.crop_px // self.block_px)
        shape = (self.batch, blocks, blocks)
        corner = torch.arange(blocks) * self.block_px
        jitter = torch.randint(self.block_px, (2, *shape), generator=generator)
        y = corner[None, :, None] + jitter[0]
        x = corner[None, None, :] + jitter[1]
        which = torch.arange(self.batch)[:, None, None].expand(shape)
        inside = (y < self.crop_px) & (x < self.crop_px)
        return which[inside], y[inside], x[inside]

    def _medians(self, crops: Tensor, which: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Median of the 5x5 neighbourhood of each spot, without the spot."""
        r = _RADIUS
        padded = functional.pad(crops[:, None], (r, r, r, r), mode="reflect")[:, 0]
        around = [
            padded[which, y + dy, x + dx]
            for dy in range(2 * r + 1)
            for dx in range(2 * r + 1)
            if (dy, dx) != (r, r)
        ]
        return torch.stack(around).median(dim=0).values

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target, (N, 1, crop, crop) float32; the target is NaN off the spots."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + iteration)
        crops = self._crops(generator)
        which, y, x = self._spots(generator)
        target = torch.full_like(crops, float("nan"))
        target[which, y, x] = crops[which, y, x]
        noisy = crops.clone()
        if self.direction is None:
            noisy[which, y, x] = self._medians(crops, which, y, x)
        else:
            for offset in range(-self.reach_px, self.reach_px + 1):
                yy = (y + offset if self.direction == "y" else y).clamp(0, self.crop_px - 1)
                xx = (x + offset if self.direction == "x" else x).clamp(0, self.crop_px - 1)
                random = torch.randn(y.shape, generator=generator)
                noisy[which, yy, xx] = self._mean + self._spread * random
        return noisy[:, None], target[:, None]
