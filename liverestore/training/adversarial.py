"""The second job: a generator that fits its pixels is sharpened against a discriminator.

The first job is `fit.fit` with a pixel loss, to its plateau. Here the generator keeps that loss
and gets, on top, a small part that says how well it deceives; the discriminator is trained in
the same loop. Every iteration trains the generator; the discriminator follows at every
`discriminator_every`th (Deep-Z: 6 to 3 updates).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from liverestore.errors import UserError
from liverestore.training.accelerator import device_of, fast_products, in_bfloat16
from liverestore.training.ahead import PairSource
from liverestore.training.fit import (
    LossLog,
    load_checkpoint,
    save_checkpoint,
    take_state,
    update_average,
)
from liverestore.training.gan_losses import (
    AdversarialWeight,
    least_squares_discriminator,
    least_squares_generator,
    non_saturating_discriminator,
    non_saturating_generator,
    similarity_loss,
)

__all__ = ["AdversarialReport", "AdversarialSettings", "sharpen"]

Recipe = Literal["deepz", "cross-modality"]


@dataclass(frozen=True, slots=True)
class AdversarialSettings:
    """How long and how to train. Give `iterations` or `seconds`; the first reached ends it."""

    recipe: Recipe
    """"deepz": least squares and MAE; "cross-modality": non-saturating, MSE and SSIM."""
    iterations: int | None = None
    seconds: float | None = None
    generator_rate: float = 1e-4
    discriminator_rate: float = 3e-5
    discriminator_every: int = 2
    share: float = 0.03
    """Adversarial part of the generator's loss, relative to the rest."""
    ema_decay: float = 0.999
    bf16: bool = False
    """Multiply in bfloat16."""
    checkpoint_every_s: float = 120.0

    def __post_init__(self) -> None:
        if self.iterations is None and self.seconds is None:
            raise UserError("training length: give iterations or seconds")
        if self.recipe not in ("deepz", "cross-modality"):
            raise UserError(f"recipe '{self.recipe}': allowed are deepz and cross-modality")
        if not 0 <= self.share <= 1 or self.discriminator_every < 1:
            raise UserError(
                f"adversarial training: got a share of {self.share} and a discriminator every "
                f"{self.discriminator_every} iterations; allowed are 0 to 1, and 1 or more"
            )


@dataclass(frozen=True, slots=True)
class AdversarialReport:
    """What a call of `sharpen` did; one value of each loss an iteration of this call."""

    iterations: int
    seconds: float
    pixel: tuple[float, ...]
    adversarial: tuple[float, ...]
    discriminator: tuple[float, ...]
    """The last known value where an iteration did not train it."""
    interrupted: bool


def _deepz_pixel(made: Tensor, truth: Tensor) -> Tensor:
    return (made.float() - truth).abs().mean()


_PIXEL: dict[Recipe, Callable[[Tensor, Tensor], Tensor]] = {
    "deepz": _deepz_pixel,
    "cross-modality": similarity_loss,
}
_DECEIVE: dict[Recipe, Callable[[Tensor], Tensor]] = {
    "deepz": least_squares_generator,
    "cross-modality": non_saturating_generator,
}
_TELL: dict[Recipe, Callable[[Tensor, Tensor], Tensor]] = {
    "deepz": least_squares_discriminator,
    "cross-modality": non_saturating_discriminator,
}


