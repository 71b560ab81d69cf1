"""A refocusing network for processors and small GPUs: the live U-Net, told the distance.

Two differences from the generator of Deep-Z make it learn and run several times faster. The
costly convolutions run at half resolution and below, where a blur of forty pixels is a few
pixels wide; and every level is told the distance again, as a scale and a shift of each channel
(feature-wise modulation, Perez et al. 2018, doi 10.1609/aaai.v32i1.11671), because how to
refocus differs more between two distances than a sum in the first layer can say.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from liverestore.training.networks import ResidualBlock

__all__ = ["LiveRefocusUNet"]

_CENTRES = (-1.0, -0.6, -0.3, -0.1, 0.1, 0.3, 0.6, 1.0)
"""Distances, in units of `dpm_waves`, at which the network has a basis function."""

_NEAR = 1 / 16
"""Distance, in the same units, that lies half-way along the compressed scale: half a wave."""
_NEAR_CENTRES = (-0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8)
"""More basis functions, on that scale: 0, half a wave and a whole one are three different jobs, and
the bumps above, 1.6 waves wide, do not tell them apart."""


def _distance_features(distance: Tensor) -> Tensor:
    """(N, 1, Y, X) to (N, 19, Y, X): itself, its size, and a bump around each centre, of even
    width in the distance and then in its compressed form d / (|d| + half a wave).
    """
    centres = distance.new_tensor(_CENTRES).view(1, -1, 1, 1)
    bumps = torch.exp(-12.0 * (distance - centres).square())
    size = distance.abs()
    near = distance.new_tensor(_NEAR_CENTRES).view(1, -1, 1, 1)
    near_bumps = torch.exp(-35.0 * (distance / (size + _NEAR) - near).square())
    return torch.cat([distance, size, bumps, near_bumps], dim=1)


class _Modulation(nn.Module):
    """Scale and shift of each channel by functions of the distance at that pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.table = nn.Conv2d(2 + len(_CENTRES) + len(_NEAR_CENTRES), 2 * channels, 1)
        nn.init.normal_(self.table.weight, std=0.1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        scale, shift = self.table(features).chunk(2, dim=1)
        result: Tensor = x * (1 + scale) + shift
        return result


class LiveRefocusUNet(nn.Module):
    """Image and DPM to the image of the wanted plane.

    Input (N, 2, Y, X) float32 and output (N, 1, Y, X) as those of `DeepZGenerator`:
    variance-stabilised counts, and the distance in waves of defocus at the rim of the pupil.
    Y and X are multiples of `divisor`. The network predicts what to add to the image.
    """

    dpm_waves = 8.0
    """Waves of defocus that count as 1."""

    def __init__(
        self,
        widths: tuple[int, ...] = (32, 64, 128, 192),
        *,
        bottom_blocks: int = 2,
        level: float = 8.0,
        scale: float = 4.0,
    ) -> None:
        super().__init__()
        self.widths, self.level, self.scale = widths, level, scale
        self.divisor = 2 ** len(widths)
        pairs = list(itertools.pairwise(widths))
        self.head = nn.Conv2d(4, widths[0], 5, padding=2)
        self.told = nn.ModuleList(_Modulation(w) for w in widths)
        self.told_again = nn.ModuleList(_Modulation(w) for w in widths[:-1])
        self.encoders = nn.ModuleList(ResidualBlock(w) for w in widths[:-1])
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.bottom = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(bottom_blocks)))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.decoders = nn.ModuleList(ResidualBlock(w) for w in widths[:-1])
        self.tail = nn.Conv2d(widths[0], 4, 3, padding=1)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Weights with which the image comes out nearly as it went in."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif ".table." not in name:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                # Blocks start near the identity, so that depth does not amplify.
                module.second.weight.mul_(0.2)
        self.tail.weight.mul_(0.1)

    def forward(self, pair: Tensor) -> Tensor:
        """(N, 2, Y, X) to (N, 1, Y, X)."""
        image = pair[:, :1]
        x = functional.pixel_unshuffle((image - self.level) / self.scale, 2)
        distance = functional.avg_pool2d(pair[:, 1:], 2) / self.dpm_waves
        features = [_distance_features(distance)]
        for _ in self.downs:
            distance = functional.avg_pool2d(distance, 2)
            features.append(_distance_features(distance))
        x = functional.relu(self.head(x))
        skips = []
        for k, (encode, down) in enumerate(zip(self.encoders, self.downs, strict=True)):
            x = encode(self.told[k](x, features[k]))
            skips.append(x)
            x = functional.relu(down(x))
        x = self.bottom(self.told[-1](x, features[-1]))
        for k in reversed(range(len(self.ups))):
            x = functional.relu(self.ups[k](x) + skips[k])
            x = self.decoders[k](self.told_again[k](x, features[k]))
        result: Tensor = functional.pixel_shuffle(self.tail(x), 2)
        return image + self.scale * result
