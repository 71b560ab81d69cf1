"""Noise2Noise from start to package: pairs, network, fit, scores, export."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.training.export import Card, export_engine
from liverestore.training.fit import FitReport, FitSettings, fit
from liverestore.training.networks import LiveUNet
from liverestore.training.recordings import RecordedPairs, read_recordings
from liverestore.training.score import simulated_scores
from liverestore.training.simulate import Ahead, PairSource, SimulatedPairs
from liverestore.training.specimens import scene

__all__ = ["LIMITS", "N2nJob", "golden_input", "hardware_words", "package_card", "train_n2n"]

HALO_PX = 80
"""Reach of `LiveUNet` in its usual size, rounded up to its grid; a test measures it."""

LIMITS = (
    "for measuring brightness in single pixels or counting molecules: use the raw frames, which "
    "are always kept",
    "as proof that a structure exists that the raw frames, averaged over time, do not show",
    "on frames that were compressed with loss, sharpened or denoised before: their noise is no "
    "longer that of a camera",
    "on colour images or label images",
)


@dataclass(frozen=True, slots=True)
class N2nJob:
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; the checkpoint lies beside it in `NAME.training`."""
    settings: FitSettings
    seed: int = 1
    frames: Path | None = None
    """The user's movie or folder; None trains on simulated specimens."""
    resume: bool = False
    replace: bool = False
    batch: int = 8
    crop_px: int = 128
    pool_size: int = 512
    threads: int | None = None

    @property
    def checkpoint(self) -> Path:
        """State of the training."""
        return self.out.with_name(self.out.name + ".training") / "checkpoint.pt"


def golden_input() -> NDArray[np.float32]:
    """(1, 1, 128, 128) stabilised picture that every package carries the answer to."""
    rng = np.random.default_rng(7)
    light = scene((1, 7), (128, 128)) * 40 + 2
    camera = CameraModel(0.0, 1.0, 1.5)
    electrons = rng.poisson(light) + 1.5 * rng.standard_normal(light.shape)
    return camera.stabilise(electrons.astype(np.float32))[None, None]


def network_infer(network: nn.Module) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A torch network as a function of arrays (N, 1, Y, X)."""

    def infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            out: NDArray[np.float32] = network(torch.from_numpy(batch)).numpy()
        return out

    return infer


def hardware_words() -> str:
    """The machine in words, for cards."""
    return f"{os.cpu_count()}-core CPU"


def package_card(
    name: str, training: dict[str, Any], scores: dict[str, Any], *, simulated: bool
) -> Card:
    """The model card of a denoiser made by `train_n2n`."""
    return Card(
        name=name,
        version="0.1.0",
        description=(
            "Denoises fluorescence frames one by one, fast enough for the live view on a CPU: a "
            "small U-Net at half resolution, trained by Noise2Noise "
            + ("on simulated specimens." if simulated else "on recorded frames.")
        ),
        task="denoise",
        photon_range_e=(3.0, 1000.0),
        pixel_size_range_um=(0.05, 0.65) if simulated else None,
        halo_px=HALO_PX,
        training=training,
        scores=scores,
        limits=LIMITS,
    )


def train_n2n(
    job: N2nJob, on_iteration: Callable[[int, float, float], None] | None = None
) -> FitReport:
    """Train, score and export; an interrupted training exports what it has.

    Raises `UserError` before any work when the package exists already, the frames cannot be
    used or there is nothing to resume.
    """
    if job.out.exists() and not job.replace:
        raise UserError(f"{job.out} exists already; choose another --out or give --force")
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    network = LiveUNet()
    source: PairSource
    if job.frames is None:
        source = SimulatedPairs(
            job.seed, batch=job.batch, crop_px=job.crop_px, pool_size=job.pool_size
        )
        data = "simulated specimens and cameras, drawn anew all the time"
    else:
        source = RecordedPairs(
            read_recordings(job.frames),
            job.seed,
            batch=job.batch,
            crop_px=job.crop_px,
            divisor=network.divisor,
        )
        data = f"neighbouring frames of {job.frames.name}"
    with Ahead(source) as ahead:
        report = fit(
            network,
            ahead,
            job.settings,
            job.checkpoint,
            resume=job.resume,
            on_iteration=on_iteration,
        )
    training = training_record(job, report, network, data)
    scores: dict[str, Any] = {}
    if job.frames is None:
        scores["simulated frames, 8 to 120 e"] = simulated_scores(network_infer(network))
    card = package_card(job.out.name, training, scores, simulated=job.frames is None)
    export_engine(
        network, job.out, card, golden_input(), divisor=network.divisor, replace=job.replace
    )
    return report


def training_record(job: N2nJob, report: FitReport, network: LiveUNet, data: str) -> dict[str, Any]:
    """The recipe, for the card."""
    return {
        "method": "Noise2Noise in the variance-stabilised domain",
        "data": data,
        "loss": job.settings.loss,
        "network": f"LiveUNet widths {list(network.widths)}, blocks "
        f"{list(network.down_blocks)} down and {list(network.up_blocks)} up, "
        f"{sum(p.numel() for p in network.parameters())} parameters",
        "seed": job.seed,
        "iterations": report.iterations,
        "batch": f"{job.batch} crops of {job.crop_px} px",
        "learning_rate": job.settings.learning_rate,
        "ema_decay": job.settings.ema_decay,
        "seconds": round(report.seconds),
        "hardware": hardware_words(),
        "precision": "bfloat16, float32 at the end" if job.settings.bf16 else "float32",
    }
