"""Denoisers on simulated specimens over several photon levels, and on real pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import estimate_from_frame
from liverestore.errors import UserError
from liverestore.measure.fidelity import affine_psnr
from liverestore.measure.opponents import best_gaussian
from liverestore.quality.methods import CAMERA, Engine, among_filters, exposed, figures
from liverestore.quality.records import QualityTest, Sample
from liverestore.training.registration import phase_shift
from liverestore.training.specimens import scene

__all__ = ["recorded_denoising", "simulated_denoising"]

_SEED = 71_509_150
"""Trainings take small seeds of their own; with this one they would see the test."""
_SIDE_PX = 256
_SPECIMENS = 8
_PEAKS_E = (5.0, 20.0, 80.0, 320.0)
_BACKGROUND_E = 2.0

Picture = NDArray[np.float64]


def simulated_denoising(engines: Sequence[Engine]) -> QualityTest:
    """`engines` beside the filters, on frames of 256x256."""

    def run() -> Iterator[list[Sample]]:
        for number in range(_SPECIMENS):
            clean = scene((_SEED, number), (_SIDE_PX, _SIDE_PX)).astype(np.float64)
            for level, peak_e in enumerate(_PEAKS_E):
                light = peak_e * clean + _BACKGROUND_E
                frame = exposed(light, np.random.default_rng((_SEED, number, level)))
                condition = f"{peak_e:g} e"
                gaussian = best_gaussian(frame, light)
                classical = [("best Gaussian", gaussian.image, gaussian.setting)]
                results = among_filters(classical, engines, frame, CAMERA)
                yield [
                    Sample(condition, method, figures(image, light, None), setting)
                    for method, image, setting in results
                ]

    return QualityTest(
        key="denoise-simulated",
        title="denoising, simulated specimens",
        notes=(
            f"{_SPECIMENS} unseen specimens of {_SIDE_PX}x{_SIDE_PX} px at each light level: "
            f"photoelectrons at the brightest places, over a background of {_BACKGROUND_E:g}, "
            f"read noise {CAMERA.read_noise_e:g} e, camera known.",
            "Best Gaussian: its width is chosen on the truth, image by image.",
        ),
        columns="metrics",
        shown=("psnr_db", "ssim", "nrmse", "frc_px"),
        steps=_SPECIMENS * len(_PEAKS_E),
        run=run,
    )


_BPAE = Path("denoise") / "confocal_bpae"
_TIRF = Path("denoise") / "tirf_microtubules" / "TIRF_200Hz.tif"


def recorded_denoising(engines: Sequence[Engine], data: Path) -> QualityTest | None:
    """The same on the real pairs below `data`; None where there is none.

    The drift between frame and truth is found once for each pair, by phase correlation of the
    frame under the best Gaussian, and undone by moving the truth, for all methods alike.
    """
    pairs = {
        f"BPAE {channel}": (data / _BPAE / f"BPAE_{channel}_noisy.tif", f"BPAE_{channel}_average")
        for channel in "RG"
    }
    present = {
        name: (noisy, noisy.with_name(f"{truth}.tif"))
        for name, (noisy, truth) in pairs.items()
        if noisy.is_file() and noisy.with_name(f"{truth}.tif").is_file()
    }
    has_tirf = (data / _TIRF).is_file()
    if not present and not has_tirf:
        return None

    def run() -> Iterator[list[Sample]]:
        for name, (noisy, average) in present.items():
            yield _pair(name, _read(noisy, 2), _read(average, 2), engines)
        if has_tirf:
            movie = _read(data / _TIRF, 3)
            yield _pair("TIRF microtubules", movie[0], movie[1:].mean(axis=0), engines)

    return QualityTest(
        key="denoise-recorded",
        title="denoising, real images",
        notes=(
            "BPAE: one confocal frame against the mean of 50. TIRF: frame 0 against the mean of "
            "the other 19, which share the chip's fixed pattern. Camera estimated from the frame.",
            "Drift out: the shift between frame and truth (BPAE: about 0.7 px), found once per "
            "pair by phase correlation of the best Gaussian, is undone for all methods alike; so "
            "it is for SSIM, NRMSE and FRC.",
        ),
        columns="metrics",
        shown=("psnr_db", "drift_corrected_psnr_db", "ssim", "nrmse", "frc_px"),
        steps=len(present) + int(has_tirf),
        run=run,
    )


def _read(path: Path, axes: int) -> NDArray[np.generic]:
    image: NDArray[np.generic] = tifffile.imread(path)
    if image.ndim != axes:
        raise UserError(
            f"{path}: got an image {image.shape}; allowed are {axes} axes, as in the test images"
        )
    return image


def _pair(
    name: str, frame: NDArray[np.generic], truth: NDArray[np.generic], engines: Sequence[Engine]
) -> list[Sample]:
    camera = estimate_from_frame(frame)
    gaussian = best_gaussian(frame, truth)
    classical = [("best Gaussian", gaussian.image, gaussian.setting)]
    results = among_filters(classical, engines, frame, camera)
    (dy, dx), _ = phase_shift(gaussian.image, truth.astype(np.float64))
    # fixed[p] = moving[p + d]
    moved = ndimage.shift(truth.astype(np.float64), (-dy, -dx), order=3, mode="nearest")
    edge = int(np.ceil(max(abs(dy), abs(dx)))) + 1
    inner = slice(edge, -edge)
    samples = []
    for method, image, setting in results:
        measured = figures(image[inner, inner], moved[inner, inner], None)
        measured["drift_corrected_psnr_db"] = measured["psnr_db"]
        measured["psnr_db"] = affine_psnr(image, truth)
        samples.append(Sample(name, method, measured, setting))
    return samples
