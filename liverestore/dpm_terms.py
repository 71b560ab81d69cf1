"""The parts of a DPM (see `liverestore.dpm`): surfaces given by a few numbers, and maps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import UserError
from liverestore.movie_tiff import TiffMovie

__all__ = ["KINDS", "TERMS_SPEC", "Map", "Term", "is_map_file"]

FloatArray = NDArray[np.float64]

_NPY_BEGINS = b"\x93NUMPY"

TERMS_SPEC = (
    "a number in um, plane:z0,dz/dx,dz/dy, quadratic:z0,dz/dx,dz/dy,xx,xy,yy, "
    "sphere:z0,radius[,x0,y0], cylinder:z0,radius[,angle[,offset]], "
    "sine:z0,amplitude,period[,angle[,phase]], a .npy or .tif of um"
)
"""For messages: the kinds of parts that are given by a few numbers, or by a file."""


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


KINDS: dict[str, _Kind] = {
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
        kind = KINDS.get(self.kind)
        if kind is None:
            raise UserError(f"DPM: got the surface {self.kind!r}; allowed are {TERMS_SPEC}")
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
        if not is_map_file(path):
            raise UserError(f"DPM: got {str(path)!r}, which is no file; allowed are {TERMS_SPEC}")
        file = Path(path).expanduser()
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


def is_map_file(path: str | Path) -> bool:
    """Whether `path` names a file; never raises, whatever text it is."""
    try:
        return Path(path).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        # Names that are too long, or begin with the ~ of somebody unknown.
        return False


def _read_npy(file: Path) -> NDArray[Any]:
    # In our own words: numpy's advise to unpickle a file that it cannot read.
    remedy = "save the distances with numpy.save as one (Y, X) array of float32"
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_NPY_BEGINS))
            if begin != _NPY_BEGINS:
                raise UserError(f"DPM {file}: is no .npy file, whatever its name says; {remedy}")
        # Mapped, not read: a header may promise more than the file has, or the memory holds.
        with np.errstate(over="raise"):
            return np.array(np.load(file, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        why = error.strerror or "its end is missing"
        raise UserError(f"DPM {file}: cannot be read: {why}; {remedy}") from error
    except (ValueError, EOFError, ArithmeticError, MemoryError) as error:
        raise UserError(
            f"DPM {file}: is damaged, cut short, or holds objects that are no numbers; {remedy}"
        ) from error
