"""Training pairs of one modality and a better one: widefield to confocal, confocal to STED.

Simulated over wide ranges of aperture, wavelength, sampling and aberration; or a user's own
registered pairs. Each batch is a pure function of (seed, iteration).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from liverestore.errors import UserError
from liverestore.microscopes import Confocal, confocal_psf, fwhm_um, saturation_for
from liverestore.optics import Optics
from liverestore.training.dice import Dice
from liverestore.training.photographs import LightRanges, photographed
from liverestore.training.prepared import Prepared
from liverestore.training.rendering import (
    Lens,
    confocal_psf_on,
    lens_from_psf,
    sted_psf_on,
    widefield_psf_on,
)
from liverestore.training.volumes import Grid, points_and_lines, random_volume

__all__ = ["OPTICS_WORDS", "Modality", "PairFiles", "SimulatedModalities", "matched_intensity"]

_STED_WIDTH = 0.38
"""Width of a point under STED, times that in the confocal: 290 nm become 110 nm, as published.
One ratio for all, so that how wide a line comes out does not depend on a guess."""

_STED_SAMPLING = (0.055, 0.078)
"""Pixels in wavelengths / NA. How wide the confocal is in pixels must be nearly known: from 0.05
to 0.09 a network cannot tell a point from something wider, and leaves both wide."""

_MEASURED_SHARE = 0.3
"""Share of the fields for STED with nothing but points and lines in focus."""

OPTICS_WORDS = {
    "confocal": "NA 0.4 to 1.45, 450 to 700 nm, sample index 1.33 to 1.42, up to 8 depths of field "
    "deep, pixels of 0.7 to 1.5 times a quarter of wavelength / NA",
    "sted": "NA 0.9 to 1.3, 560 to 700 nm, pixels of 0.055 to 0.078 wavelength / NA, STED 0.38 "
    "times as wide as the confocal",
}
"""What the simulated microscopes are drawn from, for the cards."""

Modality = Literal["confocal", "sted"]
"""What the network gives: "confocal" from widefield, "sted" from confocal."""


def _draw_widefield(rng: np.random.Generator) -> Optics:
    """Objectives from 10x / 0.4 air to 100x / 1.45 oil, sampled near Nyquist."""
    aperture = float(rng.uniform(0.4, 1.45))
    immersion = 1.0 if aperture < 0.9 else 1.33 if aperture < 1.2 else 1.518
    sample = float(rng.uniform(1.33, 1.42))
    wavelength_nm = float(rng.uniform(450, 700))
    pixel_um = 1e-3 * wavelength_nm / (4 * min(aperture, sample)) * float(rng.uniform(0.7, 1.5))
    # Depth is in units of the depth of field, so that no objective is hopelessly aberrated.
    depth_um = float(rng.uniform(0, 8)) * 1e-3 * wavelength_nm / aperture**2
    return Optics(aperture, wavelength_nm, immersion, sample, pixel_um, depth_um)


def _draw_confocal(rng: np.random.Generator) -> Confocal:
    index = float(rng.uniform(1.36, 1.50))
    wavelength_nm = float(rng.uniform(560, 700))
    aperture = float(rng.uniform(0.9, 1.3))
    # A STED image 0.38 times as wide as the confocal one must still be sampled.
    pixel_um = 1e-3 * wavelength_nm / aperture * float(rng.uniform(*_STED_SAMPLING))
    detection = Optics(aperture, wavelength_nm, index, index, pixel_um)
    return Confocal(detection, wavelength_nm * float(rng.uniform(0.86, 0.95)), rng.uniform(0.7, 2))


def _corrected(optics: Optics) -> Optics:
    index = max(optics.sample_index, optics.numerical_aperture + 0.02)
    return dataclasses.replace(
        optics, immersion_index=index, sample_index=index, depth_um=0.0, zernike_waves=()
    )


@dataclasses.dataclass(frozen=True, slots=True)
class _Microscopes:
    """What NumPy makes of two microscopes that were drawn: a function of seed and number."""

    grid: Grid
    worse: NDArray[np.float32]
    better: NDArray[np.float32]
    """PSFs, (D, S, S) each."""


def _drawn_pair(
    modality: Modality, seed: int, planes: int, side_px: int, number: int
) -> _Microscopes:
    rng = np.random.default_rng((seed, 11, number))
    if modality == "confocal":
        return _widefield_to_confocal(rng, planes, side_px)
    return _confocal_to_sted(rng, planes, side_px)


def _widefield_to_confocal(rng: np.random.Generator, planes: int, side_px: int) -> _Microscopes:
    optics = _draw_widefield(rng)
    step_um = 0.8e-3 * optics.wavelength_nm * optics.sample_index
    step_um /= optics.detected_aperture**2
    grid = Grid(planes, side_px, step_um, optics.pixel_size_um)
    scanner = Confocal(_corrected(optics), optics.wavelength_nm * 0.92, rng.uniform(0.6, 1.2))
    better = confocal_psf_on(scanner, grid, 4 * step_um)
    return _Microscopes(grid, widefield_psf_on(optics, grid), better)


def _confocal_to_sted(rng: np.random.Generator, planes: int, side_px: int) -> _Microscopes:
    scanner = _draw_confocal(rng)
    on = scanner.detection
    step_um = 0.4e-3 * on.wavelength_nm * on.sample_index / on.numerical_aperture**2
    grid = Grid(planes, side_px, step_um, on.pixel_size_um)
    depletion_nm = on.wavelength_nm * float(rng.uniform(1.08, 1.2))
    point = confocal_psf(scanner, [0.0], 63)[0, 31]
    width_um = fwhm_um(point, on.pixel_size_um) * _STED_WIDTH
    saturation = saturation_for(scanner, depletion_nm, width_um)
    reach_um = 5 * step_um
    better = sted_psf_on(scanner, depletion_nm, saturation, grid, reach_um)
    return _Microscopes(grid, confocal_psf_on(scanner, grid, reach_um), better)


class SimulatedModalities:
    """Pairs from a slowly renewed pool of simulated fields.

    At iteration i the pool holds the fields i // `renew_every` ... + `pool_size`; eight fields
    share one microscope. `pair` gives ((N, 1, Y, X), (N, 1, Y, X)), stabilised; a point in
    focus has as much light in the target as in the input. Specimens, pictures and noise are made
    on `device`; the point spread functions by NumPy, when they are needed or, by `workers`
    processes, ahead of time.
    """

    def __init__(
        self,
        seed: int,
        modality: Modality,
        *,
        light: LightRanges | None = None,
        batch: int = 8,
        crop_px: int = 128,
        pool_size: int = 128,
        renew_every: int = 8,
        planes: int = 17,
        margin_px: int = 32,
        device: torch.device | None = None,
        workers: int = 0,
    ) -> None:
        if modality not in ("confocal", "sted"):
            raise UserError(f"modality '{modality}': allowed are confocal and sted")
        if crop_px % 16:
            raise UserError(f"crop: got {crop_px} px; allowed are multiples of 16")
        self.seed, self.modality, self.batch, self.crop_px = seed, modality, batch, crop_px
        self.light = light or LightRanges()
        self.pool_size, self.renew_every, self.planes = pool_size, renew_every, planes
        self.side_px = crop_px + 2 * margin_px
        self.device = device or torch.device("cpu")
        self._pool: dict[int, tuple[Tensor, Tensor]] = {}
        self._lenses: tuple[int, Lens, Lens, Grid] | None = None
        make = functools.partial(_drawn_pair, modality, seed, planes, self.side_px)
        self._microscopes = Prepared(make, workers)

    def _lenses_of(self, group: int) -> tuple[Lens, Lens, Grid]:
        if self._lenses is None or self._lenses[0] != group:
            made = self._microscopes.get(group)
            worse, better = (
                lens_from_psf(made.grid, psf, self.device) for psf in (made.worse, made.better)
            )
            self._lenses = group, worse, better, made.grid
        return self._lenses[1:]

    def field(self, index: int) -> tuple[Tensor, Tensor]:
        """Pictures (Y, X) of specimen `index` by the worse and the better microscope, the
        brightest pixels of the first near 1; a function of the seed and the number.
        """
        lens, better, grid = self._lenses_of(index // 8)
        dice = Dice.seeded(self.seed * 2_000_003 + index, self.device)
        if self.modality == "sted" and dice.uniform(0, 1) < _MEASURED_SHARE:
            volume = points_and_lines(grid, dice)
        else:
            volume = random_volume(grid, dice)
        # Focus where there is something to see.
        light = volume.sum(dim=(1, 2)).cumsum(0)
        focus = torch.searchsorted(light, dice.rand(1) * light[-1]).clamp_max(self.planes - 1)
        seen, wanted = lens.stack(volume, focus)[0], better.stack(volume, focus)[0]
        top = torch.quantile(seen.flatten(), 0.999).clamp_min(1e-12)
        edge = (self.side_px - self.crop_px) // 4
        inner = slice(edge, self.side_px - edge)
        return (seen / top)[inner, inner].clone(), (wanted / top)[inner, inner].clone()

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration."""
        first = iteration // self.renew_every
        wanted_fields = range(first, first + self.pool_size)
        for index in [k for k in self._pool if k not in wanted_fields]:
            del self._pool[index]
        missing = [index for index in wanted_fields if index not in self._pool]
        if missing:
            # Four microscopes more than are needed now.
            self._microscopes.want(range(missing[0] // 8, missing[-1] // 8 + 5))
        for index in missing:
            self._pool[index] = self.field(index)
        dice = Dice.seeded(self.seed * 1_000_003 + iteration, self.device)
        fields = [self._pool[index] for index in wanted_fields]
        seen, truth = _crops(fields, self.batch, self.crop_px, dice)
        taken = photographed(seen, truth, dice, self.light)
        return taken.noisy, taken.mean

    def close(self) -> None:
        """End the processes that make point spread functions."""
        self._microscopes.close()


def _crops(
    fields: Sequence[tuple[Tensor, Tensor]], batch: int, crop_px: int, dice: Dice
) -> tuple[Tensor, Tensor]:
    """Random crops at one place and turn in both pictures, (N, 1, crop, crop) each."""
    made: tuple[list[Tensor], list[Tensor]] = ([], [])
    for _ in range(batch):
        field = fields[dice.integer(len(fields))]
        height, width = field[0].shape
        y, x, turn = (dice.integer(n) for n in (height - crop_px + 1, width - crop_px + 1, 8))
        for image, out in zip(field, made, strict=True):
            crop = torch.rot90(image[y : y + crop_px, x : x + crop_px], turn % 4)
            out.append(crop.flip(1) if turn >= 4 else crop)
    return torch.stack(made[0])[:, None], torch.stack(made[1])[:, None]


def matched_intensity(
    seen: NDArray[np.float32], wanted: NDArray[np.float32], blur_px: float = 3.0
) -> NDArray[np.float32]:
    """`wanted` scaled and shifted so that, blurred, it is as bright as `seen`; (..., Y, X) both.

    Two instruments have two scales; the network's output is to be in the input's. Least
    squares on both pictures after a Gaussian of `blur_px`, which removes most of what the
    better one resolves. Raises `UserError` where the pictures have nothing in common.
    """
    a = ndimage.gaussian_filter(wanted.astype(np.float64), blur_px, axes=(-2, -1))
    b = ndimage.gaussian_filter(seen.astype(np.float64), blur_px, axes=(-2, -1))
    variance = float(a.var())
    slope = float(((a - a.mean()) * (b - b.mean())).mean()) / variance if variance > 0 else 0.0
    if slope <= 0:
        raise UserError(
            "pair: the two pictures do not correlate; allowed are pictures of one field, "
            "registered; check the order of the files"
        )
    return np.asarray(slope * (wanted - a.mean()) + b.mean(), np.float32)


class PairFiles:
    """Pairs from a user's registered pictures, already variance-stabilised, (Y, X) each.

    Raises `UserError` for pictures that are smaller than a crop or do not match, and for a crop
    that networks cannot take.
    """

    def __init__(
        self,
        seed: int,
        seen: Sequence[NDArray[np.float32]],
        wanted: Sequence[NDArray[np.float32]],
        *,
        batch: int = 8,
        crop_px: int = 128,
    ) -> None:
        if len(seen) == 0 or [p.shape for p in seen] != [p.shape for p in wanted]:
            raise UserError(
                f"pairs: got {[p.shape for p in seen]} and {[p.shape for p in wanted]}; allowed "
                "is one or more of each, in one order and of one shape; register them first"
            )
        if crop_px % 16:
            raise UserError(f"crop: got {crop_px} px; allowed are multiples of 16")
        for picture in seen:
            if min(picture.shape) < crop_px:
                raise UserError(
                    f"pairs: got a picture of {picture.shape}; allowed are {crop_px} px or more "
                    "a side; take a smaller crop"
                )
        self.seed, self.batch, self.crop_px = seed, batch, crop_px
        self._fields = [
            (torch.from_numpy(np.ascontiguousarray(a)), torch.from_numpy(np.ascontiguousarray(b)))
            for a, b in zip(seen, wanted, strict=True)
        ]

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration, (N, 1, crop, crop) each."""
        dice = Dice.seeded(self.seed * 1_000_003 + iteration)
        return _crops(self._fields, self.batch, self.crop_px, dice)
