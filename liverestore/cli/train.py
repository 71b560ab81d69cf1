"""`liverestore train`: make an engine from simulated specimens or from one's own frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from liverestore.cli.train_beside_live import beside_live
from liverestore.cli.train_cross_modality import cross_modality
from liverestore.cli.train_deepz import deepz, deepz_plus
from liverestore.cli.train_options import (
    Averaged,
    Batch,
    Bf16,
    Crop,
    Device,
    Force,
    From,
    HalfWeights,
    Iterations,
    LearningRate,
    Out,
    Resume,
    Seconds,
    Seed,
    Threads,
)
from liverestore.cli.train_progress import chosen_device, need_training_packages, with_bar

if TYPE_CHECKING:
    from liverestore.training.noise_diagnosis import NoiseDiagnosis

__all__ = ["train_app"]

_DEFAULT_N2N_S = 600.0
_DEFAULT_N2V_S = 120.0
_N2N_RATES = {"live": 1e-3, "noise2noise": 3e-4}
_N2N_SIZES = {
    ("live", "cpu"): (8, 128),
    ("live", "cuda"): (32, 128),
    ("noise2noise", "cpu"): (4, 128),
    ("noise2noise", "cuda"): (16, 256),
}
"""Pictures in one step and their edge in pixels."""

train_app = typer.Typer(
    help="Train an engine and write its package.", no_args_is_help=True, add_completion=False
)


@train_app.callback()
def _train() -> None:
    """Train an engine and write its package."""


def _say(line: str) -> None:
    Console(highlight=False, soft_wrap=True).print(line, markup=False)


@train_app.command("n2n")
def n2n(
    frames: Annotated[
        Path | None,
        typer.Argument(help="Noisy movie, or folder of them; none: simulated specimens."),
    ] = None,
    out: Out = Path("engines/my-denoiser"),
    network: Annotated[
        Literal["live", "noise2noise"],
        typer.Option(help="Small and fast on a CPU; or that of the Noise2Noise paper."),
    ] = "live",
    start: From = None,
    averaged: Averaged = False,
    seconds: Seconds = None,
    iterations: Iterations = None,
    batch: Batch = None,
    crop: Crop = None,
    learning_rate: LearningRate = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    device: Device = "auto",
    bf16: Bf16 = None,
    half_weights: HalfWeights = None,
    threads: Threads = None,
) -> None:
    """Train a denoiser by Noise2Noise.

    Ctrl-C ends the training early: what is learned so far is kept, exported, and goes on
    with --resume. Without --seconds and --iterations it takes ten minutes.
    """
    need_training_packages()
    from liverestore.training.fit import FitSettings
    from liverestore.training.n2n import N2nJob, train_n2n

    if seconds is None and iterations is None:
        seconds = _DEFAULT_N2N_S
    where = chosen_device(device)
    usual_batch, usual_crop = _N2N_SIZES[network, where]
    job = N2nJob(
        out=out,
        settings=FitSettings(
            iterations=iterations,
            seconds=seconds,
            learning_rate=learning_rate or _N2N_RATES[network],
            bf16=where == "cuda" if bf16 is None else bf16,
        ),
        seed=seed,
        frames=frames,
        network=network,
        start=start,
        averaged=averaged,
        batch=batch or usual_batch,
        crop_px=crop or usual_crop,
        resume=resume,
        replace=force,
        device=where,
        half_weights=half_weights,
        threads=threads,
    )
    with_bar(lambda show: train_n2n(job, show, _say), out)


@train_app.command("n2v")
def n2v(
    frames: Annotated[Path, typer.Argument(help="Noisy movie or image, or a folder of them.")],
    out: Out = Path("engines/my-n2v"),
    start: From = None,
    averaged: Averaged = False,
    seconds: Seconds = None,
    iterations: Iterations = None,
    batch: Batch = None,
    crop: Crop = None,
    learning_rate: LearningRate = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    device: Device = "auto",
    bf16: Bf16 = None,
    half_weights: HalfWeights = None,
    threads: Threads = None,
) -> None:
    """Train a denoiser on noisy frames alone, by Noise2Void (N2V2).

    The noise is looked at first; where it is correlated along rows or columns, the masks
    follow it, and where whole rows share it, neighbouring frames teach each other. Without
    --seconds and --iterations it takes two minutes.
    """
    need_training_packages()
    from liverestore.training.n2v import N2vJob, train_n2v

    if seconds is None and iterations is None:
        seconds = _DEFAULT_N2V_S
    where = chosen_device(device)
    job = N2vJob(
        frames=frames,
        out=out,
        seconds=seconds,
        iterations=iterations,
        learning_rate=learning_rate or 1e-3,
        seed=seed,
        start=start,
        averaged=averaged,
        batch=batch or 8,
        crop_px=crop or 96,
        resume=resume,
        replace=force,
        device=where,
        bf16=where == "cuda" if bf16 is None else bf16,
        half_weights=half_weights,
        threads=threads,
    )

    def diagnosed(diagnosis: NoiseDiagnosis) -> None:
        _say(diagnosis.words)

    with_bar(lambda show: train_n2v(job, show, diagnosed, _say), out)


train_app.command("deepz")(deepz)
train_app.command("deepz-plus")(deepz_plus)
train_app.command("cross-modality")(cross_modality)
train_app.command("beside-live")(beside_live)
