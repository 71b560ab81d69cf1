"""Fixed simulated specimens that no training has seen, to measure networks on.

The same physics as in training, from seeds of their own; the results are NumPy arrays, so that
whoever measures needs no torch. The brightest places of the picture wanted are near 1.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from liverestore.microscopes import Confocal, confocal_psf, fwhm_um, saturation_for, sted_psf
from liverestore.optics import Optics, widefield_psf
from liverestore.training.deepz_pairs import OpticsRanges
from liverestore.training.rendering import Lens, confocal_lens, sted_lens, widefield_lens
from liverestore.training.volumes import Grid, random_volume

__all__ = ["Pair", "UnseenStack", "confocal_pairs", "refocusing_microscope", "sted_pairs"]

_SEED = 71_509_150
"""Trainings take small seeds of their own; with this one they would see the test."""
_DEPTH_PLANES = 41
_Z_STEP_UM = 0.5
_MARGIN_PX = 32
"""Holds light that the periodic field brings round; never shown."""
_PSF_PX = 63

Picture = NDArray[np.float32]


def _generator(*numbers: int) -> torch.Generator:
    seed = int(np.random.SeedSequence((_SEED, *numbers)).generate_state(1, np.uint64)[0] >> 1)
    return torch.Generator().manual_seed(seed)


def refocusing_microscope(number: int) -> Optics:
    """Microscope `number` of the test set: 20x / 0.75 to 0.8 air over a watery sample."""
    return OpticsRanges().draw(np.random.default_rng((_SEED, 7, number)))


def _scanner(optics: Optics) -> Confocal:
    """A well-corrected confocal of the same aperture."""
    index = optics.sample_index
    clean = Optics(
        optics.numerical_aperture, optics.wavelength_nm, index, index, optics.pixel_size_um
    )
    return Confocal(clean, 0.92 * optics.wavelength_nm)


@functools.lru_cache(maxsize=1)
def _widefield(optics: Optics, grid: Grid) -> Lens:
    return widefield_lens(optics, grid)


@functools.lru_cache(maxsize=1)
def _sectioning(optics: Optics, grid: Grid) -> Lens:
    return confocal_lens(_scanner(optics), grid)


def _brightest(picture: Tensor) -> float:
    """Light at the brightest places, of which a few dots are not to decide alone."""
    top = float(torch.quantile(picture.flatten(), 0.9995))
    return max(top, float(picture.max()) / 4, 1e-12)


class UnseenStack:
    """One specimen under one of the test's microscopes; pictures with any plane in focus.

    `side_px` is the edge of the pictures. Distances are from the plane with the most contrast,
    positive deeper into the sample, in steps of 0.5 um, up to `reach_um`.
    """

    def __init__(
        self, microscope: int, specimen: int, side_px: int, *, reach_um: float, confocal: bool
    ) -> None:
        self.optics = refocusing_microscope(microscope)
        outer_px = side_px + 2 * _MARGIN_PX
        more = round(reach_um / _Z_STEP_UM)
        inside = Grid(_DEPTH_PLANES, outer_px, _Z_STEP_UM, self.optics.pixel_size_um)
        # Empty planes above and below, so that a frame may be taken from there.
        grid = dataclasses.replace(inside, planes=_DEPTH_PLANES + 2 * more)
        volume = random_volume(inside, _generator(microscope, specimen))
        self._volume = functional.pad(volume, (0, 0, 0, 0, more, more))
        self._lens = _widefield(self.optics, grid)
        self._inner = slice(_MARGIN_PX, _MARGIN_PX + side_px)
        planes = torch.arange(more, more + _DEPTH_PLANES, 2)
        seen = self._cut(self._lens.stack(self._volume, planes))
        richest = int(seen.var(dim=(1, 2)).argmax())
        self._focus = int(planes[richest])
        wanted = seen[richest]
        if confocal:
            scanner = _sectioning(self.optics, grid)
            wanted = self._cut(scanner.stack(self._volume, torch.tensor([self._focus])))[0]
        self._top = _brightest(seen[richest])
        self.wanted: Picture = (wanted / self._top).numpy()
        """(Y, X) the plane wanted, as the microscope (or the confocal) shows it, noise-free."""

    def _cut(self, pictures: Tensor) -> Tensor:
        return pictures[:, self._inner, self._inner]

    def seen(self, away_um: Sequence[float]) -> NDArray[np.float32]:
        """(P, Y, X) noise-free pictures with the planes at `away_um` in focus."""
        planes = torch.tensor([self._focus + round(z / _Z_STEP_UM) for z in away_um])
        return np.asarray((self._cut(self._lens.stack(self._volume, planes)) / self._top).numpy())

    def confocal_psf(self, size_px: int) -> Picture:
        """(Y, X) image that the confocal gives of a point in the plane wanted."""
        return np.asarray(confocal_psf(_scanner(self.optics), [0.0], size_px)[0])


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A field as two microscopes show it, noise-free, and how each shows a point in focus."""

    microscope: str
    pixel_size_um: float
    seen: Picture
    wanted: Picture
    seen_psf: Picture
    wanted_psf: Picture


