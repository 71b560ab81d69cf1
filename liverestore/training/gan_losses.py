"""Losses of the adversarial trainings, and the structural similarity they lean on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "AdversarialWeight",
    "least_squares_discriminator",
    "least_squares_generator",
    "non_saturating_discriminator",
    "non_saturating_generator",
    "similarity_loss",
    "ssim",
]


def _gaussian_window(side_px: int, sigma_px: float) -> Tensor:
    place = torch.arange(side_px) - (side_px - 1) / 2
    line = torch.exp(-0.5 * (place / sigma_px) ** 2)
    return line / line.sum()


def ssim(image: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of (N, 1, Y, X) pictures, (N,), differentiable; 1 when equal.

    Wang et al. 2004 (IEEE TIP 13, 600): Gaussian window of 11 pixels and sigma 1.5, K 0.01
    and 0.03; the range of the data is that of each `truth`. Borders without a whole window
    are left out; Y and X are at least 11.
    """
    window = _gaussian_window(11, 1.5).to(image)
    image, truth = image.float(), truth.float()

    def mean(x: Tensor) -> Tensor:
        rows = functional.conv2d(x, window.view(1, 1, -1, 1))
        return functional.conv2d(rows, window.view(1, 1, 1, -1))

    span = (truth.amax(dim=(1, 2, 3)) - truth.amin(dim=(1, 2, 3))).clamp_min(1e-6)
    span = span.view(-1, 1, 1, 1)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    # Centred first: the moments of a bright, flat picture would cancel badly in float32.
    centre = truth.mean(dim=(1, 2, 3), keepdim=True)
    a, b = image - centre, truth - centre
    mean_a, mean_b = mean(a), mean(b)
    variance_a = (mean(a * a) - mean_a**2).clamp_min(0)
    variance_b = (mean(b * b) - mean_b**2).clamp_min(0)
    covariance = mean(a * b) - mean_a * mean_b
    light_a, light_b = mean_a + centre, mean_b + centre
    luminance = (2 * light_a * light_b + c1) / (light_a**2 + light_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def least_squares_generator(verdict: Tensor) -> Tensor:
    """(D(G(x)) - 1)^2 / 2, `verdict` (N,) in 0..1: Deep-Z; Mao et al. 2017."""
    return 0.5 * (verdict - 1).square().mean()


def least_squares_discriminator(made: Tensor, recorded: Tensor) -> Tensor:
    """(D(G(x))^2 + (D(y) - 1)^2) / 2, both (N,) in 0..1."""
    return 0.5 * (made.square().mean() + (recorded - 1).square().mean())


def non_saturating_generator(logit: Tensor) -> Tensor:
    """-log D(G(x)), `logit` (N,): Wang et al. 2019; Goodfellow et al. 2014."""
    return functional.softplus(-logit).mean()


def non_saturating_discriminator(made: Tensor, recorded: Tensor) -> Tensor:
    """-log D(y) - log(1 - D(G(x))), both logits (N,)."""
    return functional.softplus(-recorded).mean() + functional.softplus(made).mean()


def similarity_loss(image: Tensor, truth: Tensor, *, ssim_weight: float = 1.0) -> Tensor:
    """MSE - nu log((1 + SSIM) / 2): the part without a discriminator in Wang et al. 2019."""
    similarity = ((1 + ssim(image, truth)) / 2).clamp_min(1e-6)
    return (image.float() - truth).square().mean() - ssim_weight * similarity.log().mean()


class AdversarialWeight:
    """Keeps the adversarial part of a loss at a given share of the rest.

    The papers' factors belong to their own scales of intensity and are not all known. Here
    the factor follows running means of both parts, so it drifts slowly and is the same
    wherever a job is resumed from its `state`.
    """

    def __init__(self, share: float = 0.03, memory: float = 0.99) -> None:
        self.share, self.memory = share, memory
        self._means: dict[str, Tensor] = {}

    @property
    def state(self) -> dict[str, float]:
        """Running means of both parts, empty before the first call."""
        return {name: float(mean) for name, mean in self._means.items()}

    @state.setter
    def state(self, state: dict[str, float]) -> None:
        self._means = {name: torch.tensor(mean) for name, mean in state.items()}

    def __call__(self, rest: Tensor, adversarial: Tensor) -> Tensor:
        """Factor for the adversarial part in this iteration, on the device of the losses."""
        for name, value in (("rest", rest), ("adversarial", adversarial)):
            new = value.detach().float().abs()
            old = self._means.get(name, new).to(new.device)
            self._means[name] = self.memory * old + (1 - self.memory) * new
        return self.share * self._means["rest"] / self._means["adversarial"].clamp_min(1e-8)
