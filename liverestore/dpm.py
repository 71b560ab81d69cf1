"""Digital propagation matrix (DPM): how far from the plane in focus to look, pixel by pixel.

The name and the idea are those of Deep-Z (Wu et al. 2019, doi 10.1038/s41592-019-0622-5).
Distances are in um along the optical axis, positive deeper into the sample (away from the
coverslip). Surfaces are placed in um of the sample with the origin in the middle of the
frame, x along the rows to the right and y downwards. Binning therefore changes nothing, as
long as the pixel size is that of the binned pixels; a ROI has its own middle, so a surface
that was found on the full frame must be given again for it. A map in a file belongs to
frames of its own size and is never scaled or cropped.
"""

from __future__ import annotations

import functools
import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverestore.errors import UserError
from liverestore.movie_tiff import TiffMovie

__all__ = ["DPM_SPEC", "Dpm", "Map", "Term", "parse_dpm"]

FloatArray = NDArray[np.float64]

DPM_SPEC = (
    "a number in um, plane:z0,dz/dx,dz/dy, quadratic:z0,dz/dx,dz/dy,xx,xy,yy, "
    "sphere:z0,radius[,x0,y0], cylinder:z0,radius[,angle[,offset]], "
    "sine:z0,amplitude,period[,angle[,phase]], sums of them joined by +, or a .npy or .tif of um"
)
"""For messages: what `parse_dpm` takes."""


def _along(x: FloatArray, y: FloatArray, angle_deg: float) -> FloatArray:
    angle = math.radians(angle_deg)
    return x * math.cos(angle) + y * math.sin(angle)


def _bowl(squared: FloatArray, radius: float, what: str) -> FloatArray:
    """How much deeper a ball of `radius` lies at a squared distance from its apex."""
    largest = math.sqrt(float(squared.max()))
    if largest > abs(radius):
        raise UserError(
            f"DPM: got a {what} of radius {abs(radius):g} um, but the frame reaches {largest:.4g} "
            f"um from its apex; allowed is a radius of at least that"
        )
    return math.copysign(1.0, radius) * (abs(radius) - np.sqrt(radius**2 - squared))


def _uniform(x: FloatArray, y: FloatArray, z0: float) -> FloatArray:
    return np.broadcast_to(np.float64(z0), np.broadcast_shapes(x.shape, y.shape))


def _plane(x: FloatArray, y: FloatArray, z0: float, along_x: float, along_y: float) -> FloatArray:
    return z0 + along_x * x + along_y * y


def _quadratic(
    x: FloatArray, y: FloatArray, z0: float, sx: float, sy: float, xx: float, xy: float, yy: float
) -> FloatArray:
    return z0 + sx * x + sy * y + xx * x**2 + xy * x * y + yy * y**2


def _sphere(
    x: FloatArray, y: FloatArray, z0: float, radius: float, x0: float = 0.0, y0: float = 0.0
) -> FloatArray:
    return z0 + _bowl((x - x0) ** 2 + (y - y0) ** 2, radius, "sphere")


def _cylinder(
    x: FloatArray, y: FloatArray, z0: float, radius: float, angle: float = 0.0, offset: float = 0.0
) -> FloatArray:
    return z0 + _bowl((_along(x, y, angle + 90) - offset) ** 2, radius, "cylinder")


def _sine(
    x: FloatArray,
    y: FloatArray,
    z0: float,
    amplitude: float,
    period: float,
    angle: float = 0.0,
    phase: float = 0.0,
) -> FloatArray:
    turns = _along(x, y, angle) / period
    return z0 + amplitude * np.sin(2 * np.pi * turns + math.radians(phase))


class _Kind(NamedTuple):
    surface: Callable[..., FloatArray]
    numbers: str
    """As a person writes them; those in brackets may be left out."""
    fewest: int
    most: int
    above_zero: int | None = None
    """Position of a number that must not be 0."""


