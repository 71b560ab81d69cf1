"""A bead's z-stack fitted with the pupil of an objective, by weighted least squares.

What is free: aperture, Zernike terms, depth times mismatch, where the bead is, how it drifts
sideways while the stage moves, and the light and the background of each plane. The last two
are solved for in every step (variable projection; Golub & Pereyra, SIAM J. Numer. Anal. 10,
413, 1973), so that bleaching and a flickering lamp do no harm.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from liverestore.bead_finding import Bead, depth_of_field_um
from liverestore.optics import Optics, stage_psf

__all__ = ["HIGHEST_APERTURE", "BeadFit", "Variance", "expected_fall", "fit_bead"]

Variance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Expected counts of pixels to the variance of their noise, in counts^2."""

_STEPS = {
    "numerical_aperture": 1e-3,
    "depth_um": 0.05,
    "y_um": 2e-3,
    "x_um": 2e-3,
    "z_um": 5e-3,
    "blur_um": 5e-3,
    "drift_y": 1e-3,
    "drift_x": 1e-3,
}
"""Of the finite differences; a Zernike term takes `_ZERNIKE_STEP` waves."""
_PLACE = ("blur_um", "y_um", "x_um", "z_um", "drift_y", "drift_x")
_ZERNIKE_STEP = 1e-3
_SCALE = 50.0
"""Steps to a unit of the search, about what an error of each parameter amounts to."""
_MOST_STEPS = 25
_ENOUGH = (1e-3, 1e-4)
"""Relative change at which the search ends, with the first weights and with the final ones."""
HIGHEST_APERTURE = 0.995
"""Relative to the index, above which the search does not go."""
_START_WAVES = (-0.35, -0.2, -0.08, 0.0, 0.08, 0.2, 0.35)


@dataclass(frozen=True, slots=True, eq=False)
class BeadFit:
    """What the fit of one bead gives."""

    bead: Bead
    fitted: NDArray[np.float64]
    """(Z, Y, X) counts."""
    values: dict[str, float]
    """By name: fields of `Optics`, "Z<Noll index>" in waves rms, and place and drift."""
    covariance: NDArray[np.float64]
    """Of `values` in their order, from the curvature."""
    chi2_per_dof: float
    """Against the given noise alone; 1 where it explains all that is left."""
    light: NDArray[np.float64]
    """(Z,) counts of the whole bead."""
    pixel_size_um: float

    @property
    def correlation(self) -> float:
        """Of measured and fitted counts over all pixels and planes."""
        return float(np.corrcoef(self.bead.counts.ravel(), self.fitted.ravel())[0, 1])

    def uncertainty(self, name: str) -> float:
        """Standard, from the curvature; wider where the fit is worse than the noise allows."""
        place = list(self.values).index(name)
        return math.sqrt(self.covariance[place, place])


