"""The U-Net of Noise2Noise (Lehtinen et al. 2018, arXiv:1803.04189, table 2 of the appendix)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Noise2NoiseUNet"]

_SLOPE = 0.1


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Noise2NoiseUNet(nn.Module):
    """Denoiser with five levels and one skip from the input itself; 0.989 million parameters.

    Input and output (N, `channels`, Y, X) float32. Values are mapped by (x - `level`) /
    `scale` to the range of about [-0.5, 0.5] that the paper trains in, and back; the
    defaults suit variance-stabilised counts, 0.5 and 1 suit images in 0..1. Y and X are
    multiples of `divisor`; others are to be reflect-padded before. Every level has its own
    weights.
    """

    divisor = 32

    def __init__(self, channels: int = 1, *, level: float = 16.0, scale: float = 32.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale
        self.first = _conv(channels, 48)
        self.encoders = nn.ModuleList(_conv(48, 48) for _ in range(5))
        self.bottom = _conv(48, 48)
        decoders = []
        inputs = 48 + 48
        for _ in range(4):
            decoders.append(nn.ModuleList([_conv(inputs, 96), _conv(96, 96)]))
            inputs = 96 + 48
        self.decoders = nn.ModuleList(decoders)
        self.last = nn.ModuleList([_conv(96 + channels, 64), _conv(64, 32)])
        self.out = _conv(32, channels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, Y, X) to the same shape."""
        x = (x - self.level) / self.scale
        skips = [x]
        y = functional.leaky_relu(self.first(x), _SLOPE)
        for encode in self.encoders:
            y = functional.max_pool2d(functional.leaky_relu(encode(y), _SLOPE), 2)
            skips.append(y)
        y = functional.leaky_relu(self.bottom(y), _SLOPE)
        skips.pop()  # the deepest pool is what the bottom was made of
        for pair in [*self.decoders, self.last]:
            y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = torch.cat([y, skips.pop()], dim=1)
            for convolve in pair:
                y = functional.leaky_relu(convolve(y), _SLOPE)
        result: Tensor = self.out(y)
        return result * self.scale + self.level
