"""The training loop: resumable, interruptible, averaged weights, one seed.

The learning rate rises for a moment, stays, and falls along a cosine over the last half;
an exponential moving average (EMA) of the weights is what gets exported. Unaveraged weights
in mid-training are worth 1 to 2 dB less and jump from one checkpoint to the next.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from liverestore.errors import Failure, UserError
from liverestore.file_moves import move_over
from liverestore.training.accelerator import (
    device_of,
    exact_products,
    fast_products,
    in_bfloat16,
)
from liverestore.training.ahead import PairSource
from liverestore.training.losses import LOSSES, Loss

__all__ = [
    "FitReport",
    "FitSettings",
    "LossLog",
    "fit",
    "fit_step",
    "load_checkpoint",
    "save_checkpoint",
    "take_state",
    "update_average",
]


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
    """Multiply in bfloat16 (twice as fast where the processor has it, many times on a GPU), but
    for the last `exact_share`, which is float32 to the last bit: weights that settled in bfloat16
    leave a faint grid in float32."""
    exact_share: float = 0.08
    checkpoint_every_s: float = 120.0
    processor_threads: int = 0
    """Count `seconds` in processor time of so many threads, for a training that gives way to
    others and would learn little by the clock; 0: by the clock."""

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


def _clock(settings: FitSettings) -> Callable[[], float]:
    if settings.processor_threads:
        return lambda: time.process_time() / settings.processor_threads
    return time.monotonic


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


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the weights of `average` towards those of `network`, in place."""
    with torch.no_grad():
        slow: list[Tensor] = list(average.parameters())
        fast: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(slow, fast, 1 - decay)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    move_over(partial, path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """State written by `fit`: "network", "average", "optimiser", "iteration", "seconds",
    "settings". Raises `UserError` when the file is missing and `Failure` when it is damaged.
    """
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; train without --resume first")
    try:
        # To the CPU first: a training may go on where there is another device.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise Failure(f"checkpoint {path} cannot be read: {error}") from error
    return state


def take_state(path: Path, *pairs: tuple[nn.Module, Mapping[str, Any]]) -> None:
    """Give networks their weights of the checkpoint at `path`, for messages.

    Raises `UserError` where a network is another one than that of its weights.
    """
    try:
        for network, weights in pairs:
            network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{path} is of another network; allowed is the one that it was trained with: give the "
            "same --network and --width, or train anew"
        ) from error


class LossLog:
    """Losses of the iterations; those of a GPU are fetched by and by, because each fetch waits
    for all work that is queued there.
    """

    def __init__(
        self,
        device: torch.device,
        names: str,
        on_iteration: Callable[[int, float, float], None] | None,
    ) -> None:
        self._block = 20 if device.type == "cuda" else 1
        self._names, self._on_iteration = names, on_iteration
        self._waiting: list[tuple[int, float, Tensor]] = []
        self.rows: list[tuple[float, ...]] = []
        """All losses of each iteration."""

    def add(self, iteration: int, progress: float, losses: Tensor) -> None:
        """The losses (K,) of this iteration, on any device; the first is the one to show."""
        self._waiting.append((iteration, progress, losses.detach()))
        if len(self._waiting) >= self._block:
            self.fetch()

    def fetch(self) -> None:
        """Fetch what waits; raises `Failure` when a loss is not finite."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        fetched = torch.stack([losses for *_, losses in waiting]).tolist()
        for (iteration, progress, _), row in zip(waiting, fetched, strict=True):
            self.rows.append(tuple(row))
            if not all(math.isfinite(loss) for loss in row):
                raise Failure(
                    f"training diverged at iteration {iteration} ({self._names} {row}); take a "
                    "smaller learning rate"
                )
            if self._on_iteration is not None:
                self._on_iteration(iteration, row[0], progress)


def fit_step(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    pair: tuple[Tensor, Tensor],
    loss_of: Loss,
    progress: float,
    *,
    bf16: bool,
) -> Tensor:
    """One step of the optimiser; the loss, a scalar that nobody has waited for."""
    noisy, target = pair
    with in_bfloat16(noisy.device, enabled=bf16):
        output: Tensor = network(noisy.contiguous(memory_format=torch.channels_last))
    loss = loss_of(output, target, progress)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return loss.detach()


def fit(
    network: nn.Module,
    source: PairSource,
    settings: FitSettings,
    checkpoint: Path,
    *,
    resume: bool = False,
    on_iteration: Callable[[int, float, float], None] | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> FitReport:
    """Train `network` in place, where it is; at the end it holds the averaged weights.

    `source` gives pairs on the device of the network. `on_iteration` gets (iteration, loss,
    progress 0..1), on a GPU some iterations late. The state goes to `checkpoint` every
    `checkpoint_every_s` and at the end; Ctrl-C saves and returns. With `resume` the state is
    taken up again, also on another device, and on the CPU a job counted in iterations gives the
    same weights as one that was never stopped. (A GPU adds in an order of its own: its weights
    are the same up to rounding, at first.) `made_with` goes into the checkpoint as it is. Raises
    `Failure` when the loss is no longer finite.
    """
    device = device_of(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), settings.learning_rate, betas=(0.9, 0.99))
    average = copy.deepcopy(network)
    iteration, before_s = 0, 0.0
    if resume:
        state = load_checkpoint(checkpoint)
        take_state(checkpoint, (network, state["network"]), (average, state["average"]))
        optimiser.load_state_dict(state["optimiser"])
        iteration, before_s = int(state["iteration"]), float(state["seconds"])
    loss_of = LOSSES[settings.loss]
    log = LossLog(device, "loss", on_iteration)
    clock = _clock(settings)
    started = clock()
    saved = started
    interrupted = False

    def keep() -> None:
        save_checkpoint(
            checkpoint,
            {
                "network": network.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
                "iteration": iteration,
                "seconds": before_s + clock() - started,
                "settings": asdict(settings),
                "made_with": dict(made_with or {}),
            },
        )

    network.train()
    with fast_products(device):
        try:
            while True:
                now = clock()
                progress = _progress(settings, iteration, before_s + now - started)
                if progress >= 1:
                    break
                if now - saved > settings.checkpoint_every_s:
                    log.fetch()
                    keep()
                    saved = now
                for group in optimiser.param_groups:
                    factor = _rate_factor(settings, iteration, progress)
                    group["lr"] = settings.learning_rate * factor
                exact = progress >= 1 - settings.exact_share
                exact_products(device, exact=exact)
                pair = source.pair(iteration)
                bf16 = settings.bf16 and not exact
                loss = fit_step(network, optimiser, pair, loss_of, progress, bf16=bf16)
                # The average forgets the first steps sooner than its decay says.
                decay = min(settings.ema_decay, iteration / (iteration + 10))
                update_average(average, network, decay)
                iteration += 1
                log.add(iteration, progress, loss[None])
            log.fetch()
        except KeyboardInterrupt:
            interrupted = True
    keep()
    network.load_state_dict(average.state_dict())
    network.eval()
    losses = tuple(row[0] for row in log.rows)
    return FitReport(iteration, before_s + clock() - started, losses, interrupted)
