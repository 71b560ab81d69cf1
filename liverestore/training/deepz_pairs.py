"""Training pairs for refocusing: a plane as it is recorded, a distance, and the plane there.

Deep-Z learns widefield to widefield, Deep-Z+ widefield to confocal (Wu et al. 2019). Each batch
is a pure function of (seed, iteration). Stacks are simulated with index mismatch, depth and
aberrations, because an ideal objective gives the same picture above and below its focus and
the sign of the distance would be lost.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from liverestore.errors import UserError
from liverestore.microscopes import Confocal, defocus_waves_per_um
from liverestore.optics import Optics
from liverestore.training.dice import Dice
from liverestore.training.photographs import LightRanges, photographed
from liverestore.training.prepared import Prepared
from liverestore.training.rendering import (
    Lens,
    confocal_psf_on,
    lens_from_psf,
    widefield_psf_on,
)
from liverestore.training.volumes import Grid, random_volume

__all__ = [
    "OpticsRanges",
    "SimulatedRefocusing",
    "Stack",
    "StackFiles",
    "simulated_stack",
    "with_dpm",
]


@dataclass(frozen=True, slots=True)
class OpticsRanges:
    """What microscopes are drawn from; evenly, unless said otherwise.

    The defaults are those of a 20x air objective over living cells or tissue. The sample's
    index is above that of the immersion everywhere, so that the spherical aberration, and with
    it the sign of the distance, is the same way round for all of them.
    """

    numerical_aperture: tuple[float, float] = (0.75, 0.8)
    wavelength_nm: tuple[float, float] = (500.0, 620.0)
    immersion_index: float = 1.0
    sample_index: tuple[float, float] = (1.33, 1.40)
    depth_um: tuple[float, float] = (5.0, 40.0)
    pixel_size_um: tuple[float, float] = (0.28, 0.36)
    aberration_waves: float = 0.03
    """Standard deviation of each Zernike coefficient 5 to 8 (astigmatism, coma)."""
    zernike_waves: tuple[tuple[int, float], ...] = ()
    """Means of Zernike coefficients, pairs (Noll index, waves rms), where they are known."""

    def draw(self, rng: np.random.Generator) -> Optics:
        """One microscope."""
        means = dict(self.zernike_waves)
        order = [*range(5, 9), *(noll for noll in means if noll not in range(5, 9))]
        terms = tuple(
            (noll, means.get(noll, 0.0) + float(rng.normal(0, self.aberration_waves)))
            for noll in order
        )
        return Optics(
            numerical_aperture=rng.uniform(*self.numerical_aperture),
            wavelength_nm=rng.uniform(*self.wavelength_nm),
            immersion_index=self.immersion_index,
            sample_index=rng.uniform(*self.sample_index),
            pixel_size_um=rng.uniform(*self.pixel_size_um),
            depth_um=rng.uniform(*self.depth_um),
            zernike_waves=terms if self.aberration_waves > 0 else self.zernike_waves,
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """Pictures of one specimen, plane by plane, and how they differ in focus."""

    seen: Tensor
    """(Z, Y, X) float32 widefield planes."""
    wanted: Tensor
    """(Z, Y, X) float32, what a plane should become; `seen` itself for Deep-Z."""
    z_step_um: float
    waves_per_um: float
    choice: Tensor
    """(Z,) float32, how often a plane is wanted: half of the times evenly, half in proportion to
    its contrast, because planes without anything in focus teach little and are most."""

    @classmethod
    def of(cls, seen: Tensor, wanted: Tensor, z_step_um: float, waves_per_um: float) -> Stack:
        """A stack with the planes that have most contrast wanted most often."""
        contrast = wanted.var(dim=(1, 2))
        even = 1.0 / wanted.shape[0]
        choice = 0.5 * contrast / contrast.sum().clamp_min(1e-20) + 0.5 * even
        return cls(seen, wanted, z_step_um, waves_per_um, choice)


def with_dpm(image: Tensor, waves: Tensor) -> Tensor:
    """Batch (N, 2, Y, X) for a Deep-Z generator from images (N, 1, Y, X) and distances.

    `waves` is (N,), uniform over each image, or (N, 1, Y, X), in waves of defocus.
    """
    if waves.ndim == 1:
        waves = waves.view(-1, 1, 1, 1).expand_as(image)
    return torch.cat([image, waves], dim=1)


@dataclass(frozen=True, slots=True)
class _Microscope:
    """What NumPy makes of a microscope that was drawn: a function of seed and number."""

    grid: Grid
    waves_per_um: float
    seen: NDArray[np.float32]
    """PSF of the camera, (D, S, S)."""
    wanted: NDArray[np.float32] | None
    """PSF of the confocal (Deep-Z+)."""


def _drawn_microscope(
    ranges: OpticsRanges,
    seed: int,
    planes: int,
    side_px: int,
    z_step_um: float,
    confocal: bool,
    number: int,
) -> _Microscope:
    rng = np.random.default_rng((seed, 7, number))
    optics = ranges.draw(rng)
    grid = Grid(planes, side_px, z_step_um, optics.pixel_size_um)
    excitation_nm = optics.wavelength_nm * rng.uniform(0.88, 0.96)
    waves = defocus_waves_per_um(optics)
    seen = widefield_psf_on(optics, grid)
    if not confocal:
        return _Microscope(grid, waves, seen, None)
    # The scanner is well corrected: what it is to teach is the plane, not its own aberrations.
    clean = Optics(
        optics.numerical_aperture,
        optics.wavelength_nm,
        optics.sample_index,
        optics.sample_index,
        optics.pixel_size_um,
    )
    wanted = confocal_psf_on(Confocal(clean, excitation_nm), grid)
    return _Microscope(grid, waves, seen, wanted)


def simulated_stack(
    grid: Grid,
    lenses: tuple[Lens, Lens | None],
    waves_per_um: float,
    dice: Dice | torch.Generator,
) -> Stack:
    """One random specimen, its brightest widefield pixels near 1, on the device of the dice."""
    volume = random_volume(grid, dice)
    seen = lenses[0].stack(volume)
    wanted = seen if lenses[1] is None else lenses[1].stack(volume)
    top = torch.quantile(seen[::4, ::2, ::2].flatten(), 0.9995).clamp_min(1e-12)
    seen = seen / top
    wanted = seen if lenses[1] is None else wanted / top
    return Stack.of(seen, wanted, grid.z_step_um, waves_per_um)


_NEAR_UM = 3.0
"""Half of the distances are drawn within this. Of those drawn evenly up to 10 um one in ten is 1 um
or less, and a network that sees so few goes too far there: told half a micrometre it then does
better than told the true one."""


def _pick(stack: Stack, reach_um: float, crop_px: int, dice: Dice) -> tuple[Tensor, Tensor, Tensor]:
    """Crops of two planes, (1, Y, X) each, and the distance between them in um, (1,).

    The indices stay on the device: fetching them would stop it.
    """
    planes, height, width = stack.seen.shape
    reach = min(int(reach_um / stack.z_step_um + 1e-6), planes - 1)
    near = min(max(int(_NEAR_UM / stack.z_step_um + 1e-6), 1), reach)
    there = dice.chosen_there(stack.choice)
    within = torch.where(dice.rand(1) < 0.5, near, reach)
    low, high = (there - within).clamp_min(0), (there + within).clamp_max(planes - 1)
    here = low + (dice.rand(1) * (high - low + 1)).floor().long().clamp_max(high - low)
    y, x, turn = (dice.integer(n) for n in (height - crop_px + 1, width - crop_px + 1, 8))
    crops = []
    for image in (stack.seen.index_select(0, here), stack.wanted.index_select(0, there)):
        crop = torch.rot90(image[:, y : y + crop_px, x : x + crop_px], turn % 4, (1, 2))
        crops.append(crop.flip(2) if turn >= 4 else crop)
    return crops[0], crops[1], (there - here) * stack.z_step_um


def _batch(
    stacks: Sequence[Stack], batch: int, reach_um: float, crop_px: int, dice: Dice
) -> tuple[Tensor, Tensor, Tensor]:
    """Planes seen and planes wanted, (N, 1, crop, crop) each, and waves between them, (N,)."""
    seen, wanted, waves = [], [], []
    for _ in range(batch):
        stack = stacks[dice.integer(len(stacks))]
        a, b, distance_um = _pick(stack, reach_um, crop_px, dice)
        seen.append(a)
        wanted.append(b)
        waves.append(distance_um * stack.waves_per_um)
    return torch.stack(seen), torch.stack(wanted), torch.cat(waves).float()


class SimulatedRefocusing:
    """Pairs from a slowly renewed pool of simulated stacks.

    At iteration i the pool holds the stacks i // `renew_every` ... + `pool_size`; eight stacks
    share one microscope. `pair` gives ((N, 2, Y, X), (N, 1, Y, X)): see `DeepZGenerator`.
    Specimens, pictures and noise are made on `device`; the point spread functions by NumPy, when
    they are needed or, by `workers` processes, ahead of time.
    """

    def __init__(
        self,
        seed: int,
        *,
        confocal: bool = False,
        optics: OpticsRanges | None = None,
        light: LightRanges | None = None,
        batch: int = 8,
        crop_px: int = 128,
        reach_um: float = 10.0,
        pool_size: int = 48,
        renew_every: int = 12,
        planes: int = 41,
        z_step_um: float = 0.5,
        margin_px: int = 32,
        device: torch.device | None = None,
        workers: int = 0,
    ) -> None:
        if crop_px % 16:
            raise UserError(f"crop: got {crop_px} px; allowed are multiples of 16")
        self.seed, self.confocal, self.batch, self.crop_px = seed, confocal, batch, crop_px
        self.optics, self.light = optics or OpticsRanges(), light or LightRanges()
        self.reach_um, self.pool_size, self.renew_every = reach_um, pool_size, renew_every
        self.planes, self.z_step_um = planes, z_step_um
        self.side_px = crop_px + 2 * margin_px
        self.device = device or torch.device("cpu")
        self._pool: dict[int, Stack] = {}
        self._lenses: tuple[int, tuple[Lens, Lens | None], Grid, float] | None = None
        make = functools.partial(
            _drawn_microscope, self.optics, seed, planes, self.side_px, z_step_um, confocal
        )
        self._microscopes = Prepared(make, workers)

    def _microscope(self, group: int) -> tuple[tuple[Lens, Lens | None], Grid, float]:
        if self._lenses is None or self._lenses[0] != group:
            made = self._microscopes.get(group)
            seen = lens_from_psf(made.grid, made.seen, self.device)
            wanted = (
                None if made.wanted is None else lens_from_psf(made.grid, made.wanted, self.device)
            )
            self._lenses = group, (seen, wanted), made.grid, made.waves_per_um
        return self._lenses[1:]

    def stack(self, index: int) -> Stack:
        """Stack number `index`, a function of the seed and the number."""
        lenses, grid, waves = self._microscope(index // 8)
        dice = Dice.seeded(self.seed * 2_000_003 + index, self.device)
        stack = simulated_stack(grid, lenses, waves, dice)
        # The margin holds light that the periodic field brings round; it is never shown.
        edge = (self.side_px - self.crop_px) // 4
        inner = slice(edge, self.side_px - edge)
        seen = stack.seen[:, inner, inner].clone()
        wanted = stack.wanted[:, inner, inner].clone() if self.confocal else seen
        return Stack.of(seen, wanted, stack.z_step_um, stack.waves_per_um)

    def _stacks(self, iteration: int) -> list[Stack]:
        first = iteration // self.renew_every
        for index in [k for k in self._pool if not first <= k < first + self.pool_size]:
            del self._pool[index]
        missing = [k for k in range(first, first + self.pool_size) if k not in self._pool]
        if missing:
            # Four microscopes more than are needed now.
            self._microscopes.want(range(missing[0] // 8, missing[-1] // 8 + 5))
        for index in missing:
            self._pool[index] = self.stack(index)
        return [self._pool[index] for index in range(first, first + self.pool_size)]

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration."""
        dice = Dice.seeded(self.seed * 1_000_003 + iteration, self.device)
        stacks = self._stacks(iteration)
        seen, wanted, waves = _batch(stacks, self.batch, self.reach_um, self.crop_px, dice)
        taken = photographed(seen, wanted, dice, self.light)
        return with_dpm(taken.noisy, waves), taken.mean

    def close(self) -> None:
        """End the processes that make point spread functions."""
        self._microscopes.close()


