"""Lists of positions, as people type them and as Micro-Manager saves them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liverestore.acquisition_plan import Position, parse_position
from liverestore.errors import UserError

__all__ = ["read_positions", "unique_positions"]

_FORMS = (
    "X,Y in um (several with ; between), a text file of lines X,Y or X,Y,NAME, or a position list "
    "of Micro-Manager (.pos)"
)


def read_positions(given: Sequence[str]) -> tuple[tuple[Position, ...], tuple[str, ...]]:
    """The positions that `given` names, each "X,Y;X,Y.." in um or a file; and notes.

    Raises `UserError` for anything else, in one line.
    """
    found: list[Position] = []
    notes: list[str] = []
    for text in given:
        typed = _typed(text, len(found))
        if typed is not None:
            found += typed
            continue
        path = Path(text).expanduser()
        try:
            content = path.read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise UserError(
                f"--positions: got {text!r}, which is no X,Y and no file that can be read "
                f"({_why(error)}); allowed is {_FORMS}"
            ) from None
        if content.lstrip().startswith("{"):
            listed, note = _of_micro_manager(content, path, len(found))
            found += listed
            notes += note
        else:
            found += _of_lines(content, path, len(found))
    return unique_positions(found), tuple(notes)


def _typed(text: str, before: int) -> list[Position] | None:
    """Out of "0,0;100,0"; None for another form."""
    made = [parse_position(part, before + n) for n, part in enumerate(text.rstrip("; ").split(";"))]
    return None if None in made else [position for position in made if position is not None]


def unique_positions(positions: Sequence[Position]) -> tuple[Position, ...]:
    """The same positions; a name that comes again gets a number."""
    taken: set[str] = set()
    made = []
    for position in positions:
        name, again = position.name, 2
        while name in taken:
            name, again = f"{position.name}_{again}", again + 1
        taken.add(name)
        made.append(Position(name, position.xy_um))
    return tuple(made)


def _of_lines(content: str, path: Path, before: int) -> list[Position]:
    found: list[Position] = []
    for number, line in enumerate(content.splitlines(), 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        position = parse_position(text, before + len(found))
        if position is None and found == [] and number == 1:
            continue  # a header line
        if position is None:
            raise UserError(f"{path}, line {number}: got {line!r}; allowed is X,Y or X,Y,NAME")
        found.append(position)
    if not found:
        raise UserError(f"{path}: has no positions; allowed are lines X,Y or X,Y,NAME in um")
    return found


def _of_micro_manager(
    content: str, path: Path, before: int
) -> tuple[list[Position], tuple[str, ...]]:
    """Positions of a "Micro-Manager Property Map" (.pos, versions 2.0), and what is left out."""
    try:
        entries = json.loads(content)["map"]["StagePositions"]["array"]
        made = [_entry(entry, before + number) for number, entry in enumerate(entries)]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise UserError(
            f"{path}: got JSON that is no position list of Micro-Manager 2 ({error!r}); save it "
            "with the Stage Position List window, or write lines X,Y"
        ) from None
    if not made:
        raise UserError(f"{path}: has no positions; mark some in Micro-Manager and save it again")
    left_out = sorted({label for _, labels in made for label in labels})
    note = (
        f"{path.name}: positions of {', '.join(left_out)} are left out: only the XY stage is moved"
    )
    return [position for position, _ in made], (note,) if left_out else ()


def _entry(entry: dict[str, Any], number: int) -> tuple[Position, list[str]]:
    wanted = entry["DefaultXYStage"]["scalar"]
    xy_um: tuple[float, float] | None = None
    others = []
    for device in entry["DevicePositions"]["array"]:
        label, place = device["Device"]["scalar"], device["Position_um"]["array"]
        if label == wanted:
            xy_um = float(place[0]), float(place[1])
        else:
            others.append(str(label))
    if xy_um is None:
        raise KeyError(f"no place of {wanted!r} in position {number}")
    return Position(str(entry["Label"]["scalar"]) or f"p{number:02d}", xy_um), others


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
