"""Where a sample is in focus: from the positions of an autofocus, or from a z-stack.

Gives points (x, y, z) in um as `dpm_points.Points` takes them: from the middle of the frame, z
positive deeper into the sample. A focus drive is taken to count towards deeper planes, as
Micro-Manager recommends, unless told otherwise.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from liverestore.dpm_points import Points
from liverestore.errors import UserError

__all__ = ["FocusMap", "fitted", "focus_of_stack", "read_positions", "relative"]

FloatArray = NDArray[np.float64]

_BLUR_PX = 1.0
_LEAST_SIGNAL = 6.0
"""Of the focus curve over its lowest place, in standard errors of that."""
_LEAST_RISE = 0.3
"""The same as a share of the lowest place, which light that fades along the stack changes too."""
_OUTLIER_SIGMA = 4.0
_FEWEST_LEFT = 3


@dataclass(frozen=True, slots=True)
class FocusMap:
    """What was found in focus, and what the surface through it leaves over."""

    points: Points
    """Those that count."""
    tiles: int
    """Looked at."""
    without_signal: int = 0
    """Nothing in them gets sharp."""
    at_end: int = 0
    """Sharpest in the first or the last plane, so that their focus lies outside of the stack."""
    outliers: int = 0
    """Far from the surface through the others."""

    @property
    def residual_um(self) -> float:
        """Root mean square distance of the points from the surface."""
        return float(np.sqrt(np.mean(np.square(self.points.residuals_um))))

    @property
    def summary(self) -> str:
        """One line for a person."""
        left = [
            f"{count} {words}"
            for count, words in (
                (self.without_signal, "without signal"),
                (self.at_end, "sharpest at an end of the stack"),
                (self.outliers, "far from the others"),
            )
            if count
        ]
        z = np.array(self.points.points_um)[:, 2]
        return (
            f"{len(z)} of {self.tiles} places in focus, from {z.min():.4g} to {z.max():.4g} um"
            + (f" ({', '.join(left)})" if left else "")
            + f"; {self.points.used_fit} surface, residual {self.residual_um:.2f} um rms"
        )


def focus_of_stack(
    stack: NDArray[Any],
    z_um: Sequence[float],
    pixel_size_um: float,
    *,
    tile_px: int,
    fit: str = "",
) -> FocusMap:
    """The surface in focus of a z-stack (Z, Y, X) of counts whose planes lie at `z_um`.

    In each tile of `tile_px` the focus measure is the energy of the Laplacian of the slightly
    blurred picture (Nayar and Nakagawa 1994), whose share that all planes have in common, which
    is noise, is taken off; a parabola through the logarithms of the three highest values gives the
    place between the planes. Raises `UserError` for fewer than 3 planes, and where fewer than
    three tiles, or the number that the fit needs, are in focus.
    """
    planes = np.asarray(stack)
    z = np.asarray(z_um, np.float64)
    if planes.ndim != 3 or len(planes) < 3 or len(planes) != len(z):
        raise UserError(
            f"focus map: got an array {planes.shape} for {len(z)} planes; allowed is a z-stack "
            "(Z, Y, X) of three or more; take one through the focus of all of the field"
        )
    rows, columns = (_edges(n, tile_px) for n in planes.shape[1:])
    tiles = (len(rows) - 1) * (len(columns) - 1)
    energy = np.stack([_energies(plane, rows, columns) for plane in planes])
    found: list[tuple[float, float, float]] = []
    without, at_end = 0, 0
    middle = [(n - 1) / 2 for n in planes.shape[1:]]
    for r, c in np.ndindex(energy.shape[1:3]):
        best = _best(energy[:, r, c, 0], energy[:, r, c, 1])
        if best is None:
            without += 1
        elif not 0 < best < len(z) - 1:
            at_end += 1
        else:
            y = (rows[r] + rows[r + 1] - 1) / 2 - middle[0]
            x = (columns[c] + columns[c + 1] - 1) / 2 - middle[1]
            depth = float(np.interp(best, np.arange(len(z)), z))
            found.append(_to_nm(x * pixel_size_um, y * pixel_size_um, depth))
    told = f"{without} without signal, {at_end} sharpest at an end of the stack"
    if len(found) < _FEWEST_LEFT:
        raise UserError(
            f"focus map: got {len(found)} of {tiles} tiles in focus ({told}); a surface takes "
            f"{_FEWEST_LEFT}; take a longer stack, more light, or another --tile"
        )
    points, outliers = _without_outliers(found, fit)
    return FocusMap(points, tiles, without, at_end, outliers)


def fitted(points_um: Sequence[tuple[float, float, float]], fit: str = "") -> FocusMap:
    """The surface through positions of an autofocus. Raises `UserError` as `Points` does."""
    points, outliers = _without_outliers(list(points_um), fit)
    return FocusMap(points, len(points_um), outliers=outliers)


def relative(
    positions_um: Sequence[tuple[float, float, float]],
    field_um: tuple[float, float, float],
    *,
    axes: str = "x,y",
    upwards: bool = False,
) -> list[tuple[float, float, float]]:
    """Stage positions in focus as seen from the field at stage (x, y, z) `field_um`.

    `axes` are the stage's axes to the right and down in the image, with their signs, such as
    "-x,y" or "y,-x". `upwards`: the focus drive counts towards shallower planes. Raises
    `UserError` for other axes.
    """
    turns = {"x": (1.0, 0.0), "-x": (-1.0, 0.0), "y": (0.0, 1.0), "-y": (0.0, -1.0)}
    words = [word.strip() for word in axes.split(",")]
    if len(words) != 2 or not all(w in turns for w in words) or words[0][-1] == words[1][-1]:
        raise UserError(
            f"got the axes {axes!r}; allowed are those of the stage that go right and down in the "
            "image: x,y or -x,y or y,-x and so on"
        )
    sign = -1.0 if upwards else 1.0
    made = []
    for position in positions_um:
        dx, dy, dz = (a - b for a, b in zip(position, field_um, strict=True))
        across, down = (turns[w][0] * dx + turns[w][1] * dy for w in words)
        made.append(_to_nm(across, down, sign * dz))
    return made


def read_positions(path: str | Path) -> list[tuple[float, float, float]]:
    """Stage positions (x, y, z) in um out of a CSV, or of a position list of Micro-Manager.

    A CSV has x, y and z in its first three columns, or under headings that begin with these
    letters; separated by commas, semicolons or tabs. A `.pos` or `.json` is what the Stage
    Position List saves. Raises `UserError` for anything else.
    """
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"positions {path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"positions {path}: is no text; allowed are .csv and .pos") from None
    found = _from_pos(text, path) if text.lstrip().startswith("{") else _from_csv(text, path)
    if not found:
        raise UserError(f"positions {path}: holds none; allowed are lines of x, y, z in um")
    return found


def _to_nm(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Finer digits would only make the text long."""
    return round(x, 3), round(y, 3), round(z, 3)


