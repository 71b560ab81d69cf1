"""What all trainings share: their options, their course, and the record of it for the card."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from liverestore.errors import UserError
from liverestore.training.accelerator import DeviceName, choose_device, hardware_words
from liverestore.training.adversarial import AdversarialReport, AdversarialSettings, sharpen
from liverestore.training.ahead import Ahead, PairSource
from liverestore.training.export import Card, export_engine
from liverestore.training.fit import (
    FitReport,
    FitSettings,
    fit,
    load_checkpoint,
    take_state,
    update_average,
)
from liverestore.training.lineage import (
    check_out,
    check_same_course,
    check_seed,
    lineage,
    release_words,
)
from liverestore.training.warm_start import Origin, take_weights

__all__ = [
    "Course",
    "Infer",
    "OnIteration",
    "TrainingOptions",
    "checkpoint_of",
    "command_line",
    "infer_with",
    "shown",
]

OnIteration = Callable[[int, float, float], None]
"""Gets (iteration, loss, progress 0..1)."""
Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, C, Y, X) float32 to (N, 1, Y, X) float32."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What every training can be told."""

    seed: int = 1
    resume: bool = False
    replace: bool = False
    """Replace the package if it exists."""
    batch: int = 8
    crop_px: int = 128
    device: DeviceName = "cpu"
    start: str | None = None
    """Engine, by name or folder, whose weights are trained further; None: random weights."""
    averaged: bool = False
    """Export the mean of the weights of `start` and of those reached."""
    half_weights: bool | None = None
    """Store the weights in float16; None: where they take more than 20 MB."""
    threads: int | None = None
    """Processor cores to take; None leaves torch its own choice."""


def checkpoint_of(out: Path, name: str = "checkpoint") -> Path:
    """State of the training of the package `out`, in the folder `NAME.training` beside it."""
    return out.with_name(out.name + ".training") / f"{name}.pt"


def shown(path: Path) -> str:
    """A path as it may stand in a card: relative to where the command ran, else its name."""
    here = Path.cwd()
    full = path.resolve()
    return full.relative_to(here).as_posix() if full.is_relative_to(here) else path.name


def infer_with(network: nn.Module) -> Infer:
    """A torch network on the CPU as a function of arrays."""

    def infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            out: NDArray[np.float32] = network(torch.from_numpy(batch)).numpy()
        return out

    return infer


def command_line(
    method: list[str],
    out: Path,
    options: TrainingOptions,
    settings: FitSettings,
    steps: int,
    start: str | None = None,
) -> str:
    """The command that trains this engine again, in `steps` iterations."""
    words = ["liverestore", "train", *method, "--out", shown(out)]
    if start is not None:
        words += ["--from", shown(Path(start)) if Path(start).is_dir() else start]
        words += ["--averaged"] if options.averaged else []
    words += ["--seed", f"{options.seed}", "--iterations", f"{steps}"]
    words += ["--batch", f"{options.batch}", "--crop", f"{options.crop_px}"]
    words += ["--learning-rate", f"{settings.learning_rate:g}", "--device", options.device]
    words.append("--bf16" if settings.bf16 else "--no-bf16")
    if options.half_weights is not None:
        words.append("--half-weights" if options.half_weights else "--full-weights")
    return shlex.join(words)


