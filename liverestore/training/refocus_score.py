"""How well a network refocuses: gain in PSNR and the sign of the distance, on unseen stacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from liverestore.measure.fidelity import affine_psnr
from liverestore.training.deepz_pairs import OpticsRanges, SimulatedRefocusing, with_dpm
from liverestore.training.photographs import LightRanges, photographed

__all__ = ["RefocusScore", "refocus_scores"]

_SEED = 915
"""Trainings with this seed would see the stacks of the test."""
_LIGHT = LightRanges(peak_e=(200.0, 200.0), background_e=(3.0, 3.0), scale=(1.0, 1.0))

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, 2, Y, X) to (N, 1, Y, X), as in `DeepZGenerator`."""


@dataclass(frozen=True, slots=True)
class RefocusScore:
    """Means over the test set at one distance, PSNR in dB after an affine fit."""

    distance_um: float
    raw: float
    """The noisy frame, left as it is."""
    noise_free: float
    """The frame without its noise, not refocused: what a perfect denoiser would give."""
    refocused: float
    right_sign: float
    """Share of the pairs in which the true distance did better than its opposite."""
    pairs: int


def _light(stabilised: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.square(stabilised.astype(np.float64)) / 4


def refocus_scores(
    infer: Infer,
    *,
    optics: OpticsRanges | None = None,
    confocal: bool = False,
    distances_um: tuple[float, ...] = (1.0, 3.0, 5.0, 8.0),
    reach_um: float = math.inf,
    stacks: int = 8,
    crop_px: int = 128,
    z_step_um: float = 0.5,
) -> list[RefocusScore]:
    """Scores on `stacks` simulated stacks at 200 photoelectrons, both signs of each distance.

    Distances beyond `reach_um`, which the network was not trained for, are left out.

    The wanted plane is the one with the most contrast, so that there is something to find.
    PSNR is taken on the light, not on its root.
    """
    distances_um = tuple(d for d in distances_um if d <= reach_um)
    source = SimulatedRefocusing(
        _SEED,
        confocal=confocal,
        optics=optics,
        pool_size=1,
        crop_px=crop_px,
        z_step_um=z_step_um,
    )
    tallies: dict[float, list[tuple[float, float, float, bool]]] = {d: [] for d in distances_um}
    generator = torch.Generator().manual_seed(_SEED)
    for number in range(stacks):
        # Two stacks of each of several microscopes.
        stack = source.stack(8 * (number // 2) + number % 2)
        low = (stack.seen.shape[1] - crop_px) // 2
        inner = slice(low, low + crop_px)
        wanted_plane = int(stack.seen.var(dim=(1, 2)).argmax())
        truth = stack.wanted[None, wanted_plane : wanted_plane + 1, inner, inner]
        for distance_um in distances_um:
            steps = round(distance_um / stack.z_step_um)
            for signed in (-steps, steps):
                plane = wanted_plane - signed
                if not 0 <= plane < stack.seen.shape[0]:
                    continue
                seen = stack.seen[None, plane : plane + 1, inner, inner]
                taken = photographed(seen, truth, generator, _LIGHT)
                clean = photographed(seen, seen, generator, _LIGHT)
                waves = torch.tensor([signed * stack.z_step_um * stack.waves_per_um])
                there = infer(with_dpm(taken.noisy, waves).numpy())[0, 0].copy()
                wrong = infer(with_dpm(taken.noisy, -waves).numpy())[0, 0]
                goal = _light(taken.mean[0, 0].numpy())
                refocused = affine_psnr(_light(there), goal)
                tallies[distance_um].append(
                    (
                        affine_psnr(_light(taken.noisy[0, 0].numpy()), goal),
                        affine_psnr(_light(clean.mean[0, 0].numpy()), goal),
                        refocused,
                        refocused > affine_psnr(_light(wrong), goal),
                    )
                )
    scores = []
    for distance_um, rows in tallies.items():
        if rows:
            raw, noise_free, refocused, sign = (float(np.mean(c)) for c in zip(*rows, strict=True))
            scores.append(RefocusScore(distance_um, raw, noise_free, refocused, sign, len(rows)))
    return scores
