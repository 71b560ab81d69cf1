"""Refocusing against the stage: a frame taken beside the focus, brought back by the engine.

The frames take the way of every other: through the rig's core, its camera and its focus drive.
The stage stands at z from the plane in focus, so the plane wanted lies -z deeper; what the
engine makes is compared with the true frame of the plane in focus, and for a tilted surface
with the true frames of a stack, of which each pixel is taken at its own stage position.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liverestore.bead_finding import depth_of_field_um
from liverestore.camera_model import CameraModel
from liverestore.dpm import parse_dpm
from liverestore.frame import Frame
from liverestore.measure.fidelity import affine_psnr, ssim
from liverestore.measure.opponents import best_gaussian, best_richardson_lucy
from liverestore.optics import Optics, widefield_psf
from liverestore.quality.methods import Engine
from liverestore.quality.records import QualityTest, Sample
from liverestore.quality.refocusing import along

__all__ = ["STAGE_UM", "ByStage", "Truth", "stage_planes", "stage_tilt", "tilt_swing_um"]

STAGE_UM = (-8.0, -5.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 5.0, 8.0)
"""Stage positions, from the plane in focus, where none are asked for."""
_SWING_UM = 2.0
"""Tilted surfaces reach so far to both sides of their middle, or half of the engine's reach."""
_STEP_UM = 0.5
_PSF_PX = 127
_DARK_SHARE = 0.01

Picture = NDArray[np.floating]


Truth = Callable[[Frame], NDArray[np.floating]]
"""A delivered frame to its light (Y, X) without noise, in any even scale."""


class Snapping(Protocol):
    """What is asked of a camera here; as `FrameSource` has it."""

    def configure(self, *, exposure_ms: float | None = None, z_um: float | None = None) -> None:
        """Set what is not None."""
        ...

    def snap(self) -> Frame:
        """Take one frame."""
        ...


@dataclass(slots=True)
class ByStage:
    """Frames at stage positions, each taken once and kept."""

    source: Snapping
    """Started, and paused."""
    focus_um: float
    """Where the stage stands when the plane wanted is in focus."""
    camera: CameraModel
    optics: Optics
    frames: int
    """Taken and measured at each position."""
    truth: Truth | None
    """None: the mean of `reference_frames` is taken for it."""
    reference_frames: int
    exposures: int = 0
    """Light that the specimen got."""
    _taken: dict[float, list[Frame]] = field(default_factory=dict)
    _true: dict[float, Picture] = field(default_factory=dict)

    def taken(self, z_um: float) -> list[Frame]:
        """Frames with the stage at `z_um` from the plane in focus."""
        if z_um not in self._taken:
            self._taken[z_um] = self._snaps(z_um, self.frames)
        return self._taken[z_um]

    def true(self, z_um: float) -> Picture:
        """(Y, X) picture, as good as without noise, with the stage at `z_um` from focus."""
        if z_um not in self._true:
            if self.truth is not None:
                frames = self._taken.get(z_um) or self._snaps(z_um, 1)
                self._true[z_um] = self.truth(frames[0])
            else:
                frames = self._snaps(z_um, self.reference_frames)
                self._true[z_um] = np.stack([f.pixels.astype(np.float64) for f in frames]).mean(
                    axis=0
                )
        return self._true[z_um]

    def _snaps(self, z_um: float, count: int) -> list[Frame]:
        self.source.configure(z_um=self.focus_um + z_um)
        made = []
        for _ in range(count):
            made.append(self.source.snap())
            self.exposures += 1
        return made

    def back(self) -> None:
        """The stage to where it stood."""
        self.source.configure(z_um=self.focus_um)

    @property
    def compared_with(self) -> str:
        """What the truth is, for the reader of a table."""
        if self.truth is not None:
            return "the frame without noise that the simulated microscope has there"
        return f"the mean of {self.reference_frames} frames taken there, which is no truth"


def stage_planes(run: ByStage, engines: Sequence[Engine], stage_um: Sequence[float]) -> QualityTest:
    """Frames at each of `stage_um` brought to the plane in focus, beside what moves no plane."""

    def steps() -> Iterator[list[Sample]]:
        truth = run.true(0.0)
        for z_um in stage_um:
            samples: list[Sample] = []
            for frame in run.taken(z_um):
                samples += _restored(run, engines, frame, z_um, -z_um, truth)
                samples += _wrong_side(run, engines, frame, z_um, truth)
            yield [*_unrestored(run, z_um, truth), *samples]

    return QualityTest(
        key="refocus-by-stage",
        title="refocusing what the stage moved out of focus",
        notes=(
            f"The stage moved to the distance above, {_frames(run.frames)} taken there and "
            "refocused by as much the other way. Compared with the plane in focus: "
            f"{run.compared_with}.",
            "Wrong side: the same engine told the opposite distance. Best Gaussian and "
            "Richardson-Lucy (PSF of the true distance) have their settings chosen on the truth.",
        ),
        columns="conditions",
        shown=("psnr_db", "gain_db", "ssim"),
        steps=len(stage_um),
        run=steps,
    )


