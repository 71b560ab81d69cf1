"""Deep-Z and Deep-Z+ from start to package: stacks, network, fit, scores, export."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.microscopes import defocus_waves_per_um
from liverestore.optics import Optics
from liverestore.training.accelerator import spare_workers
from liverestore.training.adversarial import AdversarialReport, AdversarialSettings
from liverestore.training.ahead import PairSource
from liverestore.training.deepz_networks import DeepZDiscriminator, DeepZGenerator
from liverestore.training.deepz_pairs import (
    OpticsRanges,
    SimulatedRefocusing,
    StackFiles,
    with_dpm,
)
from liverestore.training.export import Card
from liverestore.training.fit import FitReport, FitSettings
from liverestore.training.job import (
    Course,
    OnIteration,
    TrainingOptions,
    checkpoint_of,
    infer_with,
    shown,
)
from liverestore.training.live_refocus_unet import LiveRefocusUNet
from liverestore.training.photographs import LightRanges, photographed
from liverestore.training.recorded_volumes import level_and_scale, read_stacks
from liverestore.training.refocus_score import RefocusScore, refocus_scores
from liverestore.training.user_optics import (
    around,
    check_light,
    check_planes,
    check_sign,
    fine_z_step,
    only,
)
from liverestore.training.volumes import Grid, random_volume

__all__ = ["HALO_PX", "PATENT", "NetworkName", "RefocusJob", "around", "train_refocusing"]

NetworkName = Literal["deepz", "live"]

HALO_PX: dict[NetworkName, int] = {"deepz": 112, "live": 144}
"""Reach of `DeepZGenerator` and `LiveRefocusUNet`, rounded up to their grid; a test measures it."""

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


@dataclass(frozen=True)
class RefocusJob(TrainingOptions):
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; checkpoints lie beside it in `NAME.training`."""
    settings: FitSettings
    confocal: bool = field(default=False, kw_only=True)
    """Deep-Z+: the target is the confocal plane."""
    adversarial: bool = field(default=False, kw_only=True)
    """The second job, from the checkpoint of the first."""
    network: NetworkName = field(default="deepz", kw_only=True)
    """The generator of Deep-Z, or the one for processors and small GPUs."""
    width: float = field(default=0.25, kw_only=True)
    """Of Deep-Z's generator and discriminator."""
    stacks: tuple[Path, ...] = field(default=(), kw_only=True)
    """The user's widefield z-stacks; empty: simulation."""
    confocal_stacks: tuple[Path, ...] = field(default=(), kw_only=True)
    """One for each of `stacks` (Deep-Z+ only)."""
    rig: str | None = field(default=None, kw_only=True)
    """Where `optics` and `camera` come from, for the record."""
    optics: Optics | None = field(default=None, kw_only=True)
    """The user's microscope; with it a simulation is made for this one alone."""
    camera: CameraModel | None = field(default=None, kw_only=True)
    z_step_um: float | None = field(default=None, kw_only=True)
    reach_um: float = field(default=10.0, kw_only=True)
    pool_size: int | None = field(default=None, kw_only=True)
    """Simulated stacks at hand; None: 48, on a GPU 128."""
    score_stacks: int = field(default=8, kw_only=True)

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
        words = ["deepz-plus" if self.confocal else "deepz", *map(shown, self.stacks)]
        for path in self.confocal_stacks:
            words += ["--confocal", shown(path)]
        if self.rig is not None:
            words += ["--rig", shown(Path(self.rig)) if Path(self.rig).is_file() else self.rig]
        if self.z_step_um is not None:
            words += ["--z-step", f"{self.z_step_um:g}"]
        words += ["--network", self.network, "--width", f"{self.width:g}"]
        return [*words, "--reach", f"{self.reach_um:g}"]


_PLANES = 41
_MARGIN_PX = 32


@dataclass(frozen=True)
class _Data:
    """Where a training's pairs come from, and what they show."""

    source: PairSource
    words: str
    ranges: OpticsRanges | None
    """Simulated microscopes; None: recordings."""
    span: dict[str, float]
    """Range of values for the network, if it is not that of the simulation."""
    live: dict[str, Any]
    """Reach and optics, for the card."""
    pixel_size_um: tuple[float, float]
    photon_range_e: tuple[float, float]


