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
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from liverestore.dpm_points import POINTS_SPEC, Points, is_points
from liverestore.dpm_terms import KINDS, TERMS_SPEC, Map, Term, is_map_file
from liverestore.errors import UserError

__all__ = ["DPM_SPEC", "AnyTerm", "Dpm", "parse_dpm"]

AnyTerm = Term | Map | Points

DPM_SPEC = f"{TERMS_SPEC}, {POINTS_SPEC}, or sums of them joined by +"
"""For messages: what `parse_dpm` takes."""


@dataclass(frozen=True, slots=True)
class Dpm:
    """A surface to refocus to: the sum of its terms. See the module for signs and places.

    `str(dpm)` is its text, which `parse_dpm` reads back, but for an array that came from no
    file.

    >>> str(Dpm.uniform(3.5) + Dpm.plane(0, 0.01, -0.02))
    '3.5+plane:0,0.01,-0.02'
    """

    terms: tuple[AnyTerm, ...]

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
    def through(cls, points_um: ArrayLike, fit: str = "") -> Self:
        """The surface through points in focus.

        `points_um` is (N, 3): x and y from the middle of the frame and z, in um. `fit` is one of
        `dpm_points.FITS`; empty: a plane from 3 to 5 points, a smooth surface from 6 on. Raises
        `UserError` for fewer, for NaN, and for points in a line, through which many surfaces go.
        """
        return cls((Points.of(points_um, fit),))

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

    @property
    def map_shape(self) -> tuple[int, int] | None:
        """(Y, X) of the first of its maps, the only size of frames that it fits; None: any."""
        shapes = [term.shape for term in self.terms if isinstance(term, Map)]
        return (shapes[0][0], shapes[0][1]) if shapes else None

    @property
    def sha256(self) -> str:
        """Of the values of its maps (little-endian float32), joined by spaces; or empty."""
        return " ".join(term.sha256 for term in self.terms if isinstance(term, Map))

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
    term: Term | Points, shape: tuple[int, int], pixel_size_um: float | None
) -> NDArray[np.float32]:
    level = isinstance(term, Term) and term.kind == "uniform"
    if not level and not (pixel_size_um and math.isfinite(pixel_size_um)):
        raise UserError(
            f"DPM {term}: the frames state no pixel size, without which a surface in um has no "
            "place; write optics.pixel_size_um into the rig and name it, or give a map"
        )
    edge = pixel_size_um or 1.0
    y, x = ((np.arange(n, dtype=np.float64) - (n - 1) / 2) * edge for n in shape)
    if isinstance(term, Points):
        return term.over(x, y).astype(np.float32)
    surface = KINDS[term.kind].surface(x[None, :], y[:, None], *term.numbers)
    return np.broadcast_to(surface, shape).astype(np.float32)


def parse_dpm(text: str) -> Dpm:
    """The surface that `text` names (see `DPM_SPEC`). Raises `UserError` for anything else.

    >>> parse_dpm("sphere:-2,400").terms
    (Term(kind='sphere', numbers=(-2.0, 400.0)),)
    """
    return Dpm(tuple(_term(part) for part in _parts(text)))


def _parts(text: str) -> list[str]:
    """The texts that `text` joins by +; where it is none of ours, with what is not among them.

    A + may stand inside of a number (1e+3) or of a file's name: of all ways to read it, the
    one with the longest first part counts, so that a whole text that is a file is that file.
    """
    atoms = text.split("+")
    count = len(atoms)

    @functools.cache
    def joined(start: int, stop: int) -> str | None:
        """The atoms as one term, if that is what they are."""
        part = "+".join(atoms[start:stop]).strip()
        return part if _is_term(part) else None

    # Where a term may begin (from the left), and where one may end (towards the right).
    ways: list[list[str] | None] = [None] * count + [[]]
    for start in reversed(range(count)):
        for stop in range(count, start, -1):
            part, rest = joined(start, stop), ways[stop]
            if part is not None and rest is not None:
                ways[start] = [part, *rest]
                break
    if ways[0] is not None:
        return ways[0]
    starts = {0}
    for start in range(count):
        if start in starts:
            starts |= {stop for stop in range(start + 1, count) if joined(start, stop)}
    # Blame as little of the text as possible.
    start, stop = min(
        ((a, b) for a in starts for b in range(a + 1, count + 1) if ways[b] is not None),
        key=lambda span: len("+".join(atoms[span[0] : span[1]])),
    )
    return ["+".join(atoms[start:stop]).strip()]


def _is_term(text: str) -> bool:
    """Whether `text` is one surface, number or existing file; its numbers may not fit."""
    if is_points(text):
        return True
    name, colon, rest = text.partition(":")
    numbers = rest.split(",") if colon and name in KINDS else [text]
    try:
        for number in numbers:
            float(number)
    except ValueError:
        return is_map_file(text)
    return True


def _term(text: str) -> AnyTerm:
    name, colon, rest = text.partition(":")
    if colon and name == "points":
        return Points.parse(text)
    if colon and name in KINDS:
        try:
            numbers = tuple(float(number) for number in rest.split(","))
        except ValueError:
            raise UserError(
                f"DPM: got {text!r}; allowed is {name}:{KINDS[name].numbers}, plain numbers in "
                "um and degrees"
            ) from None
        return Term(name, numbers)
    try:
        return Term("uniform", (float(text),))
    except ValueError:
        if not is_map_file(text):
            raise UserError(
                f"DPM: got {text!r}, which is no file; allowed are {DPM_SPEC}"
            ) from None
        return Map.read(text)