def stage_tilt(
    run: ByStage, engines: Sequence[Engine], stage_um: Sequence[float], swing_um: float
) -> QualityTest:
    """The same to a surface that is tilted along x, from -`swing_um` to `swing_um` at the edges.

    No stage tilts a specimen. The true picture of such a surface is put together from a true
    stack instead: each pixel as it is with the stage where the surface lies at that pixel.
    """
    steps_each_way = int(np.ceil(swing_um / min(_STEP_UM, 0.5 * depth_of_field_um(run.optics))))
    heights_um = np.linspace(-swing_um, swing_um, 2 * steps_each_way + 1)

    def steps() -> Iterator[list[Sample]]:
        planes = np.stack([run.true(round(float(z_um), 4)) for z_um in heights_um])
        shape = (planes.shape[1], planes.shape[2])
        pixel_um = run.optics.pixel_size_um
        slope = 2 * swing_um / (shape[1] * pixel_um)
        tilted = parse_dpm(f"plane:0,{slope:.9f},0").surface_um(shape, pixel_um)
        truth = along(planes, heights_um, tilted)
        for z_um in stage_um:
            samples: list[Sample] = []
            for frame in run.taken(z_um):
                samples += _restored(run, engines, frame, z_um, tilted - np.float32(z_um), truth)
            yield [*_unrestored(run, z_um, truth), *samples]

    return QualityTest(
        key="refocus-by-stage-tilted",
        title="refocusing to a tilted surface, from one plane of the stage",
        notes=(
            f"The same frames refocused to a plane tilted along x, {-swing_um:g} um to "
            f"{swing_um:g} um across the field about the plane in focus. Its true picture is put "
            f"together from a true stack of {len(heights_um)} stage positions, each pixel as it is "
            f"with the stage where the surface is there: {run.compared_with}.",
        ),
        columns="conditions",
        shown=("psnr_db", "gain_db", "ssim"),
        steps=len(stage_um),
        run=steps,
    )


def tilt_swing_um(reach_um: float) -> float:
    """How far a tilted surface is let rise and fall with an engine of that reach."""
    return min(_SWING_UM, reach_um / 2)


def _frames(count: int) -> str:
    return "one frame" if count == 1 else f"{count} frames"


def _condition(z_um: float) -> str:
    return f"{z_um:+g} um"


def _measured(image: NDArray[np.generic], truth: Picture, raw_db: float) -> dict[str, float]:
    psnr_db = affine_psnr(image, truth)
    return {"psnr_db": psnr_db, "gain_db": psnr_db - raw_db, "ssim": ssim(image, truth)}


def _restored(
    run: ByStage,
    engines: Sequence[Engine],
    frame: Frame,
    z_um: float,
    dpm_um: NDArray[np.float32] | float,
    truth: Picture,
) -> Iterator[Sample]:
    raw_db = affine_psnr(frame.pixels, truth)
    for engine in engines:
        made = engine.refocused(frame.pixels, run.camera, dpm_um, run.optics)
        yield Sample(_condition(z_um), engine.name, _measured(made, truth, raw_db))


def _wrong_side(
    run: ByStage, engines: Sequence[Engine], frame: Frame, z_um: float, truth: Picture
) -> Iterator[Sample]:
    raw_db = affine_psnr(frame.pixels, truth)
    for engine in engines if z_um else ():
        made = engine.refocused(frame.pixels, run.camera, z_um, run.optics)
        name = f"{engine.name}, wrong side"
        yield Sample(_condition(z_um), name, _measured(made, truth, raw_db))


def _unrestored(run: ByStage, z_um: float, truth: Picture) -> Iterator[Sample]:
    """The frames themselves, and what is made of the first by methods that choose on the truth."""
    condition, frames = _condition(z_um), run.taken(z_um)
    raw_db = [affine_psnr(frame.pixels, truth) for frame in frames]
    if run.truth is not None:
        # For a real sample it would take many more frames at each position.
        clean = run.true(z_um)
        yield Sample(condition, "the same without noise", _measured(clean, truth, raw_db[0]))
    for frame, decibel in zip(frames, raw_db, strict=True):
        yield Sample(condition, "frame as recorded", _measured(frame.pixels, truth, decibel))
    first = frames[0].pixels
    gaussian = best_gaussian(first, truth)
    measured = _measured(gaussian.image, truth, raw_db[0])
    yield Sample(condition, "best Gaussian", measured, gaussian.setting)
    psf = widefield_psf(run.optics, [-z_um], _PSF_PX)[0]
    light = run.camera.to_electrons(first)
    dark = max(float(np.quantile(light, _DARK_SHARE)), 0.0)
    lucy = best_richardson_lucy(light, psf, truth, dark)
    measured = _measured(lucy.image, truth, raw_db[0])
    yield Sample(condition, "Richardson-Lucy", measured, lucy.setting)