class Course:
    """One training from its options to its record; the trainers put networks and data in."""

    def __init__(self, out: Path, options: TrainingOptions, *, adversarial: bool = False) -> None:
        """`adversarial` is the second job, from the checkpoint of the first.

        Raises `UserError` when the package exists already or cannot be written there, the device
        is not there, the seed is that of a test set, an engine to start from is named where the
        weights are those of a checkpoint, or this checkpoint is missing or of another seed or
        batch.
        """
        check_out(out)
        if out.exists() and not options.replace:
            raise UserError(f"{out} exists already; choose another --out or give --force")
        check_seed(options.seed)
        if options.start is not None and (options.resume or adversarial):
            goes_on = "--resume" if options.resume else "--adversarial"
            raise UserError(
                f"{goes_on} --from {options.start}: got two sets of weights; allowed is one: "
                f"{goes_on} goes on from the checkpoint of {out.name}, --from begins a training "
                "anew; leave one out"
            )
        if options.averaged and (adversarial or (options.start is None and not options.resume)):
            raise UserError(
                "--averaged without --from: got one set of weights; allowed is the mean of those "
                "to start from and those reached; name an engine with --from"
            )
        self.device = choose_device(options.device)
        if options.threads is not None:
            torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self.out, self.options = out, options
        self.origin: Origin | None = None
        self.crop_px = options.crop_px
        """Edge of a crop; set it where the recordings allow only smaller ones."""
        before = self._state_before(adversarial=adversarial)
        self._before = {} if before is None else self._course_of(before)
        self.simulations = lineage(None if before is None else self._before)
        """Revisions of the simulation that the weights have seen."""

    def _state_before(self, *, adversarial: bool) -> dict[str, Any] | None:
        """The checkpoint that this training goes on from."""
        first = checkpoint_of(self.out)
        if adversarial and not first.is_file():
            raise UserError(f"no checkpoint at {first}; train without --adversarial first")
        if self.options.resume:
            path = checkpoint_of(self.out, "adversarial") if adversarial else first
            state = load_checkpoint(path)
            check_same_course(path, self._course_of(state), self._asked())
            return state
        return load_checkpoint(first) if adversarial else None

    @staticmethod
    def _course_of(state: dict[str, Any]) -> dict[str, Any]:
        """What a checkpoint says of its training; older ones know little but their loss."""
        settings = state.get("settings", {})
        known = {"loss": settings["loss"]} if "loss" in settings else {}
        return {**known, **state.get("made_with", {})}

    def _asked(self) -> dict[str, Any]:
        return {"seed": self.options.seed, "batch": self.options.batch}

    def _made_with(self, checkpoint: Path, **more: Any) -> dict[str, Any]:
        """What goes into the checkpoint; refuses to go on with another course."""
        now = {**self._asked(), "crop_px": self.crop_px, **more}
        if self.options.resume:
            check_same_course(checkpoint, self._before, now)
        return {**now, "simulations": self.simulations}

    def run(
        self,
        network: nn.Module,
        source: PairSource,
        settings: FitSettings,
        on_iteration: OnIteration | None,
    ) -> FitReport:
        """Train `network` with the pairs of `source`; afterwards it is on the CPU.

        Raises `UserError` when there is nothing to resume or to start from, or it would go on
        with another crop or loss.
        """
        made_with = self._made_with(checkpoint_of(self.out), loss=settings.loss)
        noted = checkpoint_of(self.out).with_name("continued_from.json")
        if self.options.start is not None:
            self.origin = take_weights(network, self.options.start)
            self.origin.save(noted)
        elif self.options.resume:
            self._recall(network)
        else:
            noted.unlink(missing_ok=True)
        begun = self._begun(network) if self.options.averaged else None
        network.to(self.device)
        with Ahead(source, device=self.device) as ahead:
            report = fit(
                network,
                ahead,
                settings,
                checkpoint_of(self.out),
                resume=self.options.resume,
                on_iteration=on_iteration,
                made_with=made_with,
            )
        network.to("cpu")
        if begun is not None:
            update_average(network, begun, 0.5)
        return report

    def _begun(self, network: nn.Module) -> nn.Module:
        """The network that this training began from, for `--averaged`.

        Half-way between it and where the training comes to (Wortsman et al. 2022,
        arXiv:2109.01903), what an engine knew of specimens that the new training shows less often
        is kept. The checkpoint has the weights reached, so that the training can go on. Read
        before the training, because `--out` may be the folder of that engine.

        Raises `UserError` where there is none, or another engine has its name by now.
        """
        if self.origin is None:
            raise UserError("--averaged: this training was not continued from an engine; leave it")
        begun = copy.deepcopy(network)
        if take_weights(begun, self.origin.engine).sha256 != self.origin.sha256:
            raise UserError(
                f"--averaged: {self.origin.engine} is no longer the engine that this training was "
                f"continued from (sha256 {self.origin.sha256[:8]}); put that one back, or leave it"
            )
        return begun

    def _recall(self, network: nn.Module) -> None:
        """Remember the engine that the training to go on with was continued from."""
        self.origin = Origin.load(checkpoint_of(self.out).with_name("continued_from.json"))
        if self.origin is not None:
            self.origin.apply(network)

    def sharpen(
        self,
        network: nn.Module,
        discriminator: nn.Module,
        source: PairSource,
        settings: AdversarialSettings,
        on_iteration: OnIteration | None,
    ) -> AdversarialReport:
        """The second job, from the weights that the first one left; then it is on the CPU.

        Raises `UserError` when there is nothing to resume or to sharpen.
        """
        first, second = checkpoint_of(self.out), checkpoint_of(self.out, "adversarial")
        made_with = self._made_with(second)
        take_state(first, (network, load_checkpoint(first)["average"]))
        self._recall(network)
        network.to(self.device)
        with Ahead(source, device=self.device) as ahead:
            report = sharpen(
                network,
                discriminator.to(self.device),
                ahead,
                settings,
                second,
                resume=self.options.resume,
                on_iteration=on_iteration,
                made_with=made_with,
            )
        network.to("cpu")
        return report

    def export(
        self, network: nn.Module, card: Card, test_input: NDArray[np.float32], divisor: int
    ) -> None:
        """Write the package."""
        export_engine(
            network,
            self.out,
            card,
            test_input,
            divisor=divisor,
            replace=self.options.replace,
            half_weights=self.options.half_weights,
        )

    def record(
        self,
        words: list[str],
        settings: FitSettings,
        report: FitReport | AdversarialReport,
        network: nn.Module,
        network_words: str,
        **recipe: Any,
    ) -> dict[str, Any]:
        """The recipe for the card; `words` are those of the command that say what this
        training is, `recipe` what is the method's own.
        """
        options, origin = replace(self.options, crop_px=self.crop_px), self.origin
        steps = report.iterations
        if settings.iterations is not None and not report.interrupted:
            steps = settings.iterations
        start = options.start if origin is None else origin.engine
        command = command_line(words, self.out, options, settings, steps, start)
        if isinstance(report, AdversarialReport):
            before = int(load_checkpoint(checkpoint_of(self.out))["iteration"])
            first = command_line(words, self.out, options, settings, before, start)
            command = command_line(words, self.out, options, settings, steps)
            command = f"{first} && {command} --adversarial --force"
        record: dict[str, Any] = {
            **recipe,
            **release_words(self.simulations),
            "network": f"{network_words}, {sum(p.numel() for p in network.parameters())} "
            "parameters",
            "seed": options.seed,
            "iterations": report.iterations,
            "batch": f"{options.batch} crops of {options.crop_px} px",
            "learning_rate": settings.learning_rate,
            "ema_decay": settings.ema_decay,
            "seconds": round(report.seconds),
            "hardware": hardware_words(self.device),
            "precision": "bfloat16, float32 at the end" if settings.bf16 else "float32",
        }
        if isinstance(report, AdversarialReport):
            del record["learning_rate"]
            record["precision"] = "bfloat16" if settings.bf16 else "float32"
        if origin is not None:
            record["continued_from"] = origin.record()
            record["total_iterations"] = origin.iterations + report.iterations
            record["total_seconds"] = origin.seconds + round(report.seconds)
            if options.averaged:
                record["averaged"] = "mean of the weights continued from and those reached"
        record["command"] = command
        return record