class _Job:
    """Networks, optimisers and what a checkpoint keeps of them."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        settings: AdversarialSettings,
        made_with: Mapping[str, Any],
    ) -> None:
        self.settings, self.made_with = settings, dict(made_with)
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator)
        self.make = torch.optim.Adam(generator.parameters(), settings.generator_rate)
        self.tell = torch.optim.Adam(discriminator.parameters(), settings.discriminator_rate)
        self.weight = AdversarialWeight(settings.share)
        self.iteration, self.before_s = 0, 0.0
        self.device = device_of(generator)
        self.last_told = torch.tensor(math.nan, device=self.device)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before_s + time.monotonic() - self._started

    @property
    def progress(self) -> float:
        shares = []
        if self.settings.iterations is not None:
            shares.append(self.iteration / max(self.settings.iterations, 1))
        if self.settings.seconds is not None:
            shares.append(self.seconds / max(self.settings.seconds, 1e-9))
        return max(shares)

    def save(self, path: Path) -> None:
        state = {
            "network": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "make": self.make.state_dict(),
            "tell": self.tell.state_dict(),
            "weight": self.weight.state,
            "last_told": float(self.last_told),
            "iteration": self.iteration,
            "seconds": self.seconds,
            "settings": asdict(self.settings),
            "made_with": self.made_with,
        }
        save_checkpoint(path, state)

    def load(self, path: Path) -> None:
        state = load_checkpoint(path)
        if "discriminator" not in state:
            raise UserError(
                f"{path} is of a training without a discriminator; give another checkpoint file "
                "for the adversarial job"
            )
        take_state(
            path,
            (self.generator, state["network"]),
            (self.average, state["average"]),
            (self.discriminator, state["discriminator"]),
        )
        self.make.load_state_dict(state["make"])
        self.tell.load_state_dict(state["tell"])
        self.weight.state = state["weight"]
        self.last_told = torch.tensor(float(state["last_told"]), device=self.device)
        self.iteration, self.before_s = int(state["iteration"]), float(state["seconds"])

    def step(self, seen: Tensor, truth: Tensor) -> Tensor:
        """One iteration; pixel, adversarial and discriminator loss, (3,), not waited for."""
        recipe, bf16 = self.settings.recipe, self.settings.bf16

        def judged(image: Tensor) -> Tensor:
            with in_bfloat16(self.device, enabled=bf16):
                verdict: Tensor = self.discriminator(image)
            return verdict.float()

        with in_bfloat16(self.device, enabled=bf16):
            made = self.generator(seen.contiguous(memory_format=torch.channels_last)).float()
        if self.iteration % self.settings.discriminator_every == 0:
            self.discriminator.requires_grad_(True)
            told = _TELL[recipe](judged(made.detach()), judged(truth))
            self.tell.zero_grad(set_to_none=True)
            told.backward()  # type: ignore[no-untyped-call]
            self.tell.step()
            self.last_told = told.detach()
        # The generator's gradient passes through the discriminator, not into its weights.
        self.discriminator.requires_grad_(False)
        pixel = _PIXEL[recipe](made, truth)
        deceive = _DECEIVE[recipe](judged(made))
        loss = pixel + self.weight(pixel, deceive) * deceive
        self.make.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.make.step()
        decay = min(self.settings.ema_decay, self.iteration / (self.iteration + 10))
        update_average(self.average, self.generator, decay)
        self.iteration += 1
        return torch.stack([pixel.detach(), deceive.detach(), self.last_told])


def sharpen(
    generator: nn.Module,
    discriminator: nn.Module,
    source: PairSource,
    settings: AdversarialSettings,
    checkpoint: Path,
    *,
    resume: bool = False,
    on_iteration: Callable[[int, float, float], None] | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> AdversarialReport:
    """Train both networks in place, where they are; at the end `generator` holds its averaged
    weights.

    `generator` comes from a finished pixel training. `on_iteration` gets (iteration, pixel
    loss, progress 0..1). The state goes to `checkpoint` now and then and at the end; Ctrl-C
    saves and returns; with `resume` it is taken up again. `made_with` goes into the checkpoint as
    it is. Raises `Failure` when a loss is no longer finite.
    """
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    job = _Job(generator, discriminator, settings, made_with or {})
    if resume:
        job.load(checkpoint)
    generator.train()
    discriminator.train()
    saved = job.seconds
    log = LossLog(job.device, "pixel, adversarial and discriminator loss", on_iteration)
    interrupted = False
    with fast_products(job.device):
        try:
            while (progress := job.progress) < 1:
                losses = job.step(*source.pair(job.iteration))
                log.add(job.iteration, progress, losses)
                if job.seconds - saved > settings.checkpoint_every_s:
                    log.fetch()
                    job.save(checkpoint)
                    saved = job.seconds
            log.fetch()
        except KeyboardInterrupt:
            interrupted = True
    discriminator.requires_grad_(True)
    job.save(checkpoint)
    generator.load_state_dict(job.average.state_dict())
    generator.eval()
    pixel, adversarial, told = (tuple(row[k] for row in log.rows) for k in range(3))
    return AdversarialReport(job.iteration, job.seconds, pixel, adversarial, told, interrupted)
