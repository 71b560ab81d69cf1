"""Cross-modality networks from start to package: pairs, network, fit, scores, export."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.training.adversarial import AdversarialReport, AdversarialSettings, sharpen
from liverestore.training.cross_modality_networks import (
    CrossModalityDiscriminator,
    CrossModalityGenerator,
)
from liverestore.training.cross_modality_pairs import Modality, PairFiles, SimulatedModalities
from liverestore.training.export import Card, export_engine
from liverestore.training.fit import FitReport, FitSettings, fit, load_checkpoint
from liverestore.training.gan_losses import ssim
from liverestore.training.photographs import LightRanges
from liverestore.training.recorded_volumes import level_and_scale, read_pairs
from liverestore.training.score import affine_psnr
from liverestore.training.simulate import Ahead, PairSource

__all__ = ["HALO_PX", "CrossModalityJob", "modality_scores", "train_cross_modality"]

HALO_PX = 144
"""Reach of `CrossModalityGenerator`, rounded up to its grid; a test measures it."""
_SEED = 915
"""Trainings with this seed would see the fields of the test."""
_NAMES: dict[Modality, tuple[str, str]] = {
    "confocal": ("widefield", "confocal"),
    "sted": ("confocal", "STED"),
}
_LIMITS = (
    "as proof of structures finer than the input resolves: they are guessed from what specimens "
    "of the training look like",
    "on structures, objectives or samplings unlike those of the training",
    "for measuring brightness, counting molecules, or co-localisation: use recorded images",
)


@dataclass(frozen=True, slots=True)
class CrossModalityJob:
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; checkpoints lie beside it in `NAME.training`."""
    settings: FitSettings
    modality: Modality = "confocal"
    adversarial: bool = False
    """The second job, from the checkpoint of the first."""
    width: float = 1.0
    seed: int = 1
    inputs: Path | None = None
    """The user's own pictures of the worse instrument, file or folder; None: simulation."""
    targets: Path | None = None
    """Those of the better one, in the same order."""
    registered: bool = False
    """The user's pairs fit already, pixel by pixel."""
    camera: CameraModel | None = None
    resume: bool = False
    replace: bool = False
    batch: int = 12
    crop_px: int = 64
    pool_size: int = 128
    score_fields: int = 8
    threads: int | None = None

    @property
    def checkpoint(self) -> Path:
        """State of the training with the pixel loss."""
        return self.out.with_name(self.out.name + ".training") / "checkpoint.pt"

    @property
    def adversarial_checkpoint(self) -> Path:
        """State of the second job."""
        return self.checkpoint.with_name("adversarial.pt")


def _source(job: CrossModalityJob) -> tuple[PairSource, str, dict[str, float]]:
    if job.inputs is None and job.targets is None:
        source = SimulatedModalities(
            job.seed,
            job.modality,
            batch=job.batch,
            crop_px=job.crop_px,
            pool_size=job.pool_size,
        )
        return source, "simulated specimens, microscopes and cameras only", {}
    if job.inputs is None or job.targets is None:
        raise UserError(
            "own pairs need both --inputs and --targets; leave out both to train on simulation"
        )
    seen, wanted = read_pairs(job.inputs, job.targets, job.camera, registered=job.registered)
    files = PairFiles(job.seed, seen, wanted, batch=job.batch, crop_px=job.crop_px)
    how = "registered by their owner" if job.registered else "registered rigidly and elastically"
    level, scale = level_and_scale(seen)
    return files, f"{len(seen)} recorded pairs, {how}", {"level": level, "scale": scale}