class _Problem:
    """Parameters of one bead to images and residuals."""

    def __init__(
        self, bead: Bead, optics: Optics, names: tuple[str, ...], bead_um: float, spare_um: float
    ) -> None:
        self.bead, self.optics, self.names, self._bead_um = bead, optics, names, bead_um
        self._reach_um = spare_um
        self.weights = np.ones_like(bead.counts)

    def optics_at(self, values: dict[str, float]) -> Optics:
        """The template with what `values` say."""
        known = dict(self.optics.zernike_waves)
        known |= {int(n[1:]): v for n, v in values.items() if n.startswith("Z")}
        fields = {n: values[n] for n in ("numerical_aperture", "depth_um") if n in values}
        return dataclasses.replace(self.optics, zernike_waves=tuple(known.items()), **fields)

    def images(self, values: dict[str, float]) -> NDArray[np.float64]:
        focus = self.bead.focus_um - values["z_um"]
        shift = np.stack(
            [values[f"{axis}_um"] + values.get(f"drift_{axis}", 0.0) * focus for axis in "yx"], 1
        )
        side = self.bead.counts.shape[-1]
        psf = stage_psf(
            self.optics_at(values),
            focus,
            side,
            shift_um=shift,
            bead_um=self._bead_um,
            blur_um=values["blur_um"],
            reach_um=self._reach_um,
        )
        return psf.astype(np.float64)

    def fitted(self, values: dict[str, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Best counts with light and background of each plane, and that light."""
        image, data, w2 = self.images(values), self.bead.counts, self.weights**2
        total, axes = w2.sum((1, 2)), (1, 2)
        mean_i, mean_d = (w2 * image).sum(axes) / total, (w2 * data).sum(axes) / total
        i = image - mean_i[:, None, None]
        spread = (w2 * i**2).sum(axes)
        light = np.maximum((w2 * i * data).sum(axes) / np.maximum(spread, 1e-30), 0.0)
        return light[:, None, None] * i + mean_d[:, None, None], light

    def residuals(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((self.fitted(self.values(q))[0] - self.bead.counts) * self.weights).ravel()

    def jacobian(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        here = self.residuals(q)
        columns = []
        for n in range(q.size):
            moved = q.copy()
            # Inwards, so that an aperture at its limit stays possible.
            step = -1 / _SCALE if self.names[n] == "numerical_aperture" else 1 / _SCALE
            moved[n] += step
            columns.append((self.residuals(moved) - here) / step)
        return np.stack(columns, axis=1)

    def units(self) -> NDArray[np.float64]:
        return np.array([_SCALE * _STEPS.get(name, _ZERNIKE_STEP) for name in self.names])

    def values(self, q: NDArray[np.float64]) -> dict[str, float]:
        return dict(zip(self.names, (q * self.units()).tolist(), strict=True))


def fit_bead(
    bead: Bead,
    optics: Optics,
    names: tuple[str, ...],
    variance: Variance,
    *,
    bead_um: float = 0.0,
    start: dict[str, float] | None = None,
) -> BeadFit:
    """Fit the parameters `names` and the place of the bead; the rest stays as in `optics`.

    `names` are "numerical_aperture", "depth_um" and "Z5", "Z11" (Noll indices).
    """
    free = (*names, *_PLACE)
    problem = _Problem(bead, optics, free, bead_um, _room_um(bead, optics))
    level = float(np.median(bead.counts))
    problem.weights = 1 / np.sqrt(variance(np.maximum(bead.counts, level)))
    values = {name: _start(name, optics) for name in free}
    values |= {name: value for name, value in (start or {}).items() if name in values}
    if start is None:
        values |= _coarse(bead, optics, names, problem.weights, bead_um)
    units = problem.units()
    low, high = (side / units for side in _limits(problem))
    q = np.array([values[name] for name in free]) / units
    for enough in _ENOUGH:
        done = optimize.least_squares(
            problem.residuals,
            np.clip(q, low + 1e-6, high - 1e-6),
            jac=problem.jacobian,
            bounds=(low, high),
            max_nfev=_MOST_STEPS,
            ftol=enough,
            xtol=enough,
        )
        q = done.x
        fitted, light = problem.fitted(problem.values(q))
        # Noise of what is expected, not of what was counted, which would pull it down.
        problem.weights = 1 / np.sqrt(variance(fitted))
    residuals, jacobian = problem.residuals(q), problem.jacobian(q)
    dof = residuals.size - len(free) - 2 * len(bead.focus_um)
    chi2 = float(residuals @ residuals) / dof
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * np.outer(units, units)
    return BeadFit(
        bead=bead,
        fitted=fitted,
        values=problem.values(q),
        covariance=covariance * max(chi2, 1.0),
        chi2_per_dof=chi2,
        light=light,
        pixel_size_um=optics.pixel_size_um,
    )


def expected_fall(
    fit: BeadFit, optics: Optics, terms: tuple[str, ...], variance: Variance, bead_um: float
) -> float:
    """How much chi2 would fall with `terms` ("Z22") free too, by the slope where `fit` ended."""
    names = (*fit.values, *terms)
    problem = _Problem(fit.bead, optics, names, bead_um, _room_um(fit.bead, optics))
    problem.weights = 1 / np.sqrt(variance(fit.fitted))
    values = dict.fromkeys(terms, 0.0) | fit.values
    q = np.array([values[name] for name in names]) / problem.units()
    residuals = problem.residuals(q)
    slopes = problem.jacobian(q)
    left = residuals - slopes @ np.linalg.lstsq(slopes, residuals)[0]
    return float(residuals @ residuals - left @ left)


def _limits(problem: _Problem) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    optics = problem.optics
    top = optics.immersion_index
    if "depth_um" in problem.names or optics.depth_um > 0:
        top = min(top, optics.sample_index)
    limits = {
        "numerical_aperture": (0.3 * optics.numerical_aperture, HIGHEST_APERTURE * top),
        "depth_um": (0.0, np.inf),
        "blur_um": (0.0, np.inf),
    }
    low, high = np.array([limits.get(name, (-np.inf, np.inf)) for name in problem.names]).T
    return low, high


def _start(name: str, optics: Optics) -> float:
    if name in ("numerical_aperture", "depth_um"):
        return float(getattr(optics, name))
    if name.startswith("Z"):
        return dict(optics.zernike_waves).get(int(name[1:]), 0.0)
    return 0.05e-3 * optics.wavelength_nm if name == "blur_um" else 0.0


def _room_um(bead: Bead, optics: Optics) -> float:
    """For the light of the farthest plane, the same for all parameters, since a grid that
    changes with them would make the differences between them rough.
    """
    sine = min(1.05 * optics.numerical_aperture / optics.immersion_index, 0.95)
    airy = 0.61e-3 * optics.wavelength_nm / optics.numerical_aperture
    far = float(np.abs(bead.focus_um).max())
    return far * sine / math.sqrt(1 - sine**2) + 6 * airy


def _coarse(
    bead: Bead,
    optics: Optics,
    names: tuple[str, ...],
    weights: NDArray[np.float64],
    bead_um: float,
) -> dict[str, float]:
    """Spherical term and place along the axis from which the search finds its way."""
    every = slice(None, None, max(1, len(bead.focus_um) // 9))
    few = dataclasses.replace(bead, counts=bead.counts[every], focus_um=bead.focus_um[every])
    free = (*names, "blur_um", "y_um", "x_um", "z_um")
    problem = _Problem(few, optics, free, bead_um, _room_um(bead, optics))
    problem.weights = weights[every]
    values = {name: _start(name, optics) for name in free}
    step = 0.5 * depth_of_field_um(optics)
    best, found = math.inf, {}
    for waves in _START_WAVES if "Z11" in names else (None,):
        for z in step * np.arange(-4, 5):
            start = {"z_um": float(z)} | ({} if waves is None else {"Z11": waves})
            difference = problem.fitted(values | start)[0] - few.counts
            cost = float(((difference * problem.weights) ** 2).sum())
            if cost < best:
                best, found = cost, start
    return found
