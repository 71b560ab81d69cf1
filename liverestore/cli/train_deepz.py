"""`liverestore train deepz` and `deepz-plus`: networks that refocus one frame."""

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

__all__ = ["deepz", "deepz_plus"]

_SIZES = {"cpu": (8, 128), "cuda": (20, 256)}
"""Pictures in one step and their edge in pixels."""
_RATES = {"deepz": 5e-4, "live": 1e-3}
_DEFAULT_SECONDS = 3600.0

Stacks = Annotated[
    list[Path] | None,
    typer.Argument(help="Widefield z-stacks of your own; none: simulated specimens."),
]
Rig = Annotated[
    str | None,
    typer.Option(help="Microscope: its optics are simulated, or give your stacks their units."),
]
Width = Annotated[
    float, typer.Option(min=0.05, max=1.0, help="Width of the network: 1, 0.5 or 0.25.")
]
Network = Annotated[
    Literal["deepz", "live"],
    typer.Option(help="The published network, or one that learns and runs faster on a CPU."),
]
ZStep = Annotated[
    float | None, typer.Option("--z-step", help="um between planes, if the files do not say it.")
]
Reach = Annotated[float, typer.Option(min=0.5, help="Farthest distance to refocus, in um.")]
Adversarial = Annotated[
    bool,
    typer.Option(
        "--adversarial",
        help="Second job: sharpen, against a discriminator, what was trained to --out before.",
    ),
]


def deepz(
    stacks: Stacks = None,
    out: Out = Path("engines/my-refocus"),
    rig: Rig = None,
    network: Network = "deepz",
    width: Width = 0.25,
    z_step: ZStep = None,
    reach: Reach = 10.0,
    start: From = None,
    averaged: Averaged = False,
    seconds: Seconds = None,
    iterations: Iterations = None,
    batch: Batch = None,
    crop: Crop = None,
    learning_rate: LearningRate = None,
    adversarial: Adversarial = False,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    device: Device = "auto",
    bf16: Bf16 = None,
    half_weights: HalfWeights = None,
    threads: Threads = None,
) -> None:
    """Train Deep-Z: one widefield frame refocused to any plane near it.

    From simulation, or from registered z-stacks of your own (with --rig). Without --seconds
    and --iterations it takes an hour. Deep-Z is patented (US 11,946,854).
    """
    _train(
        confocal=False,
        stacks=stacks,
        targets=None,
        out=out,
        rig=rig,
        network=network,
        width=width,
        z_step=z_step,
        reach=reach,
        start=start,
        averaged=averaged,
        length=(seconds, iterations),
        size=(batch, crop),
        learning_rate=learning_rate,
        adversarial=adversarial,
        seed=seed,
        resume=resume,
        force=force,
        device=device,
        bf16=bf16,
        half_weights=half_weights,
        threads=threads,
    )


def deepz_plus(
    stacks: Stacks = None,
    confocal: Annotated[
        list[Path] | None,
        typer.Option(help="Confocal stack of the same field, one for each widefield stack."),
    ] = None,
    out: Out = Path("engines/my-confocal-refocus"),
    rig: Rig = None,
    network: Network = "deepz",
    width: Width = 0.25,
    z_step: ZStep = None,
    reach: Reach = 10.0,
    start: From = None,
    averaged: Averaged = False,
    seconds: Seconds = None,
    iterations: Iterations = None,
    batch: Batch = None,
    crop: Crop = None,
    learning_rate: LearningRate = None,
    adversarial: Adversarial = False,
    seed: Seed = 1,
    resume: Resume = False,
    force: Force = False,
    device: Device = "auto",
    bf16: Bf16 = None,
    half_weights: HalfWeights = None,
    threads: Threads = None,
) -> None:
    """Train Deep-Z+: one widefield frame to a confocal picture of any plane near it.

    From simulation, or from pairs of stacks of your own (with --rig and --confocal), which are
    registered first. Without --seconds and --iterations it takes an hour. Deep-Z is patented
    (US 11,946,854).
    """
    _train(
        confocal=True,
        stacks=stacks,
        targets=confocal,
        out=out,
        rig=rig,
        network=network,
        width=width,
        z_step=z_step,
        reach=reach,
        start=start,
        averaged=averaged,
        length=(seconds, iterations),
        size=(batch, crop),
        learning_rate=learning_rate,
        adversarial=adversarial,
        seed=seed,
        resume=resume,
        force=force,
        device=device,
        bf16=bf16,
        half_weights=half_weights,
        threads=threads,
    )


def _train(
    *,
    confocal: bool,
    stacks: list[Path] | None,
    targets: list[Path] | None,
    out: Path,
    rig: str | None,
    network: Literal["deepz", "live"],
    width: float,
    z_step: float | None,
    reach: float,
    start: str | None,
    averaged: bool,
    length: tuple[float | None, int | None],
    size: tuple[int | None, int | None],
    learning_rate: float | None,
    adversarial: bool,
    seed: int,
    resume: bool,
    force: bool,
    device: Literal["auto", "cpu", "cuda"],
    bf16: bool | None,
    half_weights: bool | None,
    threads: int | None,
) -> None:
    from liverestore.cli.train_progress import (
        chosen_device,
        need_training_packages,
        rig_camera,
        with_bar,
    )
    from liverestore.rig import load_rig
    from liverestore.rig_optics import optics_of

    need_training_packages()
    from liverestore.training.fit import FitSettings
    from liverestore.training.refocus_job import RefocusJob, train_refocusing

    seconds, iterations = length
    if seconds is None and iterations is None:
        seconds = _DEFAULT_SECONDS
    where = chosen_device(device)
    batch, crop = (given or usual for given, usual in zip(size, _SIZES[where], strict=True))
    config = None if rig is None else load_rig(rig)
    job = RefocusJob(
        out=out,
        settings=FitSettings(
            iterations=iterations,
            seconds=seconds,
            loss="l1",
            learning_rate=learning_rate or _RATES[network],
            bf16=where == "cuda" if bf16 is None else bf16,
        ),
        confocal=confocal,
        adversarial=adversarial,
        network=network,
        width=width,
        seed=seed,
        stacks=tuple(stacks or ()),
        confocal_stacks=tuple(targets or ()),
        rig=rig,
        optics=None if config is None else optics_of(config),
        camera=rig_camera(config),
        z_step_um=z_step,
        reach_um=reach,
        resume=resume,
        replace=force,
        start=start,
        averaged=averaged,
        batch=batch,
        crop_px=crop,
        device=where,
        half_weights=half_weights,
        threads=threads,
    )
    with_bar(lambda show: train_refocusing(job, show), out)