def modality_scores(
    network: torch.nn.Module, modality: Modality, fields: int = 8, crop_px: int = 128
) -> dict[str, float]:
    """Mean affine PSNR (dB, on the light) and SSIM of input and output on unseen fields."""
    light = LightRanges(peak_e=(200.0, 200.0), background_e=(3.0, 3.0), scale=(1.0, 1.0))
    source = SimulatedModalities(
        _SEED, modality, light=light, batch=fields, crop_px=crop_px, pool_size=fields
    )
    seen, truth = source.pair(0)
    with torch.no_grad():
        made: Tensor = network(seen)

    def psnr(image: Tensor) -> float:
        pairs = zip(image[:, 0].numpy(), truth[:, 0].numpy(), strict=True)
        return round(float(np.mean([affine_psnr(a**2, b**2) for a, b in pairs])), 2)

    return {
        "input_psnr_db": psnr(seen),
        "network_psnr_db": psnr(made),
        "input_ssim": round(float(ssim(seen, truth).mean()), 3),
        "network_ssim": round(float(ssim(made, truth).mean()), 3),
        "fields": float(fields),
    }


def golden_input(modality: Modality) -> NDArray[np.float32]:
    """(1, 1, 128, 128): one simulated input."""
    return SimulatedModalities(7, modality, batch=1, pool_size=1).pair(0)[0].numpy()


def train_cross_modality(
    job: CrossModalityJob, on_iteration: Callable[[int, float, float], None] | None = None
) -> FitReport | AdversarialReport:
    """Train, score and export; an interrupted training exports what it has.

    Raises `UserError` before any work when the package exists already, the pairs cannot be
    used, or there is nothing to resume or to sharpen.
    """
    if job.out.exists() and not job.replace:
        raise UserError(f"{job.out} exists already; choose another --out or give --force")
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    source, data, span = _source(job)
    network = CrossModalityGenerator(job.width, **span)
    report: FitReport | AdversarialReport
    with Ahead(source) as ahead:
        if job.adversarial:
            network.load_state_dict(load_checkpoint(job.checkpoint)["average"])
            report = sharpen(
                network,
                CrossModalityDiscriminator(job.width, **span),
                ahead,
                AdversarialSettings(
                    "cross-modality",
                    iterations=job.settings.iterations,
                    seconds=job.settings.seconds,
                    discriminator_rate=1e-5,
                    discriminator_every=1,
                ),
                job.adversarial_checkpoint,
                resume=job.resume,
                on_iteration=on_iteration,
            )
        else:
            report = fit(
                network,
                ahead,
                job.settings,
                job.checkpoint,
                resume=job.resume,
                on_iteration=on_iteration,
            )
    scores: dict[str, Any] = {}
    if job.inputs is None and job.score_fields > 0:
        scores["simulated, 200 e"] = modality_scores(network, job.modality, job.score_fields)
    export_engine(
        network,
        job.out,
        _card(job, data, report, scores),
        golden_input(job.modality),
        divisor=network.divisor,
        replace=job.replace,
    )
    return report


def _card(
    job: CrossModalityJob,
    data: str,
    report: FitReport | AdversarialReport,
    scores: dict[str, Any],
) -> Card:
    worse, better = _NAMES[job.modality]
    sharpened = "adversarial part of 3 % on top of the squared error and SSIM"
    training = {
        "method": "cross-modality (Wang et al. 2019)",
        "data": data,
        "loss": sharpened if job.adversarial else f"{job.settings.loss} (pixels only)",
        "network": f"cross-modality generator, width {job.width:g}, "
        f"{sum(p.numel() for p in CrossModalityGenerator(job.width).parameters())} parameters",
        "seed": job.seed,
        "iterations": report.iterations,
        "batch": f"{job.batch} crops of {job.crop_px} px",
        "seconds": round(report.seconds),
        "hardware": f"{os.cpu_count()}-core CPU",
    }
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Turns {worse} frames into what a {better} microscope would show, trained "
        f"on {data}.",
        task=f"{worse}-to-{better}".lower(),
        photon_range_e=LightRanges().peak_e,
        pixel_size_range_um=None,
        halo_px=HALO_PX,
        training=training,
        scores=scores,
        limits=_LIMITS,
        tags=("super-resolution",),
        cite=(
            {
                "text": "Wang et al. 2019, Deep learning enables cross-modality super-resolution "
                "in fluorescence microscopy",
                "doi": "10.1038/s41592-018-0239-0",
            },
        ),
    )
