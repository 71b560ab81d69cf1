"""Where each frame of a `useq.MDASequence` belongs: its field of view and its place in the file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liverestore.errors import UserError

if TYPE_CHECKING:
    from useq import MDASequence

__all__ = ["MdaGrid", "grid_of"]

_MOST_EVENTS = 1_000_000


@dataclass(frozen=True, slots=True)
class MdaGrid:
    """Full grids of time, channel and z, one for each field of view."""

    fields: dict[tuple[int, int], int]
    """(index of the position, index in its grid) -> number of the field."""
    names: tuple[str, ...]
    """Of the fields, for their files; empty for a single one without a name."""
    channels: int
    heights: int
    height_step_um: float | None

    def place(self, index: Any) -> tuple[int, int]:
        """Field, and place among the frames of its time point, of an event's `index`."""
        field = self.fields[index.get("p", 0), index.get("g", 0)]
        return field, index.get("c", 0) * self.heights + index.get("z", 0)


def grid_of(sequence: MDASequence) -> MdaGrid:
    """Where the frames of `sequence` belong.

    Raises `UserError` for one whose frames are no full grid at each field, or come in an order
    that no file of time, channel and z has.
    """
    fields: dict[tuple[int, int], int] = {}
    names: list[str] = []
    seen: dict[int, list[tuple[int, int, int]]] = {}
    heights_um: dict[int, float | None] = {}
    for number, event in enumerate(sequence):
        if number >= _MOST_EVENTS:
            raise UserError(f"sequence: got more than {_MOST_EVENTS:,} frames; split it")
        index = event.index
        place = (index.get("p", 0), index.get("g", 0))
        if place not in fields:
            fields[place] = len(fields)
            names.append(_name(event, place))
        at = (index.get("t", 0), index.get("c", 0), index.get("z", 0))
        seen.setdefault(fields[place], []).append(at)
        heights_um.setdefault(at[2], event.z_pos)
    if not seen:
        raise UserError("sequence: got no frames; give it a time_plan, channels or positions")
    first = seen[0]
    sizes = tuple(1 + max(at[axis] for at in first) for axis in range(3))
    full = list(itertools.product(*map(range, sizes)))
    for field, taken in seen.items():
        if sorted(taken) != full:
            raise UserError(
                f"sequence: got {len(taken)} frames at field {field + 1} where {sizes[0]} time "
                f"points x {sizes[1]} channels x {sizes[2]} heights are {len(full)}; allowed is "
                "one frame of each at every position: leave out acquire_every, do_stack=False and "
                "what single positions have of their own"
            )
        if taken != full:
            raise UserError(
                f"sequence: got the axis_order {''.join(sequence.axis_order)!r}; allowed are those "
                "in which, at each position, time changes slowest and z fastest, such as 'tpgcz'"
            )
    plain = len(fields) == 1 and names == ["p00"]
    return MdaGrid(fields, () if plain else tuple(names), sizes[1], sizes[2], _step(heights_um))


def _name(event: Any, place: tuple[int, int]) -> str:
    name = event.pos_name or f"p{place[0]:02d}"
    return f"{name}_{place[1]:02d}" if "g" in event.index else str(name)


def _step(heights_um: dict[int, float | None]) -> float | None:
    """Distance of two planes in um; None for one, and where the drive's place is not planned."""
    first, second = heights_um.get(0), heights_um.get(1)
    return None if first is None or second is None else abs(second - first)
