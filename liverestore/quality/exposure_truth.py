"""An advice on the exposure against the truth, which the simulated microscope knows.

The command's own series is taken from the simulated camera and judged without the truth. Then
the same engine restores frames of the same specimen, frozen, at many exposures, and is compared
with the light without noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from liverestore.camera.clock import SteppedClock
from liverestore.camera.simulated import SimulatedSource
from liverestore.camera_model import CameraModel
from liverestore.exposure_advice import Advice
from liverestore.exposure_curve import falling_curve, least_exposure
from liverestore.exposure_fidelity import Fidelity
from liverestore.exposure_quality import Quality
from liverestore.exposure_series import SeriesPlan
from liverestore.measure.fidelity import affine_fit
from liverestore.restore import restore
from liverestore.rig import RigConfig, load_rig
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.service.exposure_run import ExposureRun

__all__ = ["Scene", "TrueCurve", "advised", "true_curve"]

_CAMERA = CameraModel(100.0, 0.46, 1.6)
"""That of the demo rig."""
_SPAN = (0.001, 0.999)


@dataclass(frozen=True, slots=True)
class Scene:
    """A specimen, and how it is lit at the present exposure."""

    peak_e: float
    """Photoelectrons at the brightest places, at the present exposure."""
    seed: int = 3
    side: int = 256
    speed_um_s: float = 0.0
    present_ms: float = 40.0
    shortest_share: float = 1 / 43

    @property
    def rig(self) -> RigConfig:
        """The demo rig with this specimen under it."""
        rig = load_rig("demo")
        assert rig.specimen is not None
        specimen = msgspec.structs.replace(
            rig.specimen,
            seed=self.seed,
            shape=(self.side, self.side),
            peak_photons_per_ms=self.peak_e / self.present_ms,
            background_photons_per_ms=0.05 * self.peak_e / self.present_ms,
            speed_um_s=self.speed_um_s,
        )
        camera = msgspec.structs.replace(rig.camera, exposure_ms=self.present_ms)
        return msgspec.structs.replace(rig, specimen=specimen, camera=camera)


def advised(
    scene: Scene, runtime: InferenceRuntime, quality: Quality, *, rounds: int = 10
) -> tuple[Advice, ExposureRun, tuple[Fidelity, ...]]:
    """What the command would find, without the truth."""
    source = SimulatedSource(scene.rig, clock=SteppedClock())
    source.start()
    shortest = scene.present_ms * scene.shortest_share
    run = ExposureRun(
        source,
        SeriesPlan(scene.present_ms, shortest, rounds),
        lambda frame: restore(frame, runtime.spec, runtime.infer, _CAMERA, whole=whole_of(runtime)),
        runtime.spec,
        lambda _frame: _CAMERA,
    )
    advice, scores = run.run(quality)
    source.stop()
    return advice, run, scores


@dataclass(frozen=True, slots=True)
class TrueCurve:
    """What frames of each exposure truly are worth, from the light without noise."""

    exposures_ms: NDArray[np.float64]
    """Longest first."""
    restored: NDArray[np.float64]
    """Mean squared errors, in photoelectrons of the present exposure squared."""
    raw: float
    """Mean squared error of raw frames at the present exposure."""
    span: float
    """Range of the light."""

    def least_ms(self, quality: Quality) -> float | None:
        """The least exposure that truly keeps `quality`; None: none does."""
        curve = falling_curve(self.exposures_ms, self.restored)
        target = quality.target(self.raw, float(curve[1][-1]), self.span)
        return least_exposure(curve, target)


def true_curve(
    scene: Scene,
    runtime: InferenceRuntime,
    *,
    exposures: int = 25,
    frames: int = 4,
) -> TrueCurve:
    """The truth about `scene` with the specimen frozen at its first moment."""
    source = SimulatedSource(replace(scene, speed_um_s=0.0).rig, clock=SteppedClock())
    source.start()
    truth = source.microscope.truth(0)
    low, high = np.quantile(truth, _SPAN)
    times = scene.present_ms * np.geomspace(1.0, scene.shortest_share, exposures)
    errors, raws = [], []
    for place, ms in enumerate(times):
        source.configure(exposure_ms=float(ms))
        these = []
        for _ in range(frames):
            frame = source.snap()
            made = restore(frame, runtime.spec, runtime.infer, _CAMERA, whole=whole_of(runtime))
            these.append(_error(made.pixels, truth))
            if place == 0:
                raws.append(_error(frame.pixels, truth))
        errors.append(np.mean(these))
    source.stop()
    return TrueCurve(times, np.array(errors), float(np.mean(raws)), float(high - low))


def _error(pixels: NDArray[np.generic], truth: NDArray[np.float32]) -> float:
    return float(np.square(affine_fit(pixels, truth) - truth).mean())
