"""Deep-Z and Deep-Z+ from start to package: stacks, network, fit, scores, export."""

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
from liverestore.microscopes import defocus_waves_per_um
from liverestore.optics import Optics
from liverestore.training.adversarial import AdversarialReport, AdversarialSettings, sharpen
from liverestore.training.deepz_networks import DeepZDiscriminator, DeepZGenerator
from liverestore.training.deepz_pairs import (
    OpticsRanges,
    SimulatedRefocusing,
    StackFiles,
    with_dpm,
)
from liverestore.training.export import Card, export_engine
from liverestore.training.fit import FitReport, FitSettings, fit, load_checkpoint
from liverestore.training.photographs import LightRanges, photographed
from liverestore.training.recorded_volumes import level_and_scale, read_stacks
from liverestore.training.refocus_score import RefocusScore, refocus_scores
from liverestore.training.simulate import Ahead, PairSource
from liverestore.training.volumes import Grid, random_volume

__all__ = ["HALO_PX", "PATENT", "RefocusJob", "train_refocusing"]

HALO_PX = 112
"""Reach of `DeepZGenerator`, rounded up to its grid; a test measures it."""

PATENT = (
    "Refocusing one picture with a network that is given the distance is claimed by the patent "
    "US 11,946,854 (WO2020/139835) of the University of California: ask its owner before any "
    "commercial use"
)

_LIMITS = (
    "with optics that look the same above and below focus (no index mismatch, no depth, no "
    "aberration): the sign of the distance is not in the picture and cannot be found",
    "with objectives, depths or distances outside the ranges given here",
    "for measuring brightness, counting molecules, or as proof that a structure exists: use a "
    "recorded stack",
    "in thick, densely labelled samples, where structures lie behind one another",
    PATENT,
)


@dataclass(frozen=True, slots=True)
class RefocusJob:
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; checkpoints lie beside it in `NAME.training`."""
    settings: FitSettings
    confocal: bool = False
    """Deep-Z+: the target is the confocal plane."""
    adversarial: bool = False
    """The second job, from the checkpoint of the first."""
    width: float = 0.25
    seed: int = 1
    stacks: tuple[Path, ...] = ()
    """The user's widefield z-stacks; empty: simulation."""
    confocal_stacks: tuple[Path, ...] = ()
    """One for each of `stacks` (Deep-Z+ only)."""
    optics: Optics | None = None
    """The user's microscope; with it a simulation is made for this one alone."""
    camera: CameraModel | None = None
    z_step_um: float | None = None
    reach_um: float = 10.0
    resume: bool = False
    replace: bool = False
    batch: int = 8
    crop_px: int = 128
    pool_size: int = 48
    score_stacks: int = 8
    threads: int | None = None

    @property
    def checkpoint(self) -> Path:
        """State of the training with the pixel loss."""
        return self.out.with_name(self.out.name + ".training") / "checkpoint.pt"

    @property
    def adversarial_checkpoint(self) -> Path:
        """State of the second job."""
        return self.checkpoint.with_name("adversarial.pt")


def around(optics: Optics) -> OpticsRanges:
    """Simulated microscopes close to the user's own.

    Raises `UserError` where these optics give a picture no sign of the distance.
    """
    mismatch = abs(optics.sample_index - optics.immersion_index)
    if not optics.zernike_waves and mismatch * optics.depth_um < 0.3:
        raise UserError(
            f"these optics (immersion {optics.immersion_index:g}, sample {optics.sample_index:g}, "
            f"depth {optics.depth_um:g} um) look the same above and below focus, so the sign of z "
            "cannot be learned; allowed are an index mismatch of 0.3 um of path or more: give "
            "sample_index and depth_um in the rig, or measure the aberration with a bead stack"
        )
    nm = optics.wavelength_nm
    return OpticsRanges(
        numerical_aperture=(0.97 * optics.numerical_aperture, optics.numerical_aperture),
        wavelength_nm=(0.95 * nm, 1.05 * nm),
        immersion_index=optics.immersion_index,
        sample_index=(optics.sample_index, optics.sample_index),
        depth_um=(0.7 * optics.depth_um, 1.3 * optics.depth_um),
        pixel_size_um=(0.95 * optics.pixel_size_um, 1.05 * optics.pixel_size_um),
    )


def _source(
    job: RefocusJob,
) -> tuple[PairSource, str, OpticsRanges | None, dict[str, float]]:
    if not job.stacks:
        ranges = OpticsRanges() if job.optics is None else around(job.optics)
        source = SimulatedRefocusing(
            job.seed,
            confocal=job.confocal,
            optics=ranges,
            batch=job.batch,
            crop_px=job.crop_px,
            reach_um=job.reach_um,
            pool_size=job.pool_size,
        )
        return source, "simulated specimens, microscopes and cameras only", ranges, {}
    if job.optics is None:
        raise UserError(
            "training on stacks needs the optics, to give distances in waves; name the microscope "
            "with --rig"
        )
    if job.confocal != bool(job.confocal_stacks):
        raise UserError(
            f"got {len(job.stacks)} widefield and {len(job.confocal_stacks)} confocal stacks; "
            "deepz-plus needs one confocal stack for each widefield one, deepz takes none"
        )
    seen, wanted, z_step_um = read_stacks(
        job.stacks, job.confocal_stacks, job.camera, job.z_step_um
    )
    files = StackFiles(
        job.seed,
        seen,
        z_step_um,
        defocus_waves_per_um(job.optics),
        wanted=wanted or None,
        batch=job.batch,
        crop_px=job.crop_px,
        reach_um=job.reach_um,
    )
    level, scale = level_and_scale(seen)
    return files, f"{len(job.stacks)} recorded stacks", None, {"level": level, "scale": scale}


