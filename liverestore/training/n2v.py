"""Noise2Void on the user's own frames, from diagnosis to package, in about two minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel, estimate_from_frame, estimate_from_movie
from liverestore.training.blind_spots import BlindSpotPairs
from liverestore.training.export import Card
from liverestore.training.fit import FitReport, FitSettings
from liverestore.training.job import Course, OnIteration, TrainingOptions, checkpoint_of, shown
from liverestore.training.n2n import LIMITS, golden_input
from liverestore.training.n2v2_unet import N2V2UNet
from liverestore.training.noise_diagnosis import NoiseDiagnosis, diagnose
from liverestore.training.recordings import (
    RecordedPairs,
    photon_range,
    read_recordings,
    smaller_crop,
)

__all__ = ["N2vJob", "train_n2v"]

HALO_PX = 40
"""Reach of `N2V2UNet` with two levels, rounded up to its grid; a test measures it."""


@dataclass(frozen=True)
class N2vJob(TrainingOptions):
    """One training: which frames, how long, where to."""

    frames: Path
    """Movie, image or folder of them."""
    out: Path
    """Folder of the engine package; the checkpoint lies beside it in `NAME.training`."""
    seconds: float | None = field(default=None, kw_only=True)
    iterations: int | None = field(default=None, kw_only=True)
    learning_rate: float = field(default=1e-3, kw_only=True)
    bf16: bool = field(default=False, kw_only=True)
    channels: int = field(default=16, kw_only=True)
    crop_px: int = field(default=96, kw_only=True)
    gives_way: bool = field(default=False, kw_only=True)
    """Count `seconds` in processor time, as this process runs only when no other wants to."""

    @property
    def checkpoint(self) -> Path:
        """State of the training."""
        return checkpoint_of(self.out)


def train_n2v(
    job: N2vJob,
    on_iteration: OnIteration | None = None,
    on_diagnosis: Callable[[NoiseDiagnosis], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> FitReport:
    """Look at the noise, choose the remedy, train, export.

    `say` is told, in a line each, how the recordings were taken and cropped.

    White noise: N2V2. Noise correlated over some pixels: structN2V along it. Whole rows or
    columns: pairs of neighbouring frames. Raises `UserError` when the package exists already
    or the frames cannot be used.
    """
    course = Course(job.out, job)
    movies = read_recordings(job.frames, least_frames=1, say=say)
    cameras = [_camera(movie) for movie in movies]
    stabilised = [
        camera.stabilise(np.ascontiguousarray(movie))
        for camera, movie in zip(cameras, movies, strict=True)
    ]
    longest = max(stabilised, key=len)
    diagnosis = diagnose(longest)
    if on_diagnosis is not None:
        on_diagnosis(diagnosis)
    network = N2V2UNet(
        job.channels,
        level=float(np.mean([z.mean() for z in stabilised])),
        scale=max(float(np.mean([z.std() for z in stabilised])), 1.0),
    )
    source, loss, method = _source(job, diagnosis, movies, stabilised, network.divisor)
    course.crop_px = source.crop_px
    smaller = smaller_crop(job.crop_px, source.crop_px)
    if say is not None and smaller is not None:
        say(smaller)
    settings = FitSettings(
        iterations=job.iterations,
        seconds=job.seconds,
        learning_rate=job.learning_rate,
        loss=loss,
        bf16=job.bf16,
        warm_up_iterations=50,
        ema_decay=0.995,
        processor_threads=(job.threads or 1) if job.gives_way else 0,
    )
    report = course.run(network, source, settings, on_iteration)
    training = course.record(
        ["n2v", shown(job.frames)],
        settings,
        report,
        network,
        f"N2V2 U-Net, {job.channels} channels",
        method=method,
        data=f"recorded frames, {job.frames.name}",
        noise=diagnosis.words,
    )
    card = _card(job, training, cameras, movies)
    course.export(network, card, golden_input(), network.divisor)
    return report


def _camera(movie: NDArray[np.generic]) -> CameraModel:
    if movie.shape[0] < 2:
        return estimate_from_frame(movie[0])
    return estimate_from_movie(movie)


def _source(
    job: N2vJob,
    diagnosis: NoiseDiagnosis,
    movies: list[NDArray[np.generic]],
    stabilised: list[NDArray[np.float32]],
    divisor: int,
) -> tuple[RecordedPairs | BlindSpotPairs, str, str]:
    """Pairs, loss and the method's name for what was diagnosed."""
    if diagnosis.kind in ("rows", "columns"):
        several = [movie for movie in movies if movie.shape[0] > 1]
        pairs = RecordedPairs(
            several, job.seed, batch=job.batch, crop_px=job.crop_px, divisor=divisor
        )
        return pairs, "l2", "Noise2Noise between neighbouring frames"
    if diagnosis.kind in ("along_x", "along_y"):
        spots = BlindSpotPairs(
            stabilised,
            job.seed,
            batch=job.batch,
            crop_px=job.crop_px,
            direction="x" if diagnosis.kind == "along_x" else "y",
            reach_px=diagnosis.reach_px,
            # Longer spots lie farther apart.
            block_px=max(7, 2 * diagnosis.reach_px + 3),
            divisor=divisor,
        )
        return spots, "l2_known", f"structN2V over {2 * diagnosis.reach_px + 1} px"
    pairs_of_spots = BlindSpotPairs(
        stabilised, job.seed, batch=job.batch, crop_px=job.crop_px, divisor=divisor
    )
    return pairs_of_spots, "l2_known", "N2V2"


def _card(
    job: N2vJob,
    training: dict[str, Any],
    cameras: list[CameraModel],
    movies: list[NDArray[np.generic]],
) -> Card:
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Denoises frames like those of {job.frames.name}, trained on them alone.",
        task="denoise",
        photon_range_e=photon_range(cameras, movies),
        pixel_size_range_um=None,
        halo_px=HALO_PX,
        training=training,
        limits=(*LIMITS, "on frames of another specimen or another camera setting"),
    )
