"""Networks in torch. All take and give batches (N, 1, Y, X) float32."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LiveUNet", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """Two dense 3x3 convolutions around a shortcut (pre-activation inside)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, Y, X) to the same."""
        inner: Tensor = self.second(functional.relu(self.first(x)))
        return functional.relu(x + inner)


class LiveUNet(nn.Module):
    """Denoiser for the live view: a residual U-Net that starts at half resolution.

    Pixel-unshuffle(2) turns (N, 1, Y, X) into four half-size channels, so that the costly
    convolutions run on a quarter of the pixels; skips are added, not concatenated, and all
    convolutions are dense, because depthwise ones are bound by memory on a CPU. The input
    has unit noise (variance-stabilised, any level); the network predicts what to add to it.
    Y and X must be multiples of `divisor`.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (16, 48, 96),
        down_blocks: tuple[int, ...] = (1, 1, 2),
        up_blocks: tuple[int, ...] = (1, 1),
    ) -> None:
        """One entry of `widths` (channels) and `down_blocks` per level, finest first; the last
        of `down_blocks` is the bottom; `up_blocks` has one entry less.
        """
        super().__init__()
        if not len(widths) == len(down_blocks) == len(up_blocks) + 1 >= 2:
            raise ValueError(
                f"widths {widths}, down_blocks {down_blocks}, up_blocks {up_blocks}: give one "
                "width and one number of blocks per level, and one less for the way up"
            )
        self.widths, self.down_blocks, self.up_blocks = widths, down_blocks, up_blocks
        self.divisor = 2 ** len(widths)
        self.level, self.scale = 8.0, 4.0
        self.head = nn.Conv2d(4, widths[0], 3, padding=1)
        pairs = list(itertools.pairwise(widths))
        self.encoders = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n)))
            for w, n in zip(widths[:-1], down_blocks[:-1], strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairs)
        self.bottom = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(down_blocks[-1])))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairs)
        self.decoders = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(w) for _ in range(n)))
            for w, n in zip(widths[:-1], up_blocks, strict=True)
        )
        self.tail = nn.Conv2d(widths[0], 4, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                # Blocks start near the identity, so that depth does not amplify.
                with torch.no_grad():
                    module.second.weight.mul_(0.2)
        with torch.no_grad():
            self.tail.weight.mul_(0.1)

    def forward(self, z: Tensor) -> Tensor:
        """(N, 1, Y, X) stabilised counts to their estimated mean, the same shape."""
        x = functional.pixel_unshuffle((z - self.level) / self.scale, 2)
        x = functional.relu(self.head(x))
        skips = []
        for encode, down in zip(self.encoders, self.downs, strict=True):
            x = encode(x)
            skips.append(x)
            x = functional.relu(down(x))
        x = self.bottom(x)
        for k in reversed(range(len(self.ups))):
            x = functional.relu(self.ups[k](x) + skips[k])
            x = self.decoders[k](x)
        return z + functional.pixel_shuffle(self.tail(x), 2)
