"""Generator and discriminator of Deep-Z (Wu et al. 2019, doi 10.1038/s41592-019-0622-5).

The generator sees an image and, as a second channel, how far from its focal plane the wanted
plane lies at each pixel (the digital propagation matrix, DPM). Refocusing with such a network
is claimed by the patent US 11,946,854.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from liverestore.errors import UserError

__all__ = ["DeepZDiscriminator", "DeepZGenerator"]

_DOWN = ((25, 48), (72, 96), (144, 192), (288, 384), (576, 768))
"""Channels of the two convolutions of each block on the way down, at full width."""
_UP = ((576, 384), (288, 192), (144, 96), (72, 48))


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def _pad_channels(x: Tensor, channels: int) -> Tensor:
    """Zero channels appended, so that a shortcut can be added to a wider result."""
    return functional.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")


class _DownBlock(nn.Module):
    """x + ReLU(conv(ReLU(conv x))), the shortcut padded with zero channels."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.first, self.second = _conv(inputs, middle), _conv(middle, outputs)
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.second(functional.relu(self.first(x))))
        return _pad_channels(x, self.outputs) + inner


class _UpBlock(nn.Module):
    """Transposed convolution to twice the size, the skip appended, two convolutions."""

    def __init__(self, inputs: int, middle: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.first, self.second = _conv(2 * outputs, middle), _conv(middle, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined = torch.cat([self.up(x), skip], dim=1)
        result: Tensor = functional.relu(self.second(functional.relu(self.first(joined))))
        return result


class DeepZGenerator(nn.Module):
    """Image and DPM to the image of the wanted plane.

    Input (N, 2, Y, X) float32: variance-stabilised counts (unit noise, any level), and the
    signed distance from the plane in focus to the plane wanted in waves of defocus at the
    rim of the pupil (`microscopes.defocus_waves_per_um` times um), positive deeper into the
    sample. Output (N, 1, Y, X): stabilised counts of that plane. Y and X are multiples of
    `divisor`; `level` and `scale` bring stabilised counts to a range of about one. `width` 1,
    0.5 and 0.25 give 17.4, 4.4 and 1.1 million parameters.
    """

    divisor = 16
    dpm_waves = 8.0
    """Waves of defocus that enter the first convolution as 1."""

    def __init__(self, width: float = 1.0, *, level: float = 8.0, scale: float = 4.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale
        if not 0 < width <= 1:
            raise UserError(f"width of the Deep-Z network: got {width}; allowed is above 0 up to 1")
        self.width = width
        inputs = 2
        downs: list[_DownBlock] = []
        ups: list[_UpBlock] = []
        for middle, outputs in _DOWN:
            downs.append(_DownBlock(inputs, _scaled(middle, width), _scaled(outputs, width)))
            inputs = _scaled(outputs, width)
        for middle, outputs in _UP:
            ups.append(_UpBlock(inputs, _scaled(middle, width), _scaled(outputs, width)))
            inputs = _scaled(outputs, width)
        self.downs, self.ups = nn.ModuleList(downs), nn.ModuleList(ups)
        self.last = nn.Conv2d(inputs, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self._start_as_identity(downs, ups[-1])

    @torch.no_grad()
    def _start_as_identity(self, downs: list[_DownBlock], block: _UpBlock) -> None:
        """Weights with which the image comes out as it went in: the right answer at distance
        0, and thousands of iterations nearer to the others than noise is.

        The image passes the first shortcut and the skip in channel 0, and the last ReLUs as a
        pair of channels, one for each sign.
        """
        for down in downs:
            # The residual sums start near their shortcut, so that depth does not amplify.
            down.second.weight.mul_(0.5)
        downs[0].second.weight[0] = 0.0
        skip = block.first.in_channels // 2
        for channel, sign in ((0, 1.0), (1, -1.0)):
            block.first.weight[channel] = 0.0
            block.first.weight[channel, skip, 1, 1] = sign
            block.second.weight[channel] = 0.0
            block.second.weight[channel, channel, 1, 1] = 1.0
        self.last.weight.mul_(0.02)
        self.last.weight[0, 0], self.last.weight[0, 1] = 1.0, -1.0

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2, Y, X) to (N, 1, Y, X)."""
        image, waves = x[:, :1], x[:, 1:]
        y = torch.cat([(image - self.level) / self.scale, waves / self.dpm_waves], dim=1)
        skips: list[Tensor] = []
        for k, block in enumerate(self.downs):
            y = block(y)
            if k < len(self.downs) - 1:
                skips.append(y)
                y = functional.max_pool2d(y, 2)
        for block in self.ups:
            y = block(y, skips.pop())
        result: Tensor = self.last(y)
        return result * self.scale + self.level


class DeepZDiscriminator(nn.Module):
    """Probability that an image of a plane was recorded and not made.

    Input (N, 1, Y, X) stabilised counts, at least 64 pixels a side; output (N,) in 0..1.
    Six blocks of two convolutions, the second with stride 2, from 48 to 3072 channels at
    full width; global average; two dense layers; sigmoid.
    """

    def __init__(self, width: float = 1.0, *, level: float = 8.0, scale: float = 4.0) -> None:
        super().__init__()
        self.level, self.scale = level, scale
        channels = _scaled(48, width)
        layers: list[nn.Module] = [nn.Conv2d(1, channels, 3, padding=1), nn.LeakyReLU(0.01)]
        for _ in range(6):
            layers += [
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(0.01),
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
                nn.LeakyReLU(0.01),
            ]
            channels *= 2
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(channels, channels)
        self.verdict = nn.Linear(channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 1, Y, X) to (N,)."""
        x = self.features((image - self.level) / self.scale).mean(dim=(2, 3))
        x = functional.leaky_relu(self.dense(x), 0.01)
        return torch.sigmoid(self.verdict(x)).flatten()
