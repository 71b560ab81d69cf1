"""Refocusing on simulated specimens: planes, beads, and surfaces that are not flat."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from liverestore.measure.fidelity import affine_psnr
from liverestore.measure.opponents import best_gaussian, best_lucy_as_shown_by
from liverestore.measure.peak_width import fit_spot
from liverestore.optics import Optics, widefield_psf
from liverestore.quality.methods import CAMERA, Engine, exposed, figures
from liverestore.quality.records import QualityTest, Sample

if TYPE_CHECKING:
    from liverestore.training.unseen_specimens import UnseenStack

__all__ = ["DISTANCES_UM", "along", "simulated_refocusing", "simulated_surfaces"]

DISTANCES_UM = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
_SEED = 71_509_150
_SIDE_PX = 128
_MICROSCOPES, _SPECIMENS = 4, 2
_PEAK_E, _BACKGROUND_E = 200.0, 3.0
_PSF_PX = 127
_BEAD_SIDE_PX = 128
_BEAD_APART_PX = 64
_BEAD_PEAK_E = 1000.0
_BEAD_REACH_PX = 24

Picture = NDArray[np.floating]
Results = list[tuple[str, NDArray[np.generic], float | None]]


def _results(
    frame: NDArray[np.generic],
    truth: Picture,
    signed_um: float,
    optics: Optics,
    engines: Sequence[Engine],
    filters: Sequence[Engine],
    shown_by: NDArray[np.float32],
) -> Results:
    """What each method makes of a frame whose plane wanted lies `signed_um` deeper."""
    electrons = CAMERA.to_electrons(frame)
    gaussian = best_gaussian(frame, truth)
    psf = widefield_psf(optics, [signed_um], _PSF_PX)[0]
    lucy, shown = best_lucy_as_shown_by(shown_by, electrons, psf, truth, _BACKGROUND_E)
    return [
        ("frame as recorded", frame, None),
        *((e.name, e.restored(frame, CAMERA), None) for e in filters),
        ("best Gaussian", gaussian.image, gaussian.setting),
        ("Richardson-Lucy", lucy.image, lucy.setting),
        ("RL, reblurred", shown.image, shown.setting),
        *((e.name, e.refocused(frame, CAMERA, signed_um, optics), None) for e in engines),
    ]


def _planes(
    stack: UnseenStack,
    seed: tuple[int, ...],
    distance_um: float,
    engines: Sequence[Engine],
    filters: Sequence[Engine],
    shown_by: NDArray[np.float32],
) -> Iterator[Sample]:
    """Frames from both sides of the plane wanted, brought there."""
    optics = stack.optics
    truth = _PEAK_E * stack.wanted.astype(np.float64) + _BACKGROUND_E
    sides = (-distance_um, distance_um) if distance_um else (0.0,)
    for side, signed_um in enumerate(sides):
        # The plane wanted lies `signed_um` deeper than the one in focus.
        clean = _PEAK_E * stack.seen([-signed_um])[0].astype(np.float64) + _BACKGROUND_E
        frame = exposed(clean, np.random.default_rng((*seed, side)))
        raw_db = affine_psnr(frame, truth)
        results: Results = [("the same without noise", clean, None)]
        results += _results(frame, truth, signed_um, optics, engines, filters, shown_by)
        wrong = {
            e.name: affine_psnr(e.refocused(frame, CAMERA, -signed_um, optics), truth)
            for e in engines
            if distance_um
        }
        for method, image, setting in results:
            measured = figures(image, truth, optics.pixel_size_um)
            measured["gain_db"] = measured["psnr_db"] - raw_db
            if method in wrong:
                measured["right_sign"] = 100.0 * (measured["psnr_db"] > wrong[method])
            yield Sample(f"{distance_um:g} um", method, measured, setting)


def _bead_field(psf: NDArray[np.float32], rng: np.random.Generator) -> tuple[Picture, Picture]:
    """Points every 64 px, off the pixel grid: the picture (Y, X), and the places (N, 2) in px."""
    grid = np.arange(_BEAD_APART_PX / 2, _BEAD_SIDE_PX, _BEAD_APART_PX)
    places = np.stack(np.meshgrid(grid, grid, indexing="ij"), -1).reshape(-1, 2)
    places = places + rng.uniform(-0.5, 0.5, places.shape)
    # Room for the far light of a bead, which is not to come in on the other side.
    n = _BEAD_SIDE_PX + _PSF_PX
    points = np.zeros((n, n // 2 + 1), np.complex128)
    ky, kx = fft.fftfreq(n)[:, None], fft.rfftfreq(n)[None, :]
    for y, x in places:
        points += np.exp(-2j * np.pi * (ky * y + kx * x))
    canvas = np.zeros((n, n))
    canvas[:_PSF_PX, :_PSF_PX] = psf
    canvas = np.roll(canvas, (-(_PSF_PX // 2), -(_PSF_PX // 2)), axis=(0, 1))
    picture = fft.irfft2(fft.rfft2(canvas) * points, s=(n, n))
    return np.maximum(picture[:_BEAD_SIDE_PX, :_BEAD_SIDE_PX], 0.0), places


def _median_width_um(image: NDArray[np.generic], places: Picture, pixel_size_um: float) -> float:
    widths = sorted(fit_spot(image, y, x, _BEAD_REACH_PX).fwhm_px for y, x in places)
    return widths[len(widths) // 2] * pixel_size_um


def _beads(
    optics: Optics,
    seed: tuple[int, ...],
    distance_um: float,
    engines: Sequence[Engine],
    filters: Sequence[Engine],
    shown_by: NDArray[np.float32],
) -> Iterator[Sample]:
    """Widths of beads that lie in the plane wanted."""
    in_focus = widefield_psf(optics, [0.0], _PSF_PX)[0]
    scale = _BEAD_PEAK_E / float(in_focus.max())
    wanted, places = _bead_field(shown_by, np.random.default_rng(seed))
    truth = scale * wanted + _BACKGROUND_E
    condition = f"{distance_um:g} um"
    pixel = optics.pixel_size_um
    yield Sample(condition, "truth", {"fwhm_um": _median_width_um(truth, places, pixel)})
    for side, signed_um in enumerate((-distance_um, distance_um)):
        psf = widefield_psf(optics, [signed_um], _PSF_PX)[0]
        seen, _ = _bead_field(psf, np.random.default_rng(seed))
        frame = exposed(scale * seen + _BACKGROUND_E, np.random.default_rng((*seed, side)))
        for method, image, setting in _results(
            frame, truth, signed_um, optics, engines, filters, shown_by
        ):
            width = _median_width_um(image, places, pixel)
            yield Sample(condition, method, {"fwhm_um": width}, setting)


def simulated_refocusing(
    engines: Sequence[Engine], filters: Sequence[Engine], *, confocal: bool
) -> QualityTest:
    """Refocusing `engines` beside the classical methods; needs torch for the specimens.

    With `confocal` the picture wanted is that of a confocal microscope (Deep-Z+).
    """
    distances_um = ((0.0,) if confocal else ()) + DISTANCES_UM

    def run() -> Iterator[list[Sample]]:
        from liverestore.training.unseen_specimens import UnseenStack

        for microscope in range(_MICROSCOPES):
            for specimen in range(_SPECIMENS):
                stack = UnseenStack(
                    microscope,
                    specimen,
                    _SIDE_PX,
                    reach_um=max(distances_um),
                    confocal=confocal,
                )
                shown_by = (
                    stack.confocal_psf(_PSF_PX)
                    if confocal
                    else widefield_psf(stack.optics, [0.0], _PSF_PX)[0]
                )
                for index, distance_um in enumerate(distances_um):
                    seed = (_SEED, microscope, specimen, index)
                    samples = list(_planes(stack, seed, distance_um, engines, filters, shown_by))
                    if specimen == 0 and distance_um:
                        samples += _beads(
                            stack.optics, seed, distance_um, engines, filters, shown_by
                        )
                    yield samples

    wanted = "the confocal picture of that plane" if confocal else "that plane in focus"
    return QualityTest(
        key="confocal-refocus-simulated" if confocal else "refocus-simulated",
        title="refocusing to a confocal plane, simulated" if confocal else "refocusing, simulated",
        notes=(
            f"{_MICROSCOPES * _SPECIMENS} unseen specimens, 20x / 0.75-0.8, air over a watery "
            f"sample, {_PEAK_E:g} photoelectrons at the brightest places in focus; frames from "
            f"both sides of the plane wanted, at the distance above. Truth: {wanted}.",
            f"Beads: points of {_BEAD_PEAK_E:g} photoelectrons in the central pixel in focus. "
            "Best Gaussian and Richardson-Lucy (PSF of the true distance, known to it): width "
            "and iterations are chosen on the truth, frame by frame. RL, reblurred: the estimate "
            "as the truth's microscope would show it.",
        ),
        columns="conditions",
        shown=("psnr_db", "gain_db", "ssim", "frc_um", "right_sign", "fwhm_um"),
        steps=_MICROSCOPES * _SPECIMENS * len(distances_um),
        run=run,
    )


_SURFACE_SIDE_PX = 256
_SURFACE_SPECIMENS = 3
_MEAN_UM, _SWING_UM = 4.0, 2.0
_PERIOD_PX = 128


def _surfaces() -> dict[str, Picture]:
    """Distances (Y, X) from the mean in um, from -2 to 2."""
    y, x = (np.indices((_SURFACE_SIDE_PX, _SURFACE_SIDE_PX)) + 0.5) / _SURFACE_SIDE_PX - 0.5
    turns = _SURFACE_SIDE_PX / _PERIOD_PX
    return {
        "tilted": 2 * _SWING_UM * x,
        "curved": _SWING_UM * (1 - 4 * (x * x + y * y)),
        "sinusoidal": _SWING_UM * np.sin(2 * math.pi * turns * x),
    }


def along(planes: Picture, planes_um: Picture, surface_um: Picture) -> Picture:
    """(Y, X) out of `planes` (Z, Y, X) at `planes_um` (Z,), even steps, along a surface."""
    place = (surface_um - planes_um[0]) / (planes_um[1] - planes_um[0])
    grid = np.indices(surface_um.shape)
    where = [np.clip(place, 0, len(planes_um) - 1), *grid]
    along: Picture = ndimage.map_coordinates(planes.astype(np.float64), where, order=1)
    return along


def simulated_surfaces(engines: Sequence[Engine]) -> QualityTest:
    """Distances that vary over the field, against the same engine with uniform ones."""

    def run() -> Iterator[list[Sample]]:
        from liverestore.training.unseen_specimens import UnseenStack

        offsets_um = np.arange(-_SWING_UM, _SWING_UM + 0.25, 0.5)
        for number in range(_SURFACE_SPECIMENS):
            mean_um = _MEAN_UM * (-1.0) ** number
            stack = UnseenStack(
                number, 7, _SURFACE_SIDE_PX, reach_um=_MEAN_UM + _SWING_UM, confocal=False
            )
            planes = _PEAK_E * stack.seen(list(offsets_um)) + _BACKGROUND_E
            clean = _PEAK_E * stack.seen([-mean_um])[0].astype(np.float64) + _BACKGROUND_E
            frame = exposed(clean, np.random.default_rng((_SEED, 70, number)))
            for engine in engines:
                yield list(_bent(engine, frame, stack.optics, mean_um, offsets_um, planes))

    return QualityTest(
        key="refocus-surfaces",
        title="refocusing to a surface, simulated",
        notes=(
            f"Distances from {_MEAN_UM - _SWING_UM:g} to {_MEAN_UM + _SWING_UM:g} um within one "
            f"field of {_SURFACE_SIDE_PX} px; the sine has a period of {_PERIOD_PX} px. Uniform: "
            "the field is refocused to each distance in turn, and each pixel is taken from the "
            "result of its own.",
        ),
        columns="conditions",
        shown=("psnr_db", "surface_loss_db"),
        steps=_SURFACE_SPECIMENS * len(engines),
        run=run,
    )


def _bent(
    engine: Engine,
    frame: NDArray[np.uint16],
    optics: Optics,
    mean_um: float,
    offsets_um: Picture,
    planes: Picture,
) -> Iterator[Sample]:
    def refocused(dpm_um: Picture | float) -> Picture:
        return engine.refocused(frame, CAMERA, dpm_um, optics)

    uniform = np.stack([refocused(mean_um + float(offset)) for offset in offsets_um])
    for name, surface_um in _surfaces().items():
        truth = along(planes, offsets_um, surface_um)
        bent_db = affine_psnr(refocused(mean_um + surface_um), truth)
        uniform_db = affine_psnr(along(uniform, offsets_um, surface_um), truth)
        loss = {"psnr_db": bent_db, "surface_loss_db": uniform_db - bent_db}
        yield Sample(name, engine.name, loss)
        yield Sample(name, f"{engine.name}, uniform", {"psnr_db": uniform_db})
        yield Sample(name, "frame as recorded", {"psnr_db": affine_psnr(frame, truth)})
