"""The parts of a surface as the editor shows them: their names, and numbers in um; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from liverestore.dpm_points import Points
from liverestore.dpm_terms import Map, Term

if TYPE_CHECKING:
    from liverestore.dpm import AnyTerm
    from liverestore.view.refocus_surface import Extent, Surface

__all__ = ["ADDABLE", "Field", "apex_of", "fields_of", "new_part", "part_words", "with_number"]

ADDABLE = ("sphere", "cylinder", "sinusoid", "quadratic")
"""What can be added; the plane is always there."""
_KINDS = {"sinusoid": "sine"}
_WORDS = {"sine": "sinusoid"}
_FAR = 1e6
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Field:
    """One number of a part, as it is written into a box."""

    name: str
    value: float
    unit: str = "µm"
    low: float = -_FAR
    high: float = _FAR
    decimals: int = 2
    tip: str = ""


def part_words(part: AnyTerm) -> str:
    """A part in a few words.

    >>> part_words(Term("sine", (0.0, 1.0, 80.0)))
    'sinusoid of 1 µm'
    """
    if isinstance(part, Points):
        return f"{part.used_fit} through {len(part.points_um)} points"
    if isinstance(part, Map):
        return f"map {Path(part.source).name}" if part.source else "map"
    if part.kind in ("sphere", "cylinder"):
        return f"{part.kind} of radius {part.numbers[1]:.5g} µm"
    if part.kind == "sine":
        return f"sinusoid of {part.numbers[1]:.4g} µm"
    return part.kind


def new_part(name: str, extent: Extent, reach_um: float) -> Term:
    """A part of `ADDABLE` that is seen at once over a frame of `extent`, within the reach."""
    kind = _KINDS.get(name, name)
    width, height = (max(size, 1e-3) for size in extent)
    bow = min(2.0, reach_um / 2)
    if kind == "sine":
        return Term(kind, (0.0, min(1.0, bow), _short(width / 2), 0.0, 0.0))
    if kind == "quadratic":
        return Term(kind, (0.0, 0.0, 0.0, _short(4 * bow / width**2), 0.0, 0.0))
    half = math.hypot(width, height) / 2
    radius = _short((half**2 + bow**2) / (2 * bow), 3)
    return Term(kind, (0.0, radius, 0.0, 0.0))


def fields_of(part: AnyTerm | Surface, extent: Extent) -> tuple[Field, ...]:
    """The numbers of a part, or of the plane of a surface, over a frame of `extent`."""
    if isinstance(part, Points | Map):
        return ()
    if not isinstance(part, Term):
        across, down = part.tilt_um(extent)
        return (
            Field("distance", part.z_um, tip="In the middle of the frame, + is deeper"),
            Field("tilt across the width", across, tip="How much deeper the right edge lies"),
            Field("tilt across the height", down, tip="How much deeper the lower edge lies"),
        )
    numbers = _whole(part)
    if part.kind == "sphere":
        return (
            Field("radius", numbers[1], tip="Above 0: deeper away from the apex; below: shallower"),
            Field("apex to the right", numbers[2], tip="From the middle of the frame"),
            Field("apex downwards", numbers[3], tip="From the middle of the frame"),
        )
    if part.kind == "cylinder":
        return (
            Field("radius", numbers[1], tip="Above 0: deeper away from the axis; below: shallower"),
            Field("axis turned by", numbers[2], "°", -360.0, 360.0, tip="From the image's rows"),
            Field("axis moved by", numbers[3], tip="Sideways from the middle of the frame"),
        )
    if part.kind == "sine":
        return (
            Field("amplitude", numbers[1], tip="Half the way from valley to hill"),
            Field("period", numbers[2], tip="From hill to hill"),
            Field("direction", numbers[3], "°", -360.0, 360.0, tip="Of the wave, from the rows"),
            Field("phase", numbers[4], "°", -360.0, 360.0, tip="Where the wave begins"),
        )
    if part.kind == "quadratic":
        across, twist, down = _bows(extent)
        return (
            Field("bow across the width", numbers[3] * across, tip="Left and right edge, from 0"),
            Field("bow across the height", numbers[5] * down, tip="Upper and lower edge, from 0"),
            Field("twist", numbers[4] * twist, tip="Of the lower right corner, from 0"),
        )
    return ()


def with_number(part: Term, index: int, value: float, extent: Extent) -> Term:
    """`part` with another value in the box `index` of `fields_of`."""
    numbers = list(_whole(part))
    if part.kind == "quadratic":
        across, twist, down = _bows(extent)
        place, size = ((3, across), (5, down), (4, twist))[index]
        numbers[place] = _short(value / size)
    else:
        numbers[index + 1] = value
    return replace(part, numbers=tuple(numbers))


def apex_of(part: AnyTerm) -> tuple[float, float] | None:
    """Where a sphere touches its plane, (x, y) in um; None for all else."""
    if not isinstance(part, Term) or part.kind != "sphere":
        return None
    numbers = _whole(part)
    return numbers[2], numbers[3]


def _whole(part: Term) -> tuple[float, ...]:
    """Its numbers with those that may be left out."""
    most = {"sphere": 4, "cylinder": 4, "sine": 5}.get(part.kind, len(part.numbers))
    return (*part.numbers, *(0.0,) * (most - len(part.numbers)))


def _bows(extent: Extent) -> tuple[float, float, float]:
    """What x^2, xy and y^2 are at the right edge, the lower right corner and the lower edge."""
    width, height = (max(size, 1e-9) for size in extent)
    return width**2 / 4, width * height / 4, height**2 / 4


def _short(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}")