_KINDS: dict[str, _Kind] = {
    "uniform": _Kind(_uniform, "z", 1, 1),
    "plane": _Kind(_plane, "z0,dz/dx,dz/dy", 3, 3),
    "quadratic": _Kind(_quadratic, "z0,dz/dx,dz/dy,xx,xy,yy", 6, 6),
    "sphere": _Kind(_sphere, "z0,radius[,x0,y0]", 2, 4, 1),
    "cylinder": _Kind(_cylinder, "z0,radius[,angle[,offset]]", 2, 4, 1),
    "sine": _Kind(_sine, "z0,amplitude,period[,angle[,phase]]", 3, 5, 2),
}


@dataclass(frozen=True, slots=True)
class Term:
    """One surface given by a few numbers; lengths in um, angles in degrees.

    "uniform": z. "plane": z0 in the middle of the frame, slopes in um per um. "quadratic":
    a plane and the factors of x^2, xy and y^2 in 1/um. "sphere": depth and radius of a ball
    that touches z0 at (x0, y0); a positive radius is deeper away from there, a negative one
    shallower. "cylinder": the same, along an axis turned by `angle` from x and moved
    sideways by `offset`. "sine": z0 + amplitude sin(2 pi d / period + phase), d along `angle`.

    Raises `UserError` for an unknown kind, a wrong count of numbers, NaN or infinity.
    """

    kind: str
    numbers: tuple[float, ...]

    def __post_init__(self) -> None:
        kind = _KINDS.get(self.kind)
        if kind is None:
            raise UserError(f"DPM: got the surface {self.kind!r}; allowed are {DPM_SPEC}")
        given = f"{self.kind} {','.join(f'{number:g}' for number in self.numbers)}"
        wanted = f"{self.kind}:{kind.numbers}" if self.kind != "uniform" else "one number"
        # An apex has two coordinates.
        half_apex = self.kind == "sphere" and len(self.numbers) == 3
        if not kind.fewest <= len(self.numbers) <= kind.most or half_apex:
            raise UserError(f"DPM: got {given}; allowed is {wanted}, in um and degrees")
        if not all(math.isfinite(number) for number in self.numbers):
            raise UserError(f"DPM: got {given}; allowed are finite numbers, here {wanted} in um")
        if kind.above_zero is not None and self.numbers[kind.above_zero] == 0:
            name = "period" if self.kind == "sine" else "radius"
            raise UserError(f"DPM: got {given}; allowed is any {name} but 0: {wanted}")

    def __str__(self) -> str:
        numbers = ",".join(_number(number) for number in self.numbers)
        return numbers if self.kind == "uniform" else f"{self.kind}:{numbers}"