def _data(job: RefocusJob, device: torch.device) -> _Data:
    if not job.stacks:
        ranges = OpticsRanges() if job.optics is None else around(job.optics)
        z_step_um = fine_z_step(job.optics)
        check_planes(job.reach_um, _PLANES, z_step_um)
        if job.optics is not None:
            check_light(job.optics, job.reach_um, z_step_um, job.crop_px + 2 * _MARGIN_PX)
        source = SimulatedRefocusing(
            job.seed,
            confocal=job.confocal,
            optics=ranges,
            batch=job.batch,
            crop_px=job.crop_px,
            reach_um=job.reach_um,
            pool_size=job.pool_size or (48 if device.type == "cpu" else 128),
            planes=_PLANES,
            z_step_um=z_step_um,
            margin_px=_MARGIN_PX,
            device=device,
            workers=spare_workers(device),
        )
        return _Data(
            source,
            "simulated specimens, microscopes and cameras only",
            ranges,
            {},
            _live(job.reach_um, ranges),
            ranges.pixel_size_um,
            LightRanges().peak_e,
        )
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
    check_sign(job.optics)
    read = read_stacks(job.stacks, job.confocal_stacks, job.camera, job.z_step_um, job.optics)
    planes = max(len(stack) for stack in read.seen)
    deepest_um = (planes - 1) * abs(read.z_step_um)
    check_planes(min(job.reach_um, deepest_um), planes, abs(read.z_step_um))
    files = StackFiles(
        job.seed,
        read.seen,
        read.z_step_um,
        defocus_waves_per_um(job.optics),
        wanted=read.wanted or None,
        batch=job.batch,
        crop_px=job.crop_px,
        reach_um=job.reach_um,
    )
    level, scale = level_and_scale(read.seen)
    size = job.optics.pixel_size_um
    return _Data(
        files,
        f"{len(job.stacks)} recorded stacks",
        None,
        {"level": level, "scale": scale},
        _live(min(job.reach_um, deepest_um), only(job.optics)),
        (0.95 * size, 1.05 * size),
        read.photon_range_e,
    )


def _live(reach_um: float, ranges: OpticsRanges) -> dict[str, Any]:
    return {
        "dpm": "waves of defocus at the rim of the pupil",
        "reach_um": round(reach_um, 3),
        "optics": {
            "numerical_aperture": list(ranges.numerical_aperture),
            "wavelength_nm": list(ranges.wavelength_nm),
            "immersion_index": ranges.immersion_index,
            "sample_index": list(ranges.sample_index),
            "depth_um": list(ranges.depth_um),
        },
    }


def train_refocusing(
    job: RefocusJob, on_iteration: OnIteration | None = None
) -> FitReport | AdversarialReport:
    """Train, score and export; an interrupted training exports what it has.

    Raises `UserError` before any work when the package exists already, the stacks or the engine
    to start from cannot be used, or there is nothing to resume or to sharpen.
    """
    course = Course(job.out, job, adversarial=job.adversarial)
    data = _data(job, course.device)
    source, ranges, span = data.source, data.ranges, data.span
    network: DeepZGenerator | LiveRefocusUNet
    if job.network == "live":
        network, about = LiveRefocusUNet(), "live refocusing U-Net"
        for name, value in span.items():
            setattr(network, name, value)
    else:
        network, about = DeepZGenerator(job.width, **span), f"Deep-Z generator, width {job.width:g}"
    report: FitReport | AdversarialReport
    if job.adversarial:
        settings = AdversarialSettings(
            "deepz",
            iterations=job.settings.iterations,
            seconds=job.settings.seconds,
            bf16=job.settings.bf16,
        )
        discriminator = DeepZDiscriminator(job.width, **span)
        report = course.sharpen(network, discriminator, source, settings, on_iteration)
    else:
        report = course.run(network, source, job.settings, on_iteration)
    scores = (
        refocus_scores(
            infer_with(network),
            optics=ranges,
            confocal=job.confocal,
            reach_um=job.reach_um,
            stacks=job.score_stacks,
            # A field that holds the light of the user's microscope at its reach.
            crop_px=128 if job.optics is None else max(128, job.crop_px),
            z_step_um=fine_z_step(job.optics),
        )
        if ranges is not None and job.score_stacks > 0
        else []
    )
    sharpened = "least-squares adversarial part of 3 % on top of the mean absolute error"
    training = course.record(
        job.words,
        job.settings,
        report,
        network,
        about,
        method="Deep-Z+" if job.confocal else "Deep-Z",
        data=data.words,
        loss=sharpened if job.adversarial else f"{job.settings.loss} (pixels only)",
    )
    card = _card(job, data, training, scores)
    course.export(network, card, golden_input(), network.divisor)
    return report


def golden_input() -> NDArray[np.float32]:
    """(1, 2, 128, 128): a simulated frame and a tilted plane of -4 to 4 waves."""
    generator = torch.Generator().manual_seed(7)
    volume = random_volume(Grid(1, 128, 0.5, 0.3), generator)[None]
    light = volume / volume.max()
    exposure = LightRanges(peak_e=(100.0, 100.0), background_e=(3.0, 3.0), scale=(1.0, 1.0))
    taken = photographed(light, light, generator, exposure)
    tilt = torch.linspace(-4, 4, 128).expand(1, 1, 128, 128)
    return with_dpm(taken.noisy, tilt).contiguous().numpy()


def _card(
    job: RefocusJob,
    data: _Data,
    training: dict[str, Any],
    scores: list[RefocusScore],
) -> Card:
    what = "a confocal picture of the plane wanted" if job.confocal else "the plane wanted"
    return Card(
        name=job.out.name,
        version="0.1.0",
        description=f"Refocuses one widefield frame by up to {data.live['reach_um']:g} um, "
        f"to {what} ({'Deep-Z+' if job.confocal else 'Deep-Z'}), trained on {data.words}.",
        task="confocal-refocus" if job.confocal else "refocus",
        photon_range_e=data.photon_range_e,
        pixel_size_range_um=data.pixel_size_um,
        halo_px=HALO_PX[job.network],
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
        live=data.live,
    )