def train_refocusing(
    job: RefocusJob, on_iteration: Callable[[int, float, float], None] | None = None
) -> FitReport | AdversarialReport:
    """Train, score and export; an interrupted training exports what it has.

    Raises `UserError` before any work when the package exists already, the stacks cannot be
    used, or there is nothing to resume or to sharpen.
    """
    if job.out.exists() and not job.replace:
        raise UserError(f"{job.out} exists already; choose another --out or give --force")
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    source, data, ranges, span = _source(job)
    network = DeepZGenerator(job.width, **span)
    report: FitReport | AdversarialReport
    with Ahead(source) as ahead:
        if job.adversarial:
            network.load_state_dict(load_checkpoint(job.checkpoint)["average"])
            report = sharpen(
                network,
                DeepZDiscriminator(job.width, **span),
                ahead,
                AdversarialSettings(
                    "deepz", iterations=job.settings.iterations, seconds=job.settings.seconds
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
    scores = (
        refocus_scores(
            _infer(network), optics=ranges, confocal=job.confocal, stacks=job.score_stacks
        )
        if ranges is not None and job.score_stacks > 0
        else []
    )
    card = _card(job, data, ranges, training_record(job, report, data), scores)
    export_engine(
        network,
        job.out,
        card,
        golden_input(),
        divisor=network.divisor,
        replace=job.replace,
    )
    return report


def _infer(network: nn.Module) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    def infer(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            out: NDArray[np.float32] = network(torch.from_numpy(batch)).numpy()
        return out

    return infer


def golden_input() -> NDArray[np.float32]:
    """(1, 2, 128, 128): a simulated frame and a tilted plane of -4 to 4 waves."""
    generator = torch.Generator().manual_seed(7)
    volume = random_volume(Grid(1, 128, 0.5, 0.3), generator)[None]
    light = volume / volume.max()
    exposure = LightRanges(peak_e=(100.0, 100.0), background_e=(3.0, 3.0), scale=(1.0, 1.0))
    taken = photographed(light, light, generator, exposure)
    tilt = torch.linspace(-4, 4, 128).expand(1, 1, 128, 128)
    return with_dpm(taken.noisy, tilt).contiguous().numpy()


def training_record(
    job: RefocusJob, report: FitReport | AdversarialReport, data: str
) -> dict[str, Any]:
    """The recipe, for the card."""
    network = DeepZGenerator(job.width)
    sharpened = "least-squares adversarial part of 3 % on top of the mean absolute error"
    return {
        "method": "Deep-Z+" if job.confocal else "Deep-Z",
        "data": data,
        "loss": sharpened if job.adversarial else f"{job.settings.loss} (pixels only)",
        "network": f"Deep-Z generator, width {job.width:g}, "
        f"{sum(p.numel() for p in network.parameters())} parameters",
        "seed": job.seed,
        "iterations": report.iterations,
        "batch": f"{job.batch} crops of {job.crop_px} px",
        "seconds": round(report.seconds),
        "hardware": f"{os.cpu_count()}-core CPU",
    }


def _card(
    job: RefocusJob,
    data: str,
    ranges: OpticsRanges | None,
    training: dict[str, Any],
    scores: list[RefocusScore],
) -> Card:
    what = "a confocal picture of the plane wanted" if job.confocal else "the plane wanted"
    live: dict[str, Any] = {
        "dpm": "waves of defocus at the rim of the pupil",
        "reach_um": job.reach_um,
    }
    if ranges is not None:
        live["optics"] = {
            "numerical_aperture": list(ranges.numerical_aperture),
            "wavelength_nm": list(ranges.wavelength_nm),
            "immersion_index": ranges.immersion_index,
            "sample_index": list(ranges.sample_index),
            "depth_um": list(ranges.depth_um),
        }
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Refocuses one widefield frame by up to {job.reach_um:g} um, to {what} "
        f"({'Deep-Z+' if job.confocal else 'Deep-Z'}), trained on {data}.",
        task="confocal-refocus" if job.confocal else "refocus",
        photon_range_e=LightRanges().peak_e,
        pixel_size_range_um=None if ranges is None else ranges.pixel_size_um,
        halo_px=HALO_PX,
        training=training,
        scores={
            f"{s.distance_um:g} um": {
                "raw_db": round(s.raw, 2),
                "unrefocused_noise_free_db": round(s.noise_free, 2),
                "refocused_db": round(s.refocused, 2),
                "right_sign": round(s.right_sign, 3),
                "pairs": s.pairs,
            }
            for s in scores
        },
        limits=_LIMITS,
        channels=("intensity", "defocus"),
        channels_text="The second channel is the distance from the plane in focus to the plane "
        "wanted at each\npixel, positive deeper into the sample, in waves of defocus at the rim of "
        "the pupil:\nn (1 - cos a) / wavelength for each um, with n sin a = NA.\n",
        tags=("refocusing",),
        cite=(
            {
                "text": "Wu et al. 2019, Three-dimensional virtual refocusing of fluorescence "
                "microscopy images using deep learning",
                "doi": "10.1038/s41592-019-0622-5",
            },
        ),
        live=live,
    )