def _from_csv(text: str, path: str | Path) -> list[tuple[float, float, float]]:
    sep = max(";\t,", key=text.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=sep) if any(map(str.strip, row))]
    columns = [0, 1, 2]
    if rows and _numbers(rows[0], columns) is None:
        heads = [head.strip().lower() for head in rows.pop(0)]
        named = [next((n for n, h in enumerate(heads) if h.startswith(a)), None) for a in "xyz"]
        columns = [n for n in named if n is not None]
        if len(columns) < 3:
            raise UserError(
                f"positions {path}: got the headings {', '.join(heads)}; allowed are x, y and z in "
                "um in the first line, or numbers alone"
            )
    found = []
    for number, row in enumerate(rows, 1):
        values = _numbers(row, columns)
        if values is None:
            raise UserError(
                f"positions {path}: got {sep.join(row)!r} as position {number}; allowed are x, y "
                "and z in um"
            )
        found.append(values)
    return found


def _numbers(row: Sequence[str], columns: Sequence[int]) -> tuple[float, float, float] | None:
    try:
        x, y, z = (float(row[column]) for column in columns)
    except (ValueError, IndexError):
        return None
    return (x, y, z) if all(map(math.isfinite, (x, y, z))) else None


def _from_pos(text: str, path: str | Path) -> list[tuple[float, float, float]]:
    wrong = UserError(
        f"positions {path}: is no position list of Micro-Manager with an XY stage and a focus "
        "drive in each position; save it with Stage Position List > Save As"
    )
    try:
        return [_position(entry) for entry in _entries(json.loads(text))]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise wrong from None


