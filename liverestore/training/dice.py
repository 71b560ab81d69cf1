"""Random numbers on two sides: a few on the host, many on the device that computes.

A number that decides a shape or an index is needed by Python; fetching it from a GPU would stop
the GPU each time. So such numbers come from a generator of the host, and the large arrays from
one of the device. On the CPU both are the same generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from liverestore.training.accelerator import moved

__all__ = ["Dice"]


class Dice:
    """Draws that are a function of the seed and of the kind of device."""

    def __init__(self, host: torch.Generator, there: torch.Generator, device: torch.device) -> None:
        """`host` is a generator of the CPU, `there` one that serves tensors on `device`."""
        self.host, self.there, self.device = host, there, device

    @classmethod
    def seeded(cls, seed: int, device: torch.device | None = None) -> Dice:
        """Dice for tensors on `device` (the CPU by default)."""
        on = device or torch.device("cpu")
        host = torch.Generator().manual_seed(seed)
        if on.type != "cuda":
            return cls(host, host, on)
        return cls(host, torch.Generator(on).manual_seed(seed), on)

    @classmethod
    def of(cls, source: Dice | torch.Generator) -> Dice:
        """Dice as they are, or a CPU generator as dice."""
        if isinstance(source, Dice):
            return source
        return cls(source, source, torch.device("cpu"))

    def uniform(self, low: float, high: float) -> float:
        """A number of the host, evenly between the two."""
        return low + (high - low) * float(torch.rand((), generator=self.host))

    def log_uniform(self, low: float, high: float) -> float:
        """A number of the host, evenly on a logarithmic scale."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def integer(self, high: int) -> int:
        """A number of the host from 0 up to, not including, `high`."""
        return int(torch.randint(high, (1,), generator=self.host))

    def chosen(self, weights: Sequence[float]) -> int:
        """An index of the host, drawn in proportion to `weights`."""
        return int(torch.multinomial(torch.tensor(weights), 1, generator=self.host))

    def chosen_there(self, weights: Tensor) -> Tensor:
        """(1,) int64 on the device, an index drawn in proportion to `weights`, a tensor there."""
        return torch.multinomial(weights, 1, generator=self.there)

    def rand(self, *shape: int) -> Tensor:
        """Even numbers from 0 to 1 on the device, float32."""
        return torch.rand(shape, generator=self.there, device=self.device)

    def randn(self, *shape: int) -> Tensor:
        """Normal numbers on the device, float32."""
        return torch.randn(shape, generator=self.there, device=self.device)

    def integers(self, high: int, count: int) -> Tensor:
        """(count,) int64 on the device, from 0 up to, not including, `high`."""
        return torch.randint(high, (count,), generator=self.there, device=self.device)

    def poisson(self, rate: Tensor) -> Tensor:
        """Poisson numbers of the mean `rate`, a tensor on the device."""
        return torch.poisson(rate, generator=self.there)

    def constant(self, values: Sequence[float]) -> Tensor:
        """Numbers of the host on the device, (N,) float32."""
        return moved(torch.tensor(values, dtype=torch.float32), self.device)
