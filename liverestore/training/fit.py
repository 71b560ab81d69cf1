"""The training loop: resumable, interruptible, averaged weights, one seed.

The learning rate rises for a moment, stays, and falls along a cosine over the last half;
an exponential moving average (EMA) of the weights is what gets exported. Unaveraged weights
in mid-training are worth 1 to 2 dB less and jump from one checkpoint to the next.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from liverestore.errors import Failure, UserError
from liverestore.training.losses import LOSSES
from liverestore.training.simulate import PairSource

__all__ = ["FitReport", "FitSettings", "fit", "load_checkpoint"]


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how to train. Give `iterations` or `seconds`; the first reached ends it."""

    iterations: int | None = None
    seconds: float | None = None
    learning_rate: float = 1e-3
    loss: str = "l2"
    warm_up_iterations: int = 200
    constant_share: float = 0.5
    """Share of the job before the learning rate begins to fall."""
    ema_decay: float = 0.999
    bf16: bool = False
    """Multiply in bfloat16 (twice as fast where the processor has it), but for the last
    `exact_share`: weights that settled in bfloat16 leave a faint grid in float32."""
    exact_share: float = 0.08
    checkpoint_every_s: float = 120.0

    def __post_init__(self) -> None:
        if self.iterations is None and self.seconds is None:
            raise UserError("training length: give iterations or seconds")
        if self.loss not in LOSSES:
            raise UserError(f"loss '{self.loss}' is not known; known: {', '.join(LOSSES)}")


@dataclass(frozen=True, slots=True)
class FitReport:
    """What a call of `fit` did."""

    iterations: int
    """Done in total, earlier calls that were resumed included."""
    seconds: float
    """Spent in total."""
    losses: tuple[float, ...]
    """One value an iteration of this call."""
    interrupted: bool


def _progress(settings: FitSettings, iteration: int, seconds: float) -> float:
    shares = []
    if settings.iterations is not None:
        shares.append(iteration / max(settings.iterations, 1))
    if settings.seconds is not None:
        shares.append(seconds / max(settings.seconds, 1e-9))
    return max(shares)


def _rate_factor(settings: FitSettings, iteration: int, progress: float) -> float:
    rise = min(1.0, (iteration + 1) / max(settings.warm_up_iterations, 1))
    start = settings.constant_share
    if progress <= start:
        return rise
    fall = 0.5 * (1 + math.cos(math.pi * min((progress - start) / (1 - start), 1.0)))
    return rise * max(fall, 1e-3)


def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


def _save(path: Path, state: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """State written by `fit`: "network", "average", "optimiser", "iteration", "seconds",
    "settings". Raises `UserError` when the file is missing and `Failure` when it is damaged.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; train without --resume first")
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise Failure(f"checkpoint {path} cannot be read: {error}") from error
    return state


def fit(
    network: nn.Module,
    source: PairSource,
    settings: FitSettings,
    checkpoint: Path,
    *,
    resume: bool = False,
    on_iteration: Callable[[int, float, float], None] | None = None,
) -> FitReport:
    """Train `network` in place; at the end it holds the averaged weights.

    `on_iteration` gets (iteration, loss, progress 0..1). The state goes to `checkpoint`
    every `checkpoint_every_s` and at the end; Ctrl-C saves and returns. With `resume` the
    state is taken up again, and a job counted in iterations gives the same weights as one
    that was never stopped.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
    average = copy.deepcopy(network)
    iteration, before_s = 0, 0.0
    if resume:
        state = load_checkpoint(checkpoint)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        iteration, before_s = int(state["iteration"]), float(state["seconds"])
    loss_of = LOSSES[settings.loss]
    started = time.monotonic()
    saved = started
    losses: list[float] = []
    interrupted = False

    def keep() -> None:
        _save(
            checkpoint,
            {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "iteration": iteration,
                "seconds": before_s + time.monotonic() - started,
                "settings": asdict(settings),
            },
        )

    network.train()
    try:
        while True:
            now = time.monotonic()
            progress = _progress(settings, iteration, before_s + now - started)
            if progress >= 1:
                break
            if now - saved > settings.checkpoint_every_s:
                keep()
                saved = now
            for group in optimiser.param_groups:
                factor = _rate_factor(settings, iteration, progress)
                group["lr"] = settings.learning_rate * factor
            noisy, target = source.pair(iteration)
            coarse = settings.bf16 and progress < 1 - settings.exact_share
            with torch.autocast("cpu", torch.bfloat16, enabled=coarse):
                output: Tensor = network(noisy.contiguous(memory_format=torch.channels_last))
            loss = loss_of(output, target, progress)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            # The average forgets the first steps sooner than its decay says.
            _update_average(average, network, min(settings.ema_decay, iteration / (iteration + 10)))
            iteration += 1
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise Failure(
                    f"training diverged at iteration {iteration} (loss {losses[-1]}); "
                    "take a smaller learning rate"
                )
            if on_iteration is not None:
                on_iteration(iteration, losses[-1], progress)
    except KeyboardInterrupt:
        interrupted = True
    keep()
    network.load_state_dict(average.state_dict())
    network.eval()
    return FitReport(iteration, before_s + time.monotonic() - started, tuple(losses), interrupted)
