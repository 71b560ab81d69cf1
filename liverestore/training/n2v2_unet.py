"""The U-Net of Noise2Void (Krull et al. 2019) with the changes of N2V2 (Hoeck et al. 2022).

N2V2 takes away what carries single pixels past the blind spot and leaves a checkerboard: the
residual output, the skip at full resolution, and max-pooling.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["N2V2UNet"]


def _pair(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(),
    )


class _BlurPool(nn.Module):
    """Maximum over 2x2 with stride 1, then a binomial low-pass with stride 2.

    Zhang 2019 (arXiv:1904.11486). The maximum alone, taken with stride 2, aliases.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(line, line).expand(channels, 1, 3, 3).clone()
        self.register_buffer("kernel", kernel, persistent=False)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(x, self.kernel, stride=2, groups=self.channels)


class N2V2UNet(nn.Module):
    """Blind-spot denoiser; no residual, no skip at full resolution, blur-pooling.

    Input and output (N, 1, Y, X) float32, mapped by (x - `level`) / `scale` to a range of
    about one and back (for variance-stabilised counts: the mean and the standard deviation
    of the movie it is trained on). `channels` at full resolution, doubled at each of the
    `levels` (2 in the paper); linear 1x1 output. Y and X are multiples of `divisor`.
    """

    def __init__(
        self, channels: int = 16, *, levels: int = 2, level: float = 8.0, scale: float = 4.0
    ) -> None:
        super().__init__()
        self.divisor = 2**levels
        self.level, self.scale = level, scale
        widths = [channels * 2**k for k in range(levels + 1)]
        inputs = 1
        encoders, pools, decoders = [], [], []
        for width in widths[:-1]:
            encoders.append(_pair(inputs, width))
            pools.append(_BlurPool(width))
            inputs = width
        self.bottom = _pair(inputs, widths[-1])
        inputs = widths[-1]
        for k in reversed(range(levels)):
            skip = widths[k] if k > 0 else 0
            decoders.append(_pair(inputs + skip, widths[k]))
            inputs = widths[k]
        self.encoders, self.pools = nn.ModuleList(encoders), nn.ModuleList(pools)
        self.decoders = nn.ModuleList(decoders)
        self.out = nn.Conv2d(inputs, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, Y, X) to the same shape."""
        y = (x - self.level) / self.scale
        skips: list[Tensor] = []
        for encode, pool in zip(self.encoders, self.pools, strict=True):
            y = encode(y)
            skips.append(y)
            y = pool(y)
        y = self.bottom(y)
        for k, decode in zip(reversed(range(len(skips))), self.decoders, strict=True):
            y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            if k > 0:
                y = torch.cat([y, skips[k]], dim=1)
            y = decode(y)
        result: Tensor = self.out(y)
        return result * self.scale + self.level
