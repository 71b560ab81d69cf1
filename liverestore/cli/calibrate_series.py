"""`liverestore calibrate --dark --flat`: the camera from recorded series; what every way shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from liverestore.camera_calibration import CameraCalibration, calibrate_photon_transfer
from liverestore.cli.calibration_file import Kept
from liverestore.errors import UserError
from liverestore.movie import open_movie
from liverestore.photon_transfer import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import FrameHeader
    from liverestore.rig import RigConfig

__all__ = ["kept_of", "measured", "show", "show_found"]


def measured(
    config: RigConfig,
    dark: Path,
    flats: list[Path],
    binning: int | None,
    console: Console,
    *,
    with_maps: bool,
) -> tuple[Kept, CameraCalibration]:
    """Photon transfer of recorded series, shown on `console`.

    Raises `UserError` for series that `calibrate_photon_transfer` refuses, and for maps of a
    part of the chip.
    """
    header = _header(dark)
    if binning is None:
        binning = None if header is None else header.binning
    if with_maps and header is not None and header.roi is not None and header.roi[:2] != (0, 0):
        raise UserError(
            f"{dark}: was taken with the ROI {header.roi}; maps are of the full chip: clear the "
            "ROI and take all series again, or leave the maps out with --no-maps"
        )
    found = calibrate_photon_transfer(
        _frames(dark),
        [_frames(flat) for flat in flats],
        bit_depth=config.camera.bit_depth,
        binning=binning or 1,
    )
    show_found(console, found)
    darks = f"{dark.name} and {len(flats)} levels of light"
    return kept_of(found, f"from {darks}", with_maps=with_maps), found


def show_found(console: Console, found: CameraCalibration) -> None:
    """Each number with its uncertainty, and the notes."""
    for name, value, unit in (
        ("offset", found.offset_counts, "counts"),
        ("gain", found.gain_e_per_count, "e/count"),
        ("read noise", found.read_noise_e, "e"),
        ("  median", found.read_noise_median_e, "e"),
        ("row noise", found.row_noise_e, "e"),
        ("column noise", found.column_noise_e, "e"),
        ("fixed pattern", found.fixed_pattern_counts, "counts"),
        ("response", found.response_nonuniformity.times(100), "%"),
        ("off the line", found.transfer_residual.times(100), "%"),
        ("full well", found.full_well_e, "e"),
    ):
        show(console, name, value, unit)
    for note in found.notes:
        console.print(Text(f"note: {note}", style="yellow"))


def kept_of(found: CameraCalibration, how: str, *, with_maps: bool) -> Kept:
    """What of `found` goes into the rig; `how` it was measured is said there."""
    numbers = {
        "offset_counts": found.offset_counts,
        "gain_e_per_count": found.gain_e_per_count,
        "read_noise_e": found.read_noise_e,
        "row_noise_e": found.row_noise_e,
    }
    if found.full_well_e is not None:
        numbers["full_well_e"] = found.full_well_e
    return Kept(
        numbers,
        f"{how}; +- is the standard uncertainty",
        found.maps if with_maps else None,
    )


def show(console: Console, name: str, value: Measured | None, unit: str) -> None:
    """One line: the name, the value with its uncertainty where that is known, the unit."""
    if value is None:
        said = "not known"
    elif math.isnan(value.uncertainty):
        said = f"{value.value:.4g} {unit}"
    else:
        said = f"{value} {unit}"
    console.print(Text(f"{name:14} {said}"))


def _frames(path: Path) -> Iterator[NDArray[Any]]:
    """Every frame of a movie, or of the images in a folder, in order of their names."""
    for file in _files(path):
        with open_movie(file) as movie:
            yield from movie


def _header(path: Path) -> FrameHeader | None:
    with open_movie(_files(path)[0]) as movie:
        return movie.header(0)


def _files(path: Path) -> list[Path]:
    path = path.expanduser()
    marks = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    if not path.is_dir() or any((path / mark).exists() for mark in marks):
        return [path]
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in (".tif", ".tiff"))
    if not found:
        raise UserError(f"{path}: got a folder without .tif images; give a movie, or their folder")
    return found
