"""Refocusing on real images: a bead stack, and a cell out of focus under a light sheet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.camera_model import CameraModel, estimate_from_frame
from liverestore.errors import UserError
from liverestore.measure.fidelity import affine_psnr, correlation, ssim
from liverestore.measure.opponents import best_gaussian, best_richardson_lucy
from liverestore.measure.peak_width import fit_spot
from liverestore.optics import Optics, widefield_psf
from liverestore.quality.methods import Engine
from liverestore.quality.records import QualityTest, Sample
from liverestore.training.registration import phase_shift

__all__ = ["BEAD_PIXEL_UM", "binning_for", "recorded_beads", "recorded_light_sheet"]

_BEADS = Path("refocus") / "beads" / "psf_wl520nm_z300nm_x130nm_na0.85_n1.0.tif"
BEAD_PIXEL_UM = 0.130
"""Of the bead stack as it was recorded."""
_BEAD_OPTICS = Optics(0.85, 520.0, 1.0, 1.0, BEAD_PIXEL_UM)
_BEAD_STEP_UM = 0.3
_REACH_UM = 3.0
_BEAD_WINDOW_UM = 4.0
_BINNINGS = (1, 2, 3, 4)
_PSF_PX = 127

Picture = NDArray[np.floating]


def binning_for(engine: Engine, pixel_size_um: float) -> int:
    """How many pixels to sum per side so that the engine gets the pixel size it knows.

    The smallest that falls into its range, else the one nearest to it; 1 where it states none.
    """
    span = engine.spec.pixel_size_range_um
    if span is None:
        return 1

    def outside(factor: int) -> float:
        size = factor * pixel_size_um
        return max(span[0] / size, size / span[1], 1.0)

    return min(_BINNINGS, key=outside)


def _binned(image: NDArray[np.generic], factor: int) -> NDArray[np.float32]:
    height, width = (n // factor * factor for n in image.shape)
    blocks = image[:height, :width].astype(np.float32)
    blocks = blocks.reshape(height // factor, factor, width // factor, factor)
    return np.asarray(blocks.sum(axis=(1, 3)), np.float32)


def _read(path: Path, axes: int) -> NDArray[np.generic]:
    image: NDArray[np.generic] = tifffile.imread(path)
    if image.ndim != axes:
        raise UserError(
            f"{path}: got an image {image.shape}; allowed are {axes} axes, as in the test images"
        )
    return image


def recorded_beads(engines: Sequence[Engine], data: Path, binning: int) -> QualityTest | None:
    """Planes of the real bead stack brought to its focus; None where it is missing.

    `binning` sums so many pixels per side first, for all methods and for the bead in focus.
    """
    path = data / _BEADS
    if not path.is_file():
        return None
    pixel_um = binning * BEAD_PIXEL_UM

    def run() -> Iterator[list[Sample]]:
        stack = np.stack([_binned(plane, binning) for plane in _read(path, 3)])
        yield from _bead_stack(stack, pixel_um, engines)

    return QualityTest(
        key=f"beads-recorded-{binning}x{binning}",
        title=f"refocusing a real bead, NA 0.85, pixels of {1e3 * pixel_um:.0f} nm"
        + (f" (binned {binning}x{binning})" if binning > 1 else ""),
        notes=(
            f"Each plane of the stack within {_REACH_UM:g} um refocused to the sharpest one; "
            "median width per range of distances, and the width farthest from that of the bead "
            "in focus (worst). Camera estimated from each plane.",
            "Neither the direction in which the planes go nor the index of the sample is in the "
            "file: each engine gets the sign that suits it better over the whole stack, and an "
            "index of 1. Iterations of Richardson-Lucy are chosen on the plane in focus.",
        ),
        columns="conditions",
        shown=("fwhm_um",),
        steps=len(engines) + 1,
        run=run,
    )


def _bead_stack(
    stack: NDArray[np.float32], pixel_um: float, engines: Sequence[Engine]
) -> Iterator[list[Sample]]:
    focus = int(stack.max(axis=(1, 2)).argmax())
    truth = stack[focus]
    y, x = (int(n) for n in np.unravel_index(int(truth.argmax()), truth.shape))
    window_px = round(_BEAD_WINDOW_UM / pixel_um)
    steps = round(_REACH_UM / _BEAD_STEP_UM)
    chosen = [k for k in range(-steps, steps + 1) if k and 0 <= focus + k < len(stack)]
    cameras = {k: estimate_from_frame(stack[focus + k]) for k in chosen}
    optics = dataclasses.replace(_BEAD_OPTICS, pixel_size_um=pixel_um)

    def width_um(image: NDArray[np.generic]) -> float:
        return fit_spot(image, y, x, window_px).fwhm_px * pixel_um

    sharp_um = width_um(truth)

    def reported(method: str, widths: dict[int, float]) -> list[Sample]:
        samples = []
        for k, width in widths.items():
            upper = int(np.ceil(abs(k) * _BEAD_STEP_UM - 1e-6))
            samples.append(Sample(f"{upper - 1} to {upper} um", method, {"fwhm_um": width}))
        worst = max(widths.values(), key=lambda w: abs(w - sharp_um))
        samples.append(Sample("worst", method, {"fwhm_um": worst}))
        return sorted(samples, key=lambda sample: sample.condition)

    lucy = {}
    for k in chosen:
        psf = widefield_psf(optics, [k * _BEAD_STEP_UM], _PSF_PX)
        light = cameras[k].to_electrons(stack[focus + k])
        found = best_richardson_lucy(light, psf[0], truth, 0.0)
        lucy[k] = width_um(found.image)
    yield [
        *reported("bead in focus", dict.fromkeys(chosen, sharp_um)),
        *reported("plane as recorded", {k: width_um(stack[focus + k]) for k in chosen}),
        *reported("Richardson-Lucy", lucy),
    ]
    for engine in engines:
        both = []
        for sign in (1, -1):
            widths = {
                k: width_um(
                    engine.refocused(
                        stack[focus + k], cameras[k], -sign * k * _BEAD_STEP_UM, optics
                    )
                )
                for k in chosen
            }
            off = [min(abs(np.log(w / sharp_um)), 5.0) for w in widths.values()]
            both.append((float(np.mean(off)), widths))
        yield reported(engine.name, min(both, key=lambda pair: pair[0])[1])


_SHEET = Path("refocus") / "cells_lightsheet"
_SHEET_STEM = "cell2G2Dz0p3um"
_SHEET_OPTICS = Optics(1.0, 520.0, 1.33, 1.36, 0.108)
_TENTHS = range(1, 8)
_SHEET_PX = 384
_SHEET_ITERATIONS = (1, 2, 3, 5, 8)


def recorded_light_sheet(engines: Sequence[Engine], data: Path) -> QualityTest | None:
    """A light-sheet image out of focus brought to its focus; None where there is none."""
    focused = data / _SHEET / f"{_SHEET_STEM}ON.tif"
    files = {
        (sign, tenths): data / _SHEET / f"{_SHEET_STEM}Off{letter}0p{tenths}um.tif"
        for sign, letter in ((-1, "M"), (1, "P"))
        for tenths in _TENTHS
    }
    files = {key: path for key, path in files.items() if path.is_file()}
    if not focused.is_file() or not files:
        return None

    def run() -> Iterator[list[Sample]]:
        truth = _middle(_read(focused, 2))
        found: dict[tuple[str, int], list[tuple[str, dict[str, float]]]] = {}
        for (sign, tenths), path in files.items():
            yield _sheet_samples(_middle(_read(path, 2)), truth, sign, tenths, engines, found)
        for engine in engines:
            # The direction of the detection is not in the files: one sign for all of them.
            better = max(
                (-1, 1),
                key=lambda way, name=engine.name: float(  # type: ignore[misc]
                    np.mean([measured["correlation"] for _, measured in found[name, way]])
                ),
            )
            yield [
                Sample(condition, engine.name, measured)
                for condition, measured in found[engine.name, better]
            ]

    return QualityTest(
        key="light-sheet-recorded",
        title="refocusing a real cell under a light sheet",
        notes=(
            f"Mitochondria, the middle {_SHEET_PX} px, out of focus by the distance above (both "
            "sides) against the image in focus, one noisy frame that is no truth; the shift "
            "between both is undone. Optics are not stated: taken as "
            f"NA {_SHEET_OPTICS.numerical_aperture:g} in water, "
            f"{_SHEET_OPTICS.wavelength_nm:g} nm, {1e3 * _SHEET_OPTICS.pixel_size_um:.0f} nm "
            "pixels, direction as it suits each engine better.",
            "Gaussian and Richardson-Lucy: settings chosen on the image in focus.",
        ),
        columns="conditions",
        shown=("correlation", "psnr_db", "ssim"),
        steps=len(files) + len(engines),
        run=run,
    )


def _middle(image: NDArray[np.generic]) -> NDArray[np.generic]:
    rows, columns = (slice((n - _SHEET_PX) // 2, (n + _SHEET_PX) // 2) for n in image.shape)
    return image[rows, columns]


def _sheet_samples(
    frame: NDArray[np.generic],
    focused: NDArray[np.generic],
    sign: int,
    tenths: int,
    engines: Sequence[Engine],
    found: dict[tuple[str, int], list[tuple[str, dict[str, float]]]],
) -> list[Sample]:
    """Classical methods as samples; what the engines give for both directions into `found`."""
    (dy, dx), _ = phase_shift(frame.astype(np.float64), focused.astype(np.float64))
    inner = slice(8, -8)
    truth = ndimage.shift(focused.astype(np.float64), (-dy, -dx), order=3, mode="nearest")
    cut = truth[inner, inner]
    camera: CameraModel = estimate_from_frame(frame)
    distance_um = tenths / 10

    def measured(image: NDArray[np.generic]) -> dict[str, float]:
        part = image[inner, inner]
        return {
            "correlation": correlation(part, cut),
            "psnr_db": affine_psnr(part, cut),
            "ssim": ssim(part, cut),
        }

    condition = f"{distance_um:.1f} um"
    for engine in engines:
        for way in (-1, 1):
            image = engine.refocused(frame, camera, way * sign * distance_um, _SHEET_OPTICS)
            found.setdefault((engine.name, way), []).append((condition, measured(image)))
    gaussian = best_gaussian(frame, truth)
    psf = widefield_psf(_SHEET_OPTICS, [distance_um], 63)[0]
    light = camera.to_electrons(frame)
    dark = max(float(np.quantile(light, 0.01)), 0.0)
    lucy = best_richardson_lucy(light, psf, truth, dark, iterations=_SHEET_ITERATIONS)
    return [
        Sample(condition, "frame as recorded", measured(frame)),
        Sample(condition, "best Gaussian", measured(gaussian.image), gaussian.setting),
        Sample(condition, "Richardson-Lucy", measured(lucy.image), lucy.setting),
    ]