def _entries(data: Any) -> Iterator[Any]:
    """One by one, in the form of Micro-Manager 2 (property maps) or of 1.4."""
    if "map" in data:
        yield from data["map"]["StagePositions"]["array"]
    else:
        yield from data["POSITIONS"]


def _position(entry: Any) -> tuple[float, float, float]:
    xy, z = None, None
    if "DevicePositions" in entry:
        for device in entry["DevicePositions"]["array"]:
            numbers = [float(number) for number in device["Position_um"]["array"]]
            if len(numbers) == 2:
                xy = numbers
            elif device["Device"]["scalar"] == entry["DefaultZStage"]["scalar"] or z is None:
                z = numbers[0]
    else:
        for device in entry["DEVICES"]:
            if int(device["AXES"]) == 2:
                xy = [float(device["X"]), float(device["Y"])]
            elif device["DEVICE"] == entry.get("DEFAULT_Z_STAGE") or z is None:
                z = float(device["X"])
    if xy is None or z is None or not all(map(math.isfinite, (*xy, z))):
        raise ValueError
    return xy[0], xy[1], z


def _edges(length: int, tile_px: int) -> list[int]:
    count = max(1, round(length / tile_px))
    return [round(n * length / count) for n in range(count + 1)]


def _energies(plane: NDArray[Any], rows: list[int], columns: list[int]) -> FloatArray:
    """(rows, columns, 2): mean energy of the Laplacian in each tile, and its standard error."""
    blurred = ndimage.gaussian_filter(plane.astype(np.float32), _BLUR_PX)
    squared = np.square(ndimage.laplace(blurred))
    made = np.empty((len(rows) - 1, len(columns) - 1, 2))
    for r, c in np.ndindex(made.shape[:2]):
        tile = squared[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]
        # The blur and the operator leave one independent number in about a dozen pixels.
        made[r, c] = tile.mean(), tile.std() / math.sqrt(max(1.0, tile.size / 12))
    return made


def _best(energy: FloatArray, error: FloatArray) -> float | None:
    """The sharpest place of a focus curve (Z,), in planes; None where it is flat."""
    top, flattest = int(energy.argmax()), int(energy.argmin())
    floor = float(energy[flattest])
    # What is in focus spreads for reasons of its own; where nothing is, noise alone does.
    least = max(_LEAST_SIGNAL * float(error[flattest]), _LEAST_RISE * floor)
    if energy[top] - floor < least:
        return None
    if not 0 < top < len(energy) - 1:
        return float(top)
    height = np.log(np.maximum(energy[top - 1 : top + 2] - 0.9 * floor, 1e-12))
    bend = height[0] - 2 * height[1] + height[2]
    return top + float(0.5 * (height[0] - height[2]) / bend) if bend < 0 else float(top)


def _without_outliers(points_um: list[tuple[float, float, float]], fit: str) -> tuple[Points, int]:
    """The fit, made once more without what lies far from it."""
    points = Points.of(points_um, fit)
    if len(points_um) < 2 * _FEWEST_LEFT:
        return points, 0
    away = np.abs(points.residuals_um)
    scale = 1.4826 * float(np.median(away))
    keep = away <= max(_OUTLIER_SIGMA * scale, 1e-6)
    if keep.all():
        return points, 0
    left = [point for point, kept in zip(points_um, keep, strict=True) if kept]
    return Points.of(left, fit), len(points_um) - len(left)
