"""Noise2Noise from start to package: pairs, network, fit, scores, export."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import UserError
from liverestore.training.accelerator import spare_workers
from liverestore.training.ahead import PairSource
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
from liverestore.training.networks import LiveUNet
from liverestore.training.noise2noise_unet import Noise2NoiseUNet
from liverestore.training.recordings import (
    RecordedPairs,
    photon_range,
    read_recordings,
    smaller_crop,
)
from liverestore.training.score import simulated_scores
from liverestore.training.simulate import SimulatedPairs
from liverestore.training.specimens import scene

__all__ = [
    "LIMITS",
    "NETWORKS",
    "N2nJob",
    "NetworkName",
    "golden_input",
    "package_card",
    "train_n2n",
]

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


NetworkName = Literal["live", "noise2noise"]


@dataclass(frozen=True, slots=True)
class _Choice:
    make: Callable[[], LiveUNet | Noise2NoiseUNet]
    halo_px: int
    words: str
    """For the card, after "Denoises fluorescence frames one by one"."""


NETWORKS: dict[NetworkName, _Choice] = {
    "live": _Choice(
        LiveUNet,
        HALO_PX,
        ", fast enough for the live view on a CPU: a small U-Net at half resolution",
    ),
    "noise2noise": _Choice(
        Noise2NoiseUNet,
        160,
        " with the U-Net of the Noise2Noise paper, whose work is eight times that of a live "
        "network: for a GPU, or after the acquisition",
    ),
}
"""What can be trained, each with its reach, rounded up to its grid; a test measures it."""


@dataclass(frozen=True)
class N2nJob(TrainingOptions):
    """One training: what, how long, where to."""

    out: Path
    """Folder of the engine package; the checkpoint lies beside it in `NAME.training`."""
    settings: FitSettings
    frames: Path | None = field(default=None, kw_only=True)
    """The user's movie or folder; None trains on simulated specimens."""
    network: NetworkName = field(default="live", kw_only=True)
    pool_size: int = field(default=512, kw_only=True)

    @property
    def checkpoint(self) -> Path:
        """State of the training."""
        return checkpoint_of(self.out)


def golden_input() -> NDArray[np.float32]:
    """(1, 1, 128, 128) stabilised picture that every package carries the answer to."""
    rng = np.random.default_rng(7)
    light = scene((1, 7), (128, 128)) * 40 + 2
    camera = CameraModel(0.0, 1.0, 1.5)
    electrons = rng.poisson(light) + 1.5 * rng.standard_normal(light.shape)
    return camera.stabilise(electrons.astype(np.float32))[None, None]


def package_card(
    name: str,
    training: dict[str, Any],
    scores: dict[str, Any],
    *,
    simulated: bool,
    network: NetworkName = "live",
    photon_range_e: tuple[float, float] = (3.0, 1000.0),
) -> Card:
    """The model card of a denoiser made by `train_n2n`; `photon_range_e` is that of its data."""
    return Card(
        name=name,
        version="0.1.0",
        description=(
            f"Denoises fluorescence frames one by one{NETWORKS[network].words}, trained by "
            "Noise2Noise " + ("on simulated specimens." if simulated else "on recorded frames.")
        ),
        task="denoise",
        photon_range_e=photon_range_e,
        pixel_size_range_um=(0.05, 0.65) if simulated else None,
        halo_px=NETWORKS[network].halo_px,
        training=training,
        scores=scores,
        limits=LIMITS,
    )


def train_n2n(
    job: N2nJob,
    on_iteration: OnIteration | None = None,
    say: Callable[[str], None] | None = None,
) -> FitReport:
    """Train, score and export; an interrupted training exports what it has.

    `say` is told, in a line each, how recordings were taken and cropped.

    Raises `UserError` before any work when the package exists already, the frames or the engine
    to start from cannot be used, or there is nothing to resume.
    """
    course = Course(job.out, job)
    network = NETWORKS[job.network].make()
    if job.crop_px % network.divisor:
        raise UserError(
            f"crop: got {job.crop_px} px; the network '{job.network}' takes multiples of "
            f"{network.divisor}"
        )
    source: PairSource
    light: dict[str, tuple[float, float]] = {}
    if job.frames is None:
        source = SimulatedPairs(
            job.seed,
            batch=job.batch,
            crop_px=job.crop_px,
            pool_size=job.pool_size,
            scene_px=max(256, job.crop_px * 3 // 2),
            device=course.device,
            workers=spare_workers(course.device),
        )
        data = "simulated specimens and cameras, drawn anew all the time"
    else:
        movies = read_recordings(job.frames, say=say)
        source = RecordedPairs(
            movies,
            job.seed,
            batch=job.batch,
            crop_px=job.crop_px,
            divisor=network.divisor,
        )
        data = f"neighbouring frames of {job.frames.name}"
        light["photon_range_e"] = photon_range(source.cameras, movies)
        course.crop_px = source.crop_px
        smaller = smaller_crop(job.crop_px, source.crop_px)
        if say is not None and smaller is not None:
            say(smaller)
    report = course.run(network, source, job.settings, on_iteration)
    words = ["n2n", *([] if job.frames is None else [shown(job.frames)]), "--network", job.network]
    training = course.record(
        words,
        job.settings,
        report,
        network,
        _words(network),
        method="Noise2Noise in the variance-stabilised domain",
        data=data,
        loss=job.settings.loss,
    )
    scores: dict[str, Any] = {}
    if job.frames is None:
        scores["simulated frames, 8 to 120 e"] = simulated_scores(infer_with(network))
    card = package_card(
        job.out.name,
        training,
        scores,
        simulated=job.frames is None,
        network=job.network,
        **light,
    )
    course.export(network, card, golden_input(), network.divisor)
    return report


def _words(network: LiveUNet | Noise2NoiseUNet) -> str:
    if isinstance(network, Noise2NoiseUNet):
        return "U-Net of Noise2Noise (Lehtinen et al. 2018), five levels"
    return (
        f"LiveUNet widths {list(network.widths)}, blocks {list(network.down_blocks)} down and "
        f"{list(network.up_blocks)} up"
    )
