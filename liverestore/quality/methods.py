"""Engines as the bench uses them: a frame of counts in, a picture out."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, FrameHeader, PixelDtype
from liverestore.measure.fidelity import affine_psnr, nrmse, ssim
from liverestore.measure.fourier_ring import resolution_px
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.restore import restore
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import open_runtime

__all__ = ["CAMERA", "Engine", "Result", "among_filters", "exposed", "figures"]

Result = tuple[str, NDArray[np.generic], float | None]
"""Name of a method, its picture (Y, X), and what was chosen on the truth for it."""

Counts = NDArray[np.generic]
Picture = NDArray[np.float64]

CAMERA = CameraModel(100.0, 0.5, 1.5)
"""The camera of all simulated frames, known to every method as from a rig file."""


def exposed(light_e: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.uint16]:
    """A frame of `CAMERA` in counts from the photoelectrons expected at each pixel (Y, X)."""
    electrons = rng.poisson(np.maximum(light_e, 0.0)).astype(np.float64)
    electrons += CAMERA.read_noise_e * rng.standard_normal(light_e.shape)
    counts = np.rint(electrons / CAMERA.gain_e_per_count + CAMERA.offset_counts)
    return np.asarray(counts.clip(0, 65535), np.uint16)


def among_filters(
    classical: Sequence[Result],
    engines: Sequence[Engine],
    frame: Counts,
    camera: CameraModel,
) -> list[Result]:
    """The frame, `engines` that are filters, `classical` results, then the networks."""

    def made(networks: bool) -> list[Result]:
        return [
            (engine.name, engine.restored(frame, camera), None)
            for engine in engines
            if (engine.spec.weights is not None) == networks
        ]

    return [("frame as recorded", frame, None), *made(False), *classical, *made(True)]


def figures(
    image: NDArray[np.generic], truth: NDArray[np.generic], pixel_size_um: float | None
) -> dict[str, float]:
    """PSNR, SSIM, NRMSE and FRC of `image`, both (Y, X); keys of `METRICS`."""
    period = resolution_px(image, truth)
    frc = {"frc_px": period} if pixel_size_um is None else {"frc_um": period * pixel_size_um}
    return {
        "psnr_db": affine_psnr(image, truth),
        "ssim": ssim(image, truth),
        "nrmse": nrmse(image, truth),
        **frc,
    }


class Engine:
    """One engine with its runtime open; a context manager.

    Computes in float32, so that figures do not depend on the processor.
    """

    def __init__(self, spec: ModelSpec, name: str | None = None) -> None:
        self.spec = spec
        self.name = name or spec.name
        self._runtime: InferenceRuntime = open_runtime(spec, threads=None)

    @property
    def runtime(self) -> str:
        """What runs it."""
        return self._runtime.description

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runtime.close()

    def restored(self, counts: Counts, camera: CameraModel) -> Picture:
        """(Y, X) counts of any real dtype, restored; float64, not rounded."""
        return self._made(counts, camera, None, None)

    def refocused(
        self,
        counts: Counts,
        camera: CameraModel,
        dpm_um: NDArray[np.floating] | float,
        optics: Optics,
    ) -> Picture:
        """(Y, X) counts refocused by `dpm_um`, a number or (Y, X), positive deeper; float64."""
        dpm = dpm_um if isinstance(dpm_um, float) else np.asarray(dpm_um, np.float32)
        return self._made(counts, camera, dpm, optics)

    def _made(
        self,
        counts: Counts,
        camera: CameraModel,
        dpm: NDArray[np.float32] | float | None,
        optics: Optics | None,
    ) -> Picture:
        # As float32, so that the result of a dim frame is not rounded to whole counts.
        frame = _frame(counts.astype(np.float32))
        made = restore(frame, self.spec, self._runtime.infer, camera, dpm, optics=optics)
        return made.pixels.astype(np.float64)


def _frame(counts: Counts) -> Frame:
    made_as: PixelDtype = counts.dtype.name  # type: ignore[assignment]
    header = FrameHeader(
        run_id="bench",
        number=0,
        shape=(counts.shape[0], counts.shape[1]),
        dtype=made_as,
        captured_ns=0,
        captured_utc="",
        camera="",
    )
    return Frame(counts, header)