class StackFiles:
    """Pairs from a user's own registered z-stacks, already variance-stabilised.

    `seen` are (Z, Y, X) widefield stacks; `wanted`, one for each, the confocal stacks of the
    same fields (Deep-Z+), or None (Deep-Z). `z_step_um` is positive where the planes go deeper
    into the sample. Raises `UserError` for stacks that are too small or do not match, and for a
    crop that networks cannot take.
    """

    def __init__(
        self,
        seed: int,
        seen: Sequence[NDArray[np.float32]],
        z_step_um: float,
        waves_per_um: float,
        *,
        wanted: Sequence[NDArray[np.float32]] | None = None,
        batch: int = 8,
        crop_px: int = 128,
        reach_um: float = 10.0,
    ) -> None:
        if wanted is not None and [s.shape for s in wanted] != [s.shape for s in seen]:
            raise UserError(
                f"stacks: got widefield {[s.shape for s in seen]} and confocal "
                f"{[s.shape for s in wanted]}; allowed are pairs of one shape; register and crop "
                "them first"
            )
        if crop_px % 16:
            raise UserError(f"crop: got {crop_px} px; allowed are multiples of 16")
        if not (math.isfinite(z_step_um) and z_step_um != 0):
            raise UserError(f"stacks: got a z step of {z_step_um} um; give the step of the stage")
        for stack in seen:
            if stack.ndim != 3 or stack.shape[0] < 2 or min(stack.shape[1:]) < crop_px:
                raise UserError(
                    f"stacks: got one of shape {stack.shape}; allowed are (Z, Y, X) of 2 planes "
                    f"and {crop_px} px or more; take larger stacks or a smaller crop"
                )
        self.seed, self.batch, self.crop_px, self.reach_um = seed, batch, crop_px, reach_um
        goals = seen if wanted is None else wanted
        # Backward stacks are turned round, so that one sign convention holds.
        turn: Callable[[NDArray[np.float32]], NDArray[np.float32]] = (
            (lambda s: s[::-1].copy()) if z_step_um < 0 else np.ascontiguousarray
        )
        self._stacks = [
            Stack.of(
                torch.from_numpy(turn(a)), torch.from_numpy(turn(b)), abs(z_step_um), waves_per_um
            )
            for a, b in zip(seen, goals, strict=True)
        ]

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and (noisy) target of this iteration."""
        dice = Dice.seeded(self.seed * 1_000_003 + iteration)
        seen, wanted, waves = _batch(self._stacks, self.batch, self.reach_um, self.crop_px, dice)
        return with_dpm(seen, waves), wanted
