"""Widefield to confocal and confocal to STED, on simulated fields and on real SIM pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from liverestore.camera_model import estimate_from_frame
from liverestore.measure.deconvolve import Deconvolution
from liverestore.measure.fidelity import correlation, ssim
from liverestore.measure.opponents import best_gaussian, best_lucy_as_shown_by
from liverestore.measure.peak_width import fit_spot, line_fwhm_px
from liverestore.microscopes import Confocal, confocal_psf, sted_psf
from liverestore.optics import Optics, widefield_psf
from liverestore.quality.methods import CAMERA, Engine, Result, among_filters, exposed, figures
from liverestore.quality.records import QualityTest, Sample
from liverestore.training.registration import phase_shift

__all__ = ["recorded_sim_pairs", "simulated_sharpening", "simulated_widths"]

_SEED = 71_509_150
_SIDE_PX = 192
_SPECIMENS = 3
_OBJECTIVES, _SCANNERS = 4, 3
"""How many of each `training.unseen_specimens` has."""
_PEAKS_E = (50.0, 300.0)
_BACKGROUND_E = 2.0

Picture = NDArray[np.floating]


def _compared(
    frame: NDArray[np.uint16],
    truth: Picture,
    psfs: tuple[Picture, Picture],
    engines: Sequence[Engine],
) -> list[Result]:
    gaussian = best_gaussian(frame, truth)
    lucy, shown = best_lucy_as_shown_by(
        psfs[1], CAMERA.to_electrons(frame), psfs[0], truth, _BACKGROUND_E
    )
    classical = [
        ("best Gaussian", gaussian.image, gaussian.setting),
        ("Richardson-Lucy", lucy.image, lucy.setting),
        ("RL, reblurred", shown.image, shown.setting),
    ]
    return among_filters(classical, engines, frame, CAMERA)


def simulated_sharpening(engines: Sequence[Engine], *, sted: bool) -> QualityTest:
    """`engines` (networks and filters) on unseen fields; needs torch for the specimens."""
    microscopes = _SCANNERS if sted else _OBJECTIVES

    def run() -> Iterator[list[Sample]]:
        from liverestore.training.unseen_specimens import confocal_pairs, sted_pairs

        for microscope in range(microscopes):
            make = sted_pairs if sted else confocal_pairs
            for specimen, pair in enumerate(make(microscope, _SPECIMENS, _SIDE_PX)):
                samples = []
                for level, peak_e in enumerate(_PEAKS_E):
                    light = peak_e * pair.seen.astype(np.float64) + _BACKGROUND_E
                    truth = peak_e * pair.wanted.astype(np.float64) + _BACKGROUND_E
                    rng = np.random.default_rng((_SEED, 31, microscope, specimen, level))
                    frame = exposed(light, rng)
                    for method, image, setting in _compared(
                        frame, truth, (pair.seen_psf, pair.wanted_psf), engines
                    ):
                        measured = figures(image, truth, pair.pixel_size_um)
                        samples.append(Sample(pair.microscope, method, measured, setting))
                yield samples

    worse, better = ("confocal", "STED") if sted else ("widefield", "confocal")
    return QualityTest(
        key=f"{worse}-to-{better}-simulated".lower(),
        title=f"{worse} to {better}, simulated",
        notes=(
            f"{_SPECIMENS} unseen specimens under each microscope, at "
            f"{' and '.join(f'{peak:g}' for peak in _PEAKS_E)} photoelectrons at the brightest "
            f"places. Truth: the {better} picture, noise-free.",
            f"Richardson-Lucy knows the {worse} PSF; its iterations are chosen on the truth, as is "
            "the width of the best Gaussian, frame by frame. RL, reblurred: the estimate as the "
            f"{better} microscope would show it.",
        ),
        columns="metrics",
        shown=("psnr_db", "ssim", "nrmse", "frc_um"),
        steps=microscopes * _SPECIMENS,
        run=run,
    )


_WIDE_UM, _NARROW_UM = 0.290, 0.110
_WIDTH_PIXEL_UM = 0.040
_PSF_PX = 63
_FIELDS = 3
_POINT_PEAK_E = 300.0
_LINE_REACH_PX = 11.0
_BEAD_REACH_PX = 11


@lru_cache(maxsize=1)
def _scanner() -> tuple[Picture, Picture]:
    """PSFs (Y, X) of a confocal of 290 nm and of the same microscope with STED at 110 nm."""

    def confocal(aperture: float) -> Confocal:
        return Confocal(Optics(aperture, 650.0, 1.45, 1.45, _WIDTH_PIXEL_UM), 594.0)

    def wide(aperture: float) -> Picture:
        return np.asarray(confocal_psf(confocal(aperture), [0.0], _PSF_PX)[0])

    def width_um(psf: Picture) -> float:
        # By the fit that judges the results, so that its bias is in none of them.
        centre = _PSF_PX // 2
        return fit_spot(psf, centre, centre, _BEAD_REACH_PX).fwhm_px * _WIDTH_PIXEL_UM

    aperture = float(optimize.brentq(lambda na: width_um(wide(na)) - _WIDE_UM, 0.6, 1.3, xtol=1e-3))
    scanner = confocal(aperture)

    def narrow(log_saturation: float) -> Picture:
        saturation = math.exp(log_saturation)
        return np.asarray(sted_psf(scanner, 775.0, saturation, [0.0], _PSF_PX)[0])

    saturation = float(
        optimize.brentq(lambda s: width_um(narrow(s)) - _NARROW_UM, 0.0, 5.0, xtol=5e-3)
    )
    return wide(aperture), narrow(saturation)


def _seen(places: Picture, weights: Picture, psf: Picture) -> Picture:
    """(Y, X) picture of points at `places` (N, 2) in px with `weights` (N,)."""
    n = fft.next_fast_len(_SIDE_PX + psf.shape[0], real=True)
    ky, kx = fft.fftfreq(n)[:, None], fft.rfftfreq(n)[None, :]
    # Sum over points of a separable wave: one matrix product.
    rows = np.exp(-2j * np.pi * ky * places[:, 0])
    columns = np.exp(-2j * np.pi * places[:, 1:] * kx)
    points = (rows * weights) @ columns
    canvas = np.zeros((n, n))
    canvas[: psf.shape[0], : psf.shape[1]] = psf
    canvas = np.roll(canvas, (-(psf.shape[0] // 2), -(psf.shape[1] // 2)), axis=(0, 1))
    picture = fft.irfft2(fft.rfft2(canvas) * points, s=(n, n))
    return np.asarray(np.maximum(picture[:_SIDE_PX, :_SIDE_PX], 0.0))


def _beads_and_lines(
    rng: np.random.Generator,
) -> tuple[Picture, Picture, Picture, list[tuple[tuple[float, float], tuple[float, float]]]]:
    """Points and weights of a field, the places of its beads, and the ends of its lines."""
    beads = np.stack(np.meshgrid([28.0, 74.0, 118.0, 164.0], [24.0], indexing="ij"), -1)
    beads = beads.reshape(-1, 2) + rng.uniform(-0.5, 0.5, (4, 2))
    places, weights, ends = [beads], [np.ones(len(beads))], []
    for column in (70.0, 110.0, 150.0):
        start = (16.0, column + rng.uniform(-8, 8))
        end = (176.0, column + rng.uniform(-8, 8))
        along = np.linspace(0, 1, 3000)[:, None]
        places.append(np.array(start) + along * (np.array(end) - np.array(start)))
        # As bright as the beads.
        weights.append(np.full(3000, 0.12 * 160 / 3000))
        ends.append(((30.0, start[1] + 14 / 160 * (end[1] - start[1])), end))
    return np.concatenate(places), np.concatenate(weights), beads, ends


def simulated_widths(engines: Sequence[Engine]) -> QualityTest:
    """How far beads and lines of 290 nm are narrowed, 110 nm being right."""

    def run() -> Iterator[list[Sample]]:
        wide, narrow = _scanner()
        for number in range(_FIELDS):
            rng = np.random.default_rng((_SEED, 33, number))
            places, weights, beads, ends = _beads_and_lines(rng)
            scale = _POINT_PEAK_E / float(wide.max())
            light = scale * _seen(places, weights, wide) + _BACKGROUND_E
            truth = scale * _seen(places, weights, narrow) + _BACKGROUND_E
            frame = exposed(light, rng)
            results = [("truth", truth, None), *_compared(frame, truth, (wide, narrow), engines)]
            samples = []
            for method, image, setting in results:
                widths = [fit_spot(image, y, x, _BEAD_REACH_PX).fwhm_px for y, x in beads]
                lines = [line_fwhm_px(image, a, b, _LINE_REACH_PX) for a, b in ends]
                measured = {
                    "fwhm_um": sorted(widths)[len(widths) // 2] * _WIDTH_PIXEL_UM,
                    "line_fwhm_um": sorted(lines)[len(lines) // 2] * _WIDTH_PIXEL_UM,
                }
                if method != "truth":
                    measured.update(figures(image, truth, _WIDTH_PIXEL_UM))
                samples.append(Sample("beads and lines", method, measured, setting))
            yield samples

    return QualityTest(
        key="sted-widths",
        title=f"confocal to STED, a width of {1e3 * _WIDE_UM:.0f} nm to "
        f"{1e3 * _NARROW_UM:.0f} nm, simulated",
        notes=(
            f"Single points and straight lines, {_POINT_PEAK_E:g} photoelectrons at a point's "
            f"peak, pixels of {1e3 * _WIDTH_PIXEL_UM:.0f} nm; a point is "
            f"{1e3 * _WIDE_UM:.0f} nm wide in the confocal, {1e3 * _NARROW_UM:.0f} nm under STED.",
            "Richardson-Lucy and Gaussian as above: settings chosen on the truth.",
        ),
        columns="metrics",
        shown=("fwhm_um", "line_fwhm_um", "psnr_db", "ssim"),
        steps=_FIELDS,
        run=run,
    )


_SIM = Path("cross_modality") / "widefield_sim"
_SIM_OPTICS = {"factin": (1.49, 525.0), "microtubules": (1.41, 525.0)}
"""Aperture and wavelength in nm, as the makers of these images state or as is usual."""
_SIM_ITERATIONS = (5, 12, 27, 50, 100)
_HAZE_PX = 8.0
_SIM_PIXELS_UM = (0.042, 0.050, 0.0565, 0.0626)


def recorded_sim_pairs(engines: Sequence[Engine], data: Path) -> QualityTest | None:
    """How the results on real widefield images correlate with SIM; None without images.

    The SIM image is moved onto the widefield one by the shift that phase correlation finds.
    """
    names = [
        name
        for name in _SIM_OPTICS
        if all((data / _SIM / f"{name}_{kind}.tif").is_file() for kind in ("widefield", "sim"))
    ]
    if not names:
        return None

    def run() -> Iterator[list[Sample]]:
        for name in names:
            wide, sim = (
                np.asarray(tifffile.imread(data / _SIM / f"{name}_{kind}.tif"), np.float32)
                for kind in ("widefield", "sim")
            )
            yield _sim_samples(name, wide, sim, engines)

    return QualityTest(
        key="sim-recorded",
        title="widefield against SIM, real images",
        notes=(
            "SIM image moved onto the widefield one by phase correlation; correlation takes no "
            "notice of gain and offset, SSIM is after the best of both. SIM is no truth: it has "
            "noise and artefacts of its own.",
            "Richardson-Lucy: PSF of an oil objective (NA 1.49 and 1.41, 525 nm) whose pixel "
            f"size ({min(_SIM_PIXELS_UM):g} to {max(_SIM_PIXELS_UM):g} um) and iterations, as "
            "well as the width of the Gaussian, are chosen on the SIM image.",
        ),
        columns="metrics",
        shown=("correlation", "fine_correlation", "ssim", "frc_px"),
        steps=len(names),
        run=run,
    )


def _without_haze(image: NDArray[np.generic]) -> Picture:
    """2-D SIM keeps light from out of focus, which a confocal does not: both without it."""
    counts = image.astype(np.float64)
    fine: Picture = counts - ndimage.gaussian_filter(counts, _HAZE_PX)
    return fine


def _sim_samples(
    name: str, wide: NDArray[np.float32], sim: NDArray[np.float32], engines: Sequence[Engine]
) -> list[Sample]:
    (dy, dx), _ = phase_shift(wide, sim)
    whole = ndimage.shift(sim.astype(np.float64), (-dy, -dx), order=3, mode="nearest")
    edge = math.ceil(max(abs(dy), abs(dx))) + 4
    inner = slice(edge, -edge)
    truth = whole[inner, inner]
    camera = estimate_from_frame(wide)
    gaussian = best_gaussian(wide, whole)
    aperture, wavelength_nm = _SIM_OPTICS[name]
    # Without light the camera gives its offset, which is no light to deconvolve.
    light = np.maximum(wide - float(np.quantile(wide, 0.001)), 0.0)
    best = (-1.0, light, 0)
    for pixel_um in _SIM_PIXELS_UM:
        optics = Optics(aperture, wavelength_nm, 1.518, 1.45, pixel_um)
        psf = widefield_psf(optics, [0.0], _PSF_PX)[0]
        shape = (wide.shape[0], wide.shape[1])
        for count, estimate in Deconvolution(psf, shape).iterate(light, 0.0, _SIM_ITERATIONS):
            agreement = correlation(estimate[inner, inner], truth)
            if agreement > best[0]:
                best = (agreement, estimate, count)
    classical = [
        ("best Gaussian", gaussian.image, gaussian.setting),
        ("Richardson-Lucy", best[1], float(best[2])),
    ]
    results = [
        (method, image[inner, inner], setting)
        for method, image, setting in among_filters(classical, engines, wide, camera)
    ]
    return [
        Sample(
            name,
            method,
            {
                **figures(image, truth, None),
                "correlation": correlation(image, truth),
                "fine_correlation": correlation(_without_haze(image), _without_haze(truth)),
                "ssim": ssim(image, truth),
            },
            setting,
        )
        for method, image, setting in results
    ]
