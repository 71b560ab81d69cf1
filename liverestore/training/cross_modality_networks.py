"""Generator and discriminator of Wang et al. 2019 (doi 10.1038/s41592-018-0239-0).

They turn an image of one microscope into that of a better one: widefield to confocal, confocal
to STED.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from liverestore.errors import UserError

__all__ = ["CrossModalityDiscriminator", "CrossModalityGenerator"]

_WIDTHS = (32, 64, 128, 256)
_SLOPE = 0.1


class _Block(nn.Module):
    """Three convolutions; with `shortcut`, the input padded with zero channels is added."""

    def __init__(self, inputs: int, outputs: int, *, shortcut: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.third = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.missing = outputs - inputs if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        y = functional.leaky_relu(self.first(x), _SLOPE)
        y = functional.leaky_relu(self.second(y), _SLOPE)
        y = functional.leaky_relu(self.third(y), _SLOPE)
        if self.missing is None:
            return y
        return y + functional.pad(x, (0, 0, 0, 0, 0, self.missing))


class CrossModalityGenerator(nn.Module):
    """Image of one modality to that of another, same pixels.

    Input and output (N, 1, Y, X) float32, variance-stabilised counts; Y and X are multiples
    of `divisor`; `level` and `scale` bring them to a range of about one. Four blocks down
    (average pooling), one convolution at the bottom, four blocks up (bilinear, skips
    appended); 32 to 256 channels and 7.05 million parameters at `width` 1.
    """

    divisor = 16

    def __init__(self, width: float = 1.0, *, level: float = 8.0, scale: float = 4.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale
        if not 0 < width <= 1:
            raise UserError(
                f"width of the cross-modality network: got {width}; allowed is above 0 up to 1"
            )
        self.width = width
        widths = [max(1, round(w * width)) for w in _WIDTHS]
        inputs = 1
        downs: list[_Block] = []
        ups: list[_Block] = []
        for outputs in widths:
            downs.append(_Block(inputs, outputs, shortcut=True))
            inputs = outputs
        self.bottom = nn.Conv2d(inputs, 2 * inputs, 3, padding=1)
        inputs *= 2
        for outputs in reversed(widths):
            ups.append(_Block(inputs + outputs, outputs, shortcut=False))
            inputs = outputs
        self.downs, self.ups = nn.ModuleList(downs), nn.ModuleList(ups)
        self.last = nn.Conv2d(inputs, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=_SLOPE)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for block in downs:
            # The residual sums start near their shortcut, so that depth does not amplify.
            with torch.no_grad():
                block.third.weight.mul_(0.5)
        with torch.no_grad():
            self.last.weight.mul_(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, Y, X) to (N, 1, Y, X)."""
        y = (x - self.level) / self.scale
        skips: list[Tensor] = []
        for block in self.downs:
            y = block(y)
            skips.append(y)
            y = functional.avg_pool2d(y, 2)
        y = functional.leaky_relu(self.bottom(y), _SLOPE)
        for block in self.ups:
            y = functional.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
            y = block(torch.cat([y, skips.pop()], dim=1))
        result: Tensor = self.last(y)
        return result * self.scale + self.level


class CrossModalityDiscriminator(nn.Module):
    """Logit that an image was recorded and not made.

    Input (N, 1, Y, X) stabilised counts, at least 32 pixels a side; output (N,), without a
    sigmoid. One convolution, five blocks of two (the second with stride 2), average pooling,
    two dense layers; 32 to 1024 channels at `width` 1.
    """

    def __init__(self, width: float = 1.0, *, level: float = 8.0, scale: float = 4.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale
        channels = max(1, round(32 * width))
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1), nn.LeakyReLU(_SLOPE)]
        for _ in range(5):
            layers += [
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(_SLOPE),
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
                nn.LeakyReLU(_SLOPE),
            ]
            channels *= 2
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(channels, channels)
        self.verdict = nn.Linear(channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, Y, X) to (N,)."""
        x = self.features((image - self.level) / self.scale).mean(dim=(2, 3))
        x = functional.leaky_relu(self.dense(x), _SLOPE)
        result: Tensor = self.verdict(x).flatten()
        return result
