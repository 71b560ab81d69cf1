"""Noise2Void on the user's own frames, from diagnosis to package, in about two minutes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel, estimate_from_frame, estimate_from_movie
from liverestore.errors import UserError
from liverestore.training.blind_spots import BlindSpotPairs
from liverestore.training.export import Card, export_engine
from liverestore.training.fit import FitReport, FitSettings, fit
from liverestore.training.n2n import LIMITS, golden_input, hardware_words
from liverestore.training.n2v2_unet import N2V2UNet
from liverestore.training.noise_diagnosis import NoiseDiagnosis, diagnose
from liverestore.training.recordings import RecordedPairs, read_recordings
from liverestore.training.simulate import Ahead, PairSource

__all__ = ["N2vJob", "train_n2v"]

HALO_PX = 40
"""Reach of `N2V2UNet` with two levels, rounded up to its grid; a test measures it."""


@dataclass(frozen=True, slots=True)
class N2vJob:
    """One training: which frames, how long, where to."""

    frames: Path
    """Movie, image or folder of them."""
    out: Path
    """Folder of the engine package; the checkpoint lies beside it in `NAME.training`."""
    seconds: float | None = None
    iterations: int | None = None
    seed: int = 1
    resume: bool = False
    replace: bool = False
    bf16: bool = False
    channels: int = 16
    threads: int | None = None
    """Processor cores to take; None leaves torch its own choice."""

    @property
    def checkpoint(self) -> Path:
        """State of the training."""
        return self.out.with_name(self.out.name + ".training") / "checkpoint.pt"


def train_n2v(
    job: N2vJob,
    on_iteration: Callable[[int, float, float], None] | None = None,
    on_diagnosis: Callable[[NoiseDiagnosis], None] | None = None,
) -> FitReport:
    """Look at the noise, choose the remedy, train, export.

    White noise: N2V2. Noise correlated over some pixels: structN2V along it. Whole rows or
    columns: pairs of neighbouring frames. Raises `UserError` when the package exists already
    or the frames cannot be used.
    """
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    if job.out.exists() and not job.replace:
        raise UserError(f"{job.out} exists already; choose another --out or give --force")
    movies = read_recordings(job.frames, least_frames=1)
    cameras = [_camera(movie) for movie in movies]
    stabilised = [
        camera.stabilise(np.ascontiguousarray(movie))
        for camera, movie in zip(cameras, movies, strict=True)
    ]
    longest = max(stabilised, key=len)
    diagnosis = diagnose(longest)
    if on_diagnosis is not None:
        on_diagnosis(diagnosis)
    torch.manual_seed(job.seed)
    network = N2V2UNet(
        job.channels,
        level=float(np.mean([z.mean() for z in stabilised])),
        scale=max(float(np.mean([z.std() for z in stabilised])), 1.0),
    )
    source, loss, method = _source(job, diagnosis, movies, stabilised, network.divisor)
    settings = FitSettings(
        iterations=job.iterations,
        seconds=job.seconds,
        loss=loss,
        bf16=job.bf16,
        warm_up_iterations=50,
        ema_decay=0.995,
    )
    with Ahead(source) as ahead:
        report = fit(
            network, ahead, settings, job.checkpoint, resume=job.resume, on_iteration=on_iteration
        )
    card = _card(job, report, diagnosis, method, cameras, movies)
    export_engine(
        network, job.out, card, golden_input(), divisor=network.divisor, replace=job.replace
    )
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
) -> tuple[PairSource, str, str]:
    """Pairs, loss and the method's name for what was diagnosed."""
    if diagnosis.kind in ("rows", "columns"):
        several = [movie for movie in movies if movie.shape[0] > 1]
        pairs = RecordedPairs(several, job.seed, crop_px=96, divisor=divisor)
        return pairs, "l2", "Noise2Noise between neighbouring frames"
    if diagnosis.kind in ("along_x", "along_y"):
        spots = BlindSpotPairs(
            stabilised,
            job.seed,
            direction="x" if diagnosis.kind == "along_x" else "y",
            reach_px=diagnosis.reach_px,
            # Longer spots lie farther apart.
            block_px=max(7, 2 * diagnosis.reach_px + 3),
            divisor=divisor,
        )
        return spots, "l2_known", f"structN2V over {2 * diagnosis.reach_px + 1} px"
    return BlindSpotPairs(stabilised, job.seed, divisor=divisor), "l2_known", "N2V2"


def _card(
    job: N2vJob,
    report: FitReport,
    diagnosis: NoiseDiagnosis,
    method: str,
    cameras: list[CameraModel],
    movies: list[NDArray[np.generic]],
) -> Card:
    light = [
        np.quantile(camera.to_electrons(movie), [0.5, 0.9999])
        for camera, movie in zip(cameras, movies, strict=True)
    ]
    training: dict[str, Any] = {
        "method": method,
        "data": f"recorded frames, {job.frames.name}",
        "noise": diagnosis.words,
        "seed": job.seed,
        "iterations": report.iterations,
        "seconds": round(report.seconds),
        "hardware": hardware_words(),
    }
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Denoises frames like those of {job.frames.name}, trained on them alone.",
        task="denoise",
        photon_range_e=(
            round(max(float(min(low for low, _ in light)), 0.0), 2),
            round(max(float(max(high for _, high in light)), 1.0), 1),
        ),
        pixel_size_range_um=None,
        halo_px=HALO_PX,
        training=training,
        limits=(*LIMITS, "on frames of another specimen or another camera setting"),
    )
