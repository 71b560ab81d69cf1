"""`liverestore train cross-modality`: frames of one microscope into those of a better one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

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

__all__ = ["cross_modality"]

_DEFAULT_SECONDS = 3600.0
_SIZES = {"cpu": (12, 64), "cuda": (24, 128)}
"""Pictures in one step and their edge in pixels."""


def cross_modality(
    to: Annotated[
        Literal["confocal", "sted"],
        typer.Option(help="confocal, from widefield; or sted, from confocal."),
    ] = "confocal",
    inputs: Annotated[
        Path | None,
        typer.Option(help="Your own images, file or folder; none: simulated specimens."),
    ] = None,
    targets: Annotated[
        Path | None, typer.Option(help="The same fields by the better microscope.")
    ] = None,
    registered: Annotated[
        bool, typer.Option("--registered", help="They fit already, pixel by pixel.")
    ] = False,
    out: Out = Path("engines/my-cross-modality"),
    rig: Annotated[
        str | None, typer.Option(help="Rig whose camera numbers to use; else they are estimated.")
    ] = None,
    width: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Width of the network, 1 as published.")
    ] = 1.0,
    start: From = None,
    averaged: Averaged = False,
    seconds: Seconds = None,
    iterations: Iterations = None,
    batch: Batch = None,
    crop: Crop = None,
    learning_rate: LearningRate = None,
    adversarial: Annotated[
        bool,
        typer.Option(
            "--adversarial",
            help="Second job: sharpen, against a discriminator, what was trained to --out before.",
        ),
    ] = False,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    device: Device = "auto",
    bf16: Bf16 = None,
    half_weights: HalfWeights = None,
    threads: Threads = None,
) -> None:
    """Train a network from one modality to a better one.

    From simulation, or from pairs of your own, which are registered first. Without --seconds
    and --iterations it takes an hour.
    """
    from liverestore.cli.train_progress import (
        chosen_device,
        need_training_packages,
        rig_camera,
        with_bar,
    )
    from liverestore.rig import load_rig

    need_training_packages()
    from liverestore.training.cross_modality_job import CrossModalityJob, train_cross_modality
    from liverestore.training.fit import FitSettings

    if seconds is None and iterations is None:
        seconds = _DEFAULT_SECONDS
    where = chosen_device(device)
    usual_batch, usual_crop = _SIZES[where]
    job = CrossModalityJob(
        out=out,
        settings=FitSettings(
            iterations=iterations,
            seconds=seconds,
            loss="l2",
            learning_rate=learning_rate or 3e-4,
            bf16=where == "cuda" if bf16 is None else bf16,
        ),
        modality=to,
        adversarial=adversarial,
        width=width,
        seed=seed,
        inputs=inputs,
        targets=targets,
        registered=registered,
        rig=rig,
        camera=rig_camera(None if rig is None else load_rig(rig)),
        resume=resume,
        replace=force,
        start=start,
        averaged=averaged,
        batch=batch or usual_batch,
        crop_px=crop or usual_crop,
        device=where,
        half_weights=half_weights,
        threads=threads,
    )
    with_bar(lambda show: train_cross_modality(job, show), out)
