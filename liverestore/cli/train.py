"""`liverestore train`: make an engine from simulated specimens or from one's own frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liverestore.cli.train_cross_modality import cross_modality
from liverestore.cli.train_deepz import deepz, deepz_plus
from liverestore.cli.train_options import (
    Bf16,
    Force,
    Iterations,
    Resume,
    Seconds,
    Seed,
    Threads,
)
from liverestore.cli.train_progress import need_training_packages, with_bar

if TYPE_CHECKING:
    from liverestore.training.noise_diagnosis import NoiseDiagnosis

__all__ = ["train_app"]

_DEFAULT_N2N_S = 600.0
_DEFAULT_N2V_S = 120.0

train_app = typer.Typer(
    help="Train an engine and write its package.", no_args_is_help=True, add_completion=False
)

Out = Annotated[Path, typer.Option(help="Folder of the new engine.")]


@train_app.callback()
def _train() -> None:
    """Train an engine and write its package."""


@train_app.command("n2n")
def n2n(
    frames: Annotated[
        Path | None,
        typer.Argument(help="Noisy movie, or folder of them; none: simulated specimens."),
    ] = None,
    out: Out = Path("engines/my-denoiser"),
    seconds: Seconds = None,
    iterations: Iterations = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    bf16: Bf16 = False,
    threads: Threads = None,
) -> None:
    """Train a live denoiser by Noise2Noise.

    Ctrl-C ends the training early: what is learned so far is kept, exported, and goes on
    with --resume. Without --seconds and --iterations it takes ten minutes.
    """
    need_training_packages()
    from liverestore.training.fit import FitSettings
    from liverestore.training.n2n import N2nJob, train_n2n

    if seconds is None and iterations is None:
        seconds = _DEFAULT_N2N_S
    job = N2nJob(
        out=out,
        settings=FitSettings(iterations=iterations, seconds=seconds, bf16=bf16),
        seed=seed,
        frames=frames,
        resume=resume,
        replace=force,
        threads=threads,
    )
    with_bar(lambda show: train_n2n(job, show), out)


@train_app.command("n2v")
def n2v(
    frames: Annotated[Path, typer.Argument(help="Noisy movie or image, or a folder of them.")],
    out: Out = Path("engines/my-n2v"),
    seconds: Seconds = None,
    iterations: Iterations = None,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    bf16: Bf16 = False,
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
    job = N2vJob(
        frames=frames,
        out=out,
        seconds=seconds,
        iterations=iterations,
        seed=seed,
        resume=resume,
        replace=force,
        threads=threads,
        bf16=bf16,
    )

    def say(diagnosis: NoiseDiagnosis) -> None:
        Console(highlight=False, soft_wrap=True).print(diagnosis.words)

    with_bar(lambda show: train_n2v(job, show, say), out)


train_app.command("deepz")(deepz)
train_app.command("deepz-plus")(deepz_plus)
train_app.command("cross-modality")(cross_modality)