def _number(value: float) -> str:
    """The shortest text that gives `value` back."""
    return repr(float(value)).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Map:
    """Distances given pixel by pixel. Two maps are equal when their values are.

    Raises `UserError` for anything but a (Y, X) array of finite numbers.
    """

    values_um: NDArray[np.float32] = field(compare=False, repr=False)
    """(Y, X) float32, read-only."""
    source: str = field(default="", compare=False)
    """File that it was read from; empty where there is none."""
    sha256: str = field(init=False)
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        name = self.source or "array"
        given = np.asarray(self.values_um)
        if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "iuf":
            raise UserError(
                f"DPM {name}: got an array {given.shape} of {given.dtype}; allowed is one "
                "(Y, X) image of distances in um, of the size of the frames"
            )
        bad = int(np.count_nonzero(~np.isfinite(given)))
        if bad:
            raise UserError(
                f"DPM {name}: got {bad} values that are NaN or infinite; allowed are finite "
                "distances in um: fill the gaps, for example from their neighbours"
            )
        values = np.array(given, np.float32)
        values.setflags(write=False)
        object.__setattr__(self, "values_um", values)
        object.__setattr__(self, "shape", values.shape)
        little = values.astype("<f4", copy=False)
        object.__setattr__(self, "sha256", hashlib.sha256(little.tobytes()).hexdigest())

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The map in a `.npy` or a single-image `.tif`. Raises `UserError` when it is none."""
        file = Path(path).expanduser()
        if not file.is_file():
            raise UserError(f"DPM: got {str(path)!r}, which is no file; allowed are {DPM_SPEC}")
        if file.suffix.lower() == ".npy":
            return cls(_read_npy(file), str(path))
        if file.suffix.lower() in (".tif", ".tiff"):
            with TiffMovie(file) as image:
                if len(image) != 1:
                    raise UserError(
                        f"DPM {path}: got a stack of {len(image)} images; allowed is one image "
                        "of distances in um; save the one you mean alone"
                    )
                return cls(image[0], str(path))
        raise UserError(f"DPM: got the file {path}; allowed are .npy and .tif images of um")

    def __str__(self) -> str:
        return self.source or f"array of {self.shape[0]}x{self.shape[1]}, sha256 {self.sha256[:12]}"


def _read_npy(file: Path) -> NDArray[Any]:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"DPM {file}: cannot be read as .npy ({why}); save it with numpy.save as an array of "
            "numbers"
        ) from error
    return np.asarray(values)


@dataclass(frozen=True, slots=True)
class Dpm:
    """A surface to refocus to: the sum of its terms. See the module for signs and places.

    `str(dpm)` is its text, which `parse_dpm` reads back, but for an array that came from no
    file.

    >>> str(Dpm.uniform(3.5) + Dpm.plane(0, 0.01, -0.02))
    '3.5+plane:0,0.01,-0.02'
    """

    terms: tuple[Term | Map, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise UserError(f"DPM: got nothing; allowed are {DPM_SPEC}")

    @classmethod
    def uniform(cls, z_um: float) -> Self:
        """The plane `z_um` from the one in focus."""
        return cls((Term("uniform", (float(z_um),)),))

    @classmethod
    def plane(cls, z0_um: float, along_x: float, along_y: float) -> Self:
        """A tilted plane; slopes in um per um."""
        return cls((Term("plane", (float(z0_um), float(along_x), float(along_y))),))

    @classmethod
    def from_array(cls, values_um: NDArray[Any], source: str = "") -> Self:
        """Distances pixel by pixel, (Y, X) in um."""
        return cls((Map(values_um, source),))

    @classmethod
    def through(cls, points_um: ArrayLike) -> Self:
        """The surface through points in focus, least squares where there are more than needed.

        `points_um` is (N, 3): x and y from the middle of the frame and z, in um. A plane from 3
        to 5 points, a quadratic surface from 6 on. Raises `UserError` for fewer, for
        NaN, and for points in a line, through which many surfaces go.
        """
        points = np.atleast_2d(np.asarray(points_um, np.float64))
        if points.ndim != 2 or points.shape[1:] != (3,) or len(points) < 3:
            raise UserError(
                f"DPM: got points of shape {points.shape}; allowed are three or more (x, y, z) in "
                "um; focus on more places"
            )
        if not np.isfinite(points).all():
            raise UserError("DPM: got points with NaN or infinity; allowed are finite um")
        x, y, z = points.T
        # Lengths near 1, so that the rank tells of the places and not of the unit.
        unit = float(np.hypot(x - x.mean(), y - y.mean()).max()) or 1.0
        u, v = x / unit, y / unit
        columns = [np.ones_like(u), u, v]
        scale = [1.0, unit, unit]
        if len(points) >= 6:
            columns += [u**2, u * v, v**2]
            scale += [unit**2] * 3
        found, _, rank, _ = np.linalg.lstsq(np.stack(columns, 1), z, rcond=1e-6)
        if rank < len(columns):
            raise UserError(
                f"DPM: got {len(points)} points that lie on a line or a conic; they fix no "
                "surface; focus on places that are spread over the frame"
            )
        numbers = tuple(float(n) for n in found / np.array(scale))
        return cls((Term("plane" if len(columns) == 3 else "quadratic", numbers),))

    def __add__(self, other: Dpm) -> Dpm:
        return Dpm(self.terms + other.terms)

    def __str__(self) -> str:
        return "+".join(
            f"uniform:{term}" if n and isinstance(term, Term) and term.kind == "uniform"
            else str(term)
            for n, term in enumerate(self.terms)
        )  # fmt: skip

    @property
    def uniform_um(self) -> float | None:
        """The one distance of all pixels; None for a surface."""
        numbers = [t.numbers[0] for t in self.terms if isinstance(t, Term) and t.kind == "uniform"]
        return sum(numbers) if len(numbers) == len(self.terms) else None

    def surface_um(
        self, shape: tuple[int, int], pixel_size_um: float | None = None
    ) -> NDArray[np.float32]:
        """Distance of each pixel of a frame of `shape` (Y, X), in um.

        (Y, X) float32, read-only and kept for the next call; positive deeper into the sample.
        `pixel_size_um` is the edge of one (binned) pixel of the frame in the sample; uniform
        surfaces and maps need none. Raises `UserError` where it is missing, where a map has
        another size than the frame, and where a ball is smaller than the frame.
        """
        return _surface(self, (int(shape[0]), int(shape[1])), pixel_size_um)


@functools.lru_cache(maxsize=4)
def _surface(dpm: Dpm, shape: tuple[int, int], pixel_size_um: float | None) -> NDArray[np.float32]:
    uniform_um = dpm.uniform_um
    if uniform_um is not None:
        return np.broadcast_to(np.float32(uniform_um), shape)
    total: NDArray[np.float32] | None = None
    for term in dpm.terms:
        if isinstance(term, Map):
            if term.shape != shape:
                raise UserError(
                    f"DPM {term}: got {term.shape[0]}x{term.shape[1]} values for frames of "
                    f"{shape[0]}x{shape[1]} (rows x columns); allowed is one value for each "
                    "pixel; crop or make the map for this ROI and binning"
                )
            part = term.values_um
        else:
            part = _evaluated(term, shape, pixel_size_um)
        total = part if total is None else total + part
    assert total is not None, "a DPM has terms"
    total.setflags(write=False)
    return total


def _evaluated(
    term: Term, shape: tuple[int, int], pixel_size_um: float | None
) -> NDArray[np.float32]:
    if term.kind != "uniform" and not (pixel_size_um and math.isfinite(pixel_size_um)):
        raise UserError(
            f"DPM {term}: the frames state no pixel size, without which a surface in um has no "
            "place; write optics.pixel_size_um into the rig and name it, or give a map"
        )
    edge = pixel_size_um or 1.0
    y, x = ((np.arange(n) - (n - 1) / 2) * edge for n in shape)
    surface = _KINDS[term.kind].surface(x[None, :], y[:, None], *term.numbers)
    return np.broadcast_to(surface, shape).astype(np.float32)


def parse_dpm(text: str) -> Dpm:
    """The surface that `text` names (see `DPM_SPEC`). Raises `UserError` for anything else.

    >>> parse_dpm("sphere:-2,400").terms
    (Term(kind='sphere', numbers=(-2.0, 400.0)),)
    """
    # A + before the name of a surface joins two; in 1e+3 and in file names it is no such.
    parts = re.split(rf"\+(?=(?:{'|'.join(_KINDS)}):)", text.strip())
    return Dpm(tuple(_term(part.strip()) for part in parts))


def _term(text: str) -> Term | Map:
    name, colon, rest = text.partition(":")
    if colon and name in _KINDS:
        try:
            numbers = tuple(float(number) for number in rest.split(","))
        except ValueError:
            raise UserError(
                f"DPM: got {text!r}; allowed is {name}:{_KINDS[name].numbers}, plain numbers in "
                "um and degrees"
            ) from None
        return Term(name, numbers)
    try:
        return Term("uniform", (float(text),))
    except ValueError:
        return Map.read(text)