_OBJECTIVES = (
    # Name, NA, immersion, sample, wavelength in nm, pixel in um, depth in um.
    ("10x / 0.40 air", 0.40, 1.0, 1.34, 520.0, 0.36, 8.0),
    ("20x / 0.75 air", 0.75, 1.0, 1.36, 560.0, 0.20, 3.0),
    ("60x / 1.20 water", 1.20, 1.33, 1.36, 600.0, 0.125, 2.0),
    ("100x / 1.40 oil", 1.40, 1.518, 1.40, 520.0, 0.095, 0.5),
)


def _focused(lens: Lens, better: Lens, volume: Tensor, side_px: int) -> tuple[Picture, Picture]:
    """Both pictures of the plane that holds most."""
    focus = volume.sum(dim=(1, 2)).argmax()[None]
    inner = slice(_MARGIN_PX, _MARGIN_PX + side_px)
    seen = lens.stack(volume, focus)[0, inner, inner]
    wanted = better.stack(volume, focus)[0, inner, inner]
    top = _brightest(seen)
    return (seen / top).numpy(), (wanted / top).numpy()


def confocal_pairs(objective: int, specimens: int, side_px: int) -> list[Pair]:
    """Widefield and confocal pictures under objective 0 to 3, of `specimens` specimens."""
    name, aperture, immersion, sample, wavelength_nm, pixel_um, depth_um = _OBJECTIVES[objective]
    optics = Optics(aperture, wavelength_nm, immersion, sample, pixel_um, depth_um)
    step_um = 0.8e-3 * wavelength_nm * sample / optics.detected_aperture**2
    grid = Grid(17, side_px + 2 * _MARGIN_PX, step_um, pixel_um)
    index = max(sample, aperture + 0.02)
    clean = Optics(aperture, wavelength_nm, index, index, pixel_um)
    scanner = Confocal(clean, 0.92 * wavelength_nm, 0.9)
    lens, better = widefield_lens(optics, grid), confocal_lens(scanner, grid, 4 * step_um)
    seen_psf = widefield_psf(optics, [0.0], _PSF_PX)[0]
    wanted_psf = confocal_psf(scanner, [0.0], _PSF_PX)[0]
    pairs = []
    for specimen in range(specimens):
        volume = random_volume(grid, _generator(50 + objective, specimen))
        seen, wanted = _focused(lens, better, volume, side_px)
        pairs.append(Pair(name, pixel_um, seen, wanted, seen_psf, wanted_psf))
    return pairs


_SCANNERS = (
    # NA, wavelength in nm, pixel in um, pinhole in Airy discs.
    (1.0, 580.0, 0.036, 1.0),
    (1.2, 640.0, 0.040, 1.4),
    (1.3, 660.0, 0.030, 0.8),
)
_STED_RATIO = 0.38
"""Width of a point under STED in widths of the confocal: 290 nm to 110 nm."""


def sted_pairs(scanner: int, specimens: int, side_px: int) -> list[Pair]:
    """Confocal and STED pictures under scanner 0 to 2, of `specimens` specimens."""
    aperture, wavelength_nm, pixel_um, pinhole = _SCANNERS[scanner]
    index = 1.45
    on = Optics(aperture, wavelength_nm, index, index, pixel_um)
    confocal = Confocal(on, 0.9 * wavelength_nm, pinhole)
    depletion_nm = 1.15 * wavelength_nm
    step_um = 0.4e-3 * wavelength_nm * index / aperture**2
    grid = Grid(17, side_px + 2 * _MARGIN_PX, step_um, pixel_um)
    seen_psf = confocal_psf(confocal, [0.0], _PSF_PX)[0]
    wide_um = fwhm_um(seen_psf[_PSF_PX // 2], pixel_um)
    saturation = saturation_for(confocal, depletion_nm, _STED_RATIO * wide_um)
    lens = confocal_lens(confocal, grid, 5 * step_um)
    better = sted_lens(confocal, depletion_nm, saturation, grid, 5 * step_um)
    wanted_psf = sted_psf(confocal, depletion_nm, saturation, [0.0], _PSF_PX)[0]
    name = f"NA {aperture:.1f}, {1e3 * wide_um:.0f} to {1e3 * _STED_RATIO * wide_um:.0f} nm"
    pairs = []
    for specimen in range(specimens):
        volume = random_volume(grid, _generator(80 + scanner, specimen))
        seen, wanted = _focused(lens, better, volume, side_px)
        pairs.append(Pair(name, pixel_um, seen, wanted, seen_psf, wanted_psf))
    return pairs
