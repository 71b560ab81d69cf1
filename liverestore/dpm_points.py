"""A part of a DPM (see `liverestore.dpm`): the surface through places that were in focus."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverestore.dpm_terms import KINDS
from liverestore.errors import UserError

__all__ = ["FITS", "POINTS_SPEC", "SMOOTHING", "Points", "is_points"]

FloatArray = NDArray[np.float64]
_Fitted = Callable[[FloatArray, FloatArray], FloatArray]

FITS = ("plane", "quadratic", "smooth")
_FEWEST = {"plane": 3, "quadratic": 6, "smooth": 3}
_BEGINS = "points:"

POINTS_SPEC = "points:[plane;|quadratic;|smooth;]x,y,z;x,y,z;x,y,z..."
"""For messages: the text of a surface through points."""

SMOOTHING = 0.1
"""Of the smooth surface, for places that lie up to 1 from their middle.

On simulated maps with an error of a tenth of their relief it was the best of 0 to 1 from 16
points on; without smoothing the error was up to three times as large, at 256 points.
"""

_LEAST_SPREAD = 0.02
"""Across the line through the points, as a share of their spread along it."""
_NODES = 65
"""Along either side of a frame: the smooth surface is evaluated there, and between by splines."""


@dataclass(frozen=True, slots=True)
class Points:
    """The surface through points in focus, (x, y, z) in um from the middle of the frame.

    By `fit` a plane or a quadratic surface (least squares), or a thin-plate spline with
    `SMOOTHING` (Duchon 1977, Wahba 1990); where it is empty a plane through 3 to 5 points and a
    spline from 6 on. Outside of the points the spline goes on nearly straight.

    Raises `UserError` for fewer points than the fit needs, NaN or infinity, and points in a
    line, or for a quadratic surface on a conic, through which many surfaces go.
    """

    points_um: tuple[tuple[float, float, float], ...]
    fit: str = ""

    def __post_init__(self) -> None:
        if self.fit not in ("", *FITS):
            raise UserError(f"DPM: got points for a fit {self.fit!r}; allowed are {POINTS_SPEC}")
        needed = _FEWEST[self.used_fit]
        count = len(self.points_um)
        if count < needed:
            what = "a quadratic surface" if self.fit == "quadratic" else "a surface"
            raise UserError(
                f"DPM: got {count} point{'' if count == 1 else 's'} in focus; {what} takes "
                f"{needed} or more: {POINTS_SPEC} in um; focus on more places"
            )
        if not all(math.isfinite(number) for point in self.points_um for number in point):
            raise UserError(
                "DPM: got points with NaN or infinity; allowed are finite numbers, x,y,z in um"
            )
        _fitted(self.points_um, self.used_fit)

    @classmethod
    def of(cls, points_um: ArrayLike, fit: str = "") -> Self:
        """From (N, 3) x, y, z in um. Raises `UserError` for another shape, else as the class."""
        points = np.asarray(points_um, np.float64)
        if points.size and (points.ndim != 2 or points.shape[1] != 3):
            raise UserError(
                f"DPM: got points of shape {points.shape}; allowed are three or more (x, y, z) in "
                "um; focus on more places"
            )
        return cls(tuple((float(x), float(y), float(z)) for x, y, z in points.reshape(-1, 3)), fit)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From its text (`POINTS_SPEC`). Raises `UserError` for anything else."""
        first, *rest = text.removeprefix(_BEGINS).split(";")
        fit = first.strip() if first.strip() in FITS else ""
        points: list[tuple[float, float, float]] = []
        for part in rest if fit else [first, *rest]:
            try:
                x, y, z = (float(number) for number in part.split(","))
            except ValueError:
                raise UserError(
                    f"DPM: got the point {part.strip()!r}; allowed are three plain numbers in um "
                    f"for each: {POINTS_SPEC}"
                ) from None
            points.append((x, y, z))
        return cls(tuple(points), fit)

    @property
    def used_fit(self) -> str:
        """One of `FITS`."""
        return self.fit or ("plane" if len(self.points_um) < 6 else "smooth")

    @property
    def residuals_um(self) -> FloatArray:
        """(N,) how much deeper each point lies than the surface."""
        x, y, z = np.array(self.points_um).T
        return np.asarray(z - self.at(x, y), np.float64)

    @property
    def farthest_um(self) -> float:
        """Z of the point that is farthest from the plane in focus."""
        return max((z for _, _, z in self.points_um), key=abs)

    def at(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Depth in um at places in um; `x` and `y` broadcast."""
        return _fitted(self.points_um, self.used_fit)(np.asarray(x), np.asarray(y))

    def over(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """(Y, X) depth in um over the grid of `x` (X,) and `y` (Y,), both rising, in um."""
        coarse = [_thinned(x), _thinned(y)]
        if self.used_fit != "smooth" or (len(coarse[0]) == len(x) and len(coarse[1]) == len(y)):
            return self.at(x[None, :], y[:, None])
        from scipy.interpolate import RectBivariateSpline

        nodes = self.at(coarse[0][None, :], coarse[1][:, None])
        degrees = [min(3, len(axis) - 1) for axis in coarse]
        if 0 in degrees:
            return self.at(x[None, :], y[:, None])
        spline = RectBivariateSpline(coarse[1], coarse[0], nodes, kx=degrees[1], ky=degrees[0])
        return np.asarray(spline(y, x), np.float64)

    def __str__(self) -> str:
        parts = [self.fit] if self.fit else []
        parts += [
            ",".join(repr(number).removesuffix(".0") for number in point)
            for point in self.points_um
        ]
        return _BEGINS + ";".join(parts)


def is_points(text: str) -> bool:
    """Whether `text` is to be read as points, whatever their numbers."""
    if not text.startswith(_BEGINS):
        return False
    words = text.removeprefix(_BEGINS).replace(";", ",").split(",")
    try:
        for word in words[1:] if words[0].strip() in FITS else words:
            float(word)
    except ValueError:
        return False
    return True


def _thinned(places: FloatArray) -> FloatArray:
    return places if len(places) <= _NODES else np.linspace(places[0], places[-1], _NODES)


@functools.lru_cache(maxsize=32)
def _fitted(points: tuple[tuple[float, float, float], ...], fit: str) -> _Fitted:
    values = np.array(points, np.float64)
    z = values[:, 2]
    middle = values[:, :2].mean(0)
    away = values[:, :2] - middle
    # Lengths near 1, so that ranks and the smoothing tell of the places and not of the unit.
    unit = float(np.hypot(*away.T).max()) or 1.0
    u, v = away.T / unit
    spread = np.linalg.svd(np.stack([u, v], 1), compute_uv=False)
    if spread[0] == 0 or spread[1] < _LEAST_SPREAD * spread[0]:
        raise UserError(
            f"DPM: got {len(points)} points that lie on a line; they fix no surface; focus on "
            "places that are spread over the frame"
        )
    if fit == "smooth":
        return _spline(np.stack([u, v], 1), z, middle, unit)
    columns = [np.ones_like(u), u, v]
    if fit == "quadratic":
        columns += [u**2, u * v, v**2]
    found, _, rank, _ = np.linalg.lstsq(np.stack(columns, 1), z, rcond=1e-6)
    if rank < len(columns):
        raise UserError(
            f"DPM: got {len(points)} points that lie on a conic; they fix no quadratic surface; "
            "focus on places that are spread over the frame, or take a plane"
        )
    surface = KINDS[fit].surface

    def at(x: FloatArray, y: FloatArray) -> FloatArray:
        return surface((x - middle[0]) / unit, (y - middle[1]) / unit, *found.tolist())

    return at


def _spline(places: FloatArray, z: FloatArray, middle: FloatArray, unit: float) -> _Fitted:
    from scipy.interpolate import RBFInterpolator

    made: Any = RBFInterpolator(places, z, smoothing=SMOOTHING, kernel="thin_plate_spline")

    def at(x: FloatArray, y: FloatArray) -> FloatArray:
        u, v = np.broadcast_arrays((x - middle[0]) / unit, (y - middle[1]) / unit)
        flat = made(np.stack([u.ravel(), v.ravel()], 1))
        return np.asarray(flat, np.float64).reshape(u.shape)

    return at
