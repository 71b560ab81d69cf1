"""Cross-modality networks from start to package: pairs, network, fit, scores, export."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.training.accelerator import spare_workers
from liverestore.training.adversarial import AdversarialReport, AdversarialSettings
from liverestore.training.ahead import PairSource
from liverestore.training.cross_modality_networks import (
    CrossModalityDiscriminator,
    CrossModalityGenerator,
)
from liverestore.training.cross_modality_pairs import (
    OPTICS_WORDS,
    Modality,
    PairFiles,
    SimulatedModalities,
)
from liverestore.training.export import Card
from liverestore.training.fit import FitReport, FitSettings
from liverestore.training.gan_losses import ssim
from liverestore.training.job import Course, OnIteration, TrainingOptions, checkpoint_of, shown
from liverestore.training.photographs import LightRanges, photographed
from liverestore.training.recorded_volumes import level_and_scale, read_pairs
from liverestore.training.score import affine_psnr

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


@dataclass(frozen=True)
class CrossModalityJob(TrainingOptions):
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; checkpoints lie beside it in `NAME.training`."""
    settings: FitSettings
    modality: Modality = field(default="confocal", kw_only=True)
    adversarial: bool = field(default=False, kw_only=True)
    """The second job, from the checkpoint of the first."""
    width: float = field(default=1.0, kw_only=True)
    inputs: Path | None = field(default=None, kw_only=True)
    """The user's own pictures of the worse instrument, file or folder; None: simulation."""
    targets: Path | None = field(default=None, kw_only=True)
    """Those of the better one, in the same order."""
    registered: bool = field(default=False, kw_only=True)
    """The user's pairs fit already, pixel by pixel."""
    rig: str | None = field(default=None, kw_only=True)
    """Where `camera` comes from, for the record."""
    camera: CameraModel | None = field(default=None, kw_only=True)
    batch: int = field(default=12, kw_only=True)
    crop_px: int = field(default=64, kw_only=True)
    pool_size: int | None = field(default=None, kw_only=True)
    """Simulated fields at hand; None: 128, on a GPU 512."""
    score_fields: int = field(default=8, kw_only=True)

    @property
    def checkpoint(self) -> Path:
        """State of the training with the pixel loss."""
        return checkpoint_of(self.out)

    @property
    def adversarial_checkpoint(self) -> Path:
        """State of the second job."""
        return checkpoint_of(self.out, "adversarial")

    @property
    def words(self) -> list[str]:
        """The part of the command line that is this method's own."""
        words = ["cross-modality", "--to", self.modality]
        for name, path in (("--inputs", self.inputs), ("--targets", self.targets)):
            if path is not None:
                words += [name, shown(path)]
        if self.registered:
            words.append("--registered")
        if self.rig is not None:
            words += ["--rig", shown(Path(self.rig)) if Path(self.rig).is_file() else self.rig]
        return [*words, "--width", f"{self.width:g}"]


def _source(
    job: CrossModalityJob, device: torch.device
) -> tuple[PairSource, str, dict[str, float], tuple[float, float]]:
    """Pairs, words for them, the range of values for the network, and the light in electrons."""
    if job.inputs is None and job.targets is None:
        source = SimulatedModalities(
            job.seed,
            job.modality,
            batch=job.batch,
            crop_px=job.crop_px,
            pool_size=job.pool_size or (128 if device.type == "cpu" else 512),
            device=device,
            workers=spare_workers(device),
        )
        return source, "simulated specimens, microscopes and cameras only", {}, LightRanges().peak_e
    if job.inputs is None or job.targets is None:
        raise UserError(
            "own pairs need both --inputs and --targets; leave out both to train on simulation"
        )
    seen, wanted, light = read_pairs(job.inputs, job.targets, job.camera, registered=job.registered)
    files = PairFiles(job.seed, seen, wanted, batch=job.batch, crop_px=job.crop_px)
    how = "registered by their owner" if job.registered else "registered rigidly and elastically"
    level, scale = level_and_scale(seen)
    return files, f"{len(seen)} recorded pairs, {how}", {"level": level, "scale": scale}, light


def modality_scores(
    network: torch.nn.Module, modality: Modality, fields: int = 8, crop_px: int = 128
) -> dict[str, float]:
    """Mean affine PSNR (dB, on the light) and SSIM of input and output on unseen fields, two of
    each microscope.
    """
    light = LightRanges(peak_e=(200.0, 200.0), background_e=(3.0, 3.0), scale=(1.0, 1.0))
    source = SimulatedModalities(_SEED, modality, light=light, crop_px=crop_px, pool_size=1)
    pictures: tuple[list[Tensor], list[Tensor]] = ([], [])
    for number in range(fields):
        # Eight fields share a microscope.
        for image, kept in zip(source.field(8 * (number // 2) + number % 2), pictures, strict=True):
            low = (image.shape[0] - crop_px) // 2
            kept.append(image[low : low + crop_px, low : low + crop_px])
    worse, better = (torch.stack(kept)[:, None] for kept in pictures)
    taken = photographed(worse, better, torch.Generator().manual_seed(_SEED), light)
    seen, truth = taken.noisy, taken.mean
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
        "microscopes": float((fields + 1) // 2),
    }


def golden_input(modality: Modality) -> NDArray[np.float32]:
    """(1, 1, 128, 128): one simulated input."""
    return SimulatedModalities(7, modality, batch=1, pool_size=1).pair(0)[0].numpy()


def train_cross_modality(
    job: CrossModalityJob, on_iteration: OnIteration | None = None
) -> FitReport | AdversarialReport:
    """Train, score and export; an interrupted training exports what it has.

    Raises `UserError` before any work when the package exists already, the pairs or the engine
    to start from cannot be used, or there is nothing to resume or to sharpen.
    """
    course = Course(job.out, job, adversarial=job.adversarial)
    source, data, span, light = _source(job, course.device)
    network = CrossModalityGenerator(job.width, **span)
    report: FitReport | AdversarialReport
    if job.adversarial:
        settings = AdversarialSettings(
            "cross-modality",
            iterations=job.settings.iterations,
            seconds=job.settings.seconds,
            discriminator_rate=1e-5,
            discriminator_every=1,
            bf16=job.settings.bf16,
        )
        discriminator = CrossModalityDiscriminator(job.width, **span)
        report = course.sharpen(network, discriminator, source, settings, on_iteration)
    else:
        report = course.run(network, source, job.settings, on_iteration)
    scores: dict[str, Any] = {}
    if job.inputs is None and job.score_fields > 0:
        scores["simulated, 200 e"] = modality_scores(network, job.modality, job.score_fields)
    sharpened = "adversarial part of 3 % on top of the squared error and SSIM"
    optics = {} if job.inputs is not None else {"optics": OPTICS_WORDS[job.modality]}
    training = course.record(
        job.words,
        job.settings,
        report,
        network,
        f"cross-modality generator, width {job.width:g}",
        method="cross-modality (Wang et al. 2019)",
        data=data,
        loss=sharpened if job.adversarial else f"{job.settings.loss} (pixels only)",
        **optics,
    )
    course.export(
        network,
        _card(job, data, light, training, scores),
        golden_input(job.modality),
        network.divisor,
    )
    return report


def _card(
    job: CrossModalityJob,
    data: str,
    light: tuple[float, float],
    training: dict[str, Any],
    scores: dict[str, Any],
) -> Card:
    worse, better = _NAMES[job.modality]
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Turns {worse} frames into what a {better} microscope would show, trained "
        f"on {data}.",
        task=f"{worse}-to-{better}".lower(),
        photon_range_e=light,
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
