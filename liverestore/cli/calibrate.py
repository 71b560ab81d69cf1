"""`liverestore calibrate`: the camera, or the objective, out of recorded files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.cli.calibration_file import Kept
    from liverestore.frame import FrameHeader
    from liverestore.photon_transfer import Measured
    from liverestore.rig import RigConfig

__all__ = ["calibrate"]

_FRAMES_OF_MOVIE = 64
_BYTES_OF_MOVIE = 512 * 2**20
_LEAST_QUARTER_PX = 64
_LEAST_RANGE = 2.0
"""Of the light over the field, in standard deviations of a pixel's noise. An even field has no
slope of noise and light to find, and gives any gain."""
_WORST_SCATTER = 0.2
"""Relative uncertainty of the gain beyond which an estimate is refused."""


def calibrate(
    rig: Annotated[str, typer.Option(help="Rig of the camera: a .toml file, or a name.")],
    dark: Annotated[
        Path | None,
        typer.Option(help="Frames without light: a movie, or a folder of images."),
    ] = None,
    flat: Annotated[
        list[Path] | None,
        typer.Option(help="Frames of steady, even light; once for each level of light."),
    ] = None,
    movie: Annotated[
        Path | None,
        typer.Option(help="Instead: any movie of one field of view, for an estimate."),
    ] = None,
    psf: Annotated[
        Path | None,
        typer.Option(metavar="STACK", help="Instead: a z-stack of beads, for the objective."),
    ] = None,
    z_step: Annotated[
        float | None,
        typer.Option(
            "--z-step", metavar="UM", help="Of the stack; below 0 where planes come upwards."
        ),
    ] = None,
    pixel_size: Annotated[
        float | None,
        typer.Option("--pixel-size", metavar="UM", min=0.001, help="Of the stack, in the sample."),
    ] = None,
    bead: Annotated[
        float, typer.Option("--bead", metavar="UM", min=0.0, help="Diameter of the beads.")
    ] = 0.0,
    bead_depth: Annotated[
        float | None,
        typer.Option(
            "--bead-depth",
            metavar="UM",
            min=0.0,
            help="Of the beads below the coverslip, where it is known: 0 for beads on it.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="PNG", help="Measured and fitted beads; else beside RIG2."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="RIG2", help="New rig file, a copy with the numbers.")
    ] = None,
    maps: Annotated[
        bool, typer.Option("--maps/--no-maps", help="Keep offset and response of each pixel.")
    ] = True,
    binning: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="Of the frames; else what the file says, or 1."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace RIG2; without --out, write into RIG itself."),
    ] = False,
) -> None:
    """Measure the camera from recorded darks and flats, or estimate it from any movie.

    With --psf the objective instead: aperture, aberrations and index mismatch from a z-stack
    of small beads.

    Darks and flats have one exposure, ROI (the full chip, for the maps), binning and gain
    mode: at least 16 darks, and two levels of light of at least 4 frames.
    Without --out and --force the numbers are shown and nothing is written.
    """
    from liverestore.cli.calibration_file import keep, target_of
    from liverestore.rig import load_rig

    if psf is not None:
        from liverestore.cli.calibrate_psf import BeadStack, calibrate_psf

        if dark is not None or flat or movie is not None or binning is not None:
            raise UserError(
                "calibrate: got --psf with --dark, --flat, --movie or --binning; objective and "
                "camera are measured one after the other: leave either out"
            )
        stack = BeadStack(psf, z_step, pixel_size, bead, bead_depth)
        calibrate_psf(load_rig(rig), stack, out, picture, force=force)
        return
    for name, value in (
        ("--z-step", z_step),
        ("--pixel-size", pixel_size),
        ("--bead", bead or None),
        ("--bead-depth", bead_depth),
        ("--picture", picture),
    ):
        if value is not None:
            raise UserError(f"calibrate: got {name}, which has a meaning only with --psf")
    series = dark is not None and bool(flat)
    if series == (movie is not None) or (movie is not None and (dark is not None or flat)):
        raise UserError(
            "calibrate: give --dark and two or more --flat (photon transfer), --movie alone (an "
            "estimate), or --psf (the objective)"
        )
    config = load_rig(rig)
    target = target_of(config, out, force=force, with_maps=maps and movie is None)
    console = Console(highlight=False, soft_wrap=True)
    if movie is not None:
        kept = _estimated(config, movie, console)
    else:
        assert dark is not None
        kept = _measured(config, dark, flat or [], binning, console, with_maps=maps)
    if target is None:
        console.print(
            Text(
                "nothing was written: --out NEW.toml makes a copy of the rig with these numbers, "
                f"--force puts them into {config.origin}"
            )
        )
        return
    keep(config, kept, target)
    console.print(Text(f"written: {target.rig}"))
    if kept.maps is not None:
        console.print(Text(f"maps:    {target.maps}"))


def _measured(
    config: RigConfig,
    dark: Path,
    flats: list[Path],
    binning: int | None,
    console: Console,
    *,
    with_maps: bool,
) -> Kept:
    from liverestore.camera_calibration import calibrate_photon_transfer
    from liverestore.cli.calibration_file import Kept

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
        _show(console, name, value, unit)
    for note in found.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    darks = f"{dark.name} and {len(flats)} levels of light"
    return Kept(
        {
            "offset_counts": found.offset_counts,
            "gain_e_per_count": found.gain_e_per_count,
            "read_noise_e": found.read_noise_e,
            "row_noise_e": found.row_noise_e,
        },
        f"from {darks}; +- is the standard uncertainty",
        found.maps if with_maps else None,
    )


def _estimated(config: RigConfig, path: Path, console: Console) -> Kept:
    import numpy as np

    from liverestore.camera_estimate import estimate_from_movie
    from liverestore.cli.calibration_file import Kept
    from liverestore.movie import open_movie
    from liverestore.photon_transfer import Measured

    if config.camera.maps is not None:
        raise UserError(
            f"rig {config.origin}: has a calibration with maps, which an estimate from a movie "
            "would make worse; give --dark and --flat, or take camera.maps out first"
        )
    offset = config.camera.offset_counts
    with open_movie(path) as movie:
        indices = movie.time_series()
        middle = movie[0]
        count = min(_FRAMES_OF_MOVIE, max(2, _BYTES_OF_MOVIE // middle.nbytes), len(indices))
        if count < 2:
            raise UserError(
                f"{path}: holds one frame of one plane; give a movie of two frames or more of one "
                "field of view"
            )
        stack = np.stack([movie[index] for index in indices[:count]])
    model = estimate_from_movie(stack, offset_counts=offset)
    if model.origin == "assumed" or _range_over_noise(stack) < _LEAST_RANGE:
        raise UserError(
            f"{path}: its noise does not rise with its light, so that no gain can be told; give a "
            "movie with dark and bright places, or --dark and --flat"
        )
    height, width = stack.shape[1] // 2, stack.shape[2] // 2
    quarters = []
    if min(height, width) >= _LEAST_QUARTER_PX:
        parts = [stack[:, y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
        quarters = [estimate_from_movie(part, offset_counts=offset) for part in parts]

    def measured(name: str) -> Measured:
        known = [float(getattr(q, name)) for q in quarters if q.origin != "assumed"]
        scatter = float(np.std(known, ddof=1) / 2) if len(known) == 4 else 0.0
        return Measured(float(getattr(model, name)), scatter or math.nan)

    if model.offset_counts < 0:
        raise UserError(
            f"{path}: its noise and light ask for an offset of {model.offset_counts:.3g} counts, "
            "below 0, as in frames that were processed; give raw frames, or --dark and --flat"
        )
    numbers = {"gain_e_per_count": measured("gain_e_per_count")}
    gain = numbers["gain_e_per_count"]
    if gain.uncertainty > _WORST_SCATTER * gain.value:
        raise UserError(
            f"{path}: the quarters of the field disagree, gain {gain} e/count; give a movie in "
            "which less moves and light and dark are all over the field, or --dark and --flat"
        )
    if offset is None:
        numbers["offset_counts"] = measured("offset_counts")
    numbers["read_noise_e"] = measured("read_noise_e")
    if model.row_noise_e is not None:
        numbers["row_noise_e"] = Measured(model.row_noise_e, math.nan)
    for said, name, unit in (
        ("offset", "offset_counts", "counts"),
        ("gain", "gain_e_per_count", "e/count"),
        ("read noise", "read_noise_e", "e"),
        ("row noise", "row_noise_e", "e"),
    ):
        if name in numbers:
            _show(console, said, numbers[name], unit)
    if offset is None:
        note = "offset and read noise are told apart by a guess; a few darks tell them"
    else:
        note = f"taken with the rig's offset of {offset:g} counts"
    console.print(Text(f"note: {note}", style="yellow"))
    console.print(Text("note: +- is the scatter between quarters of the field", style="yellow"))
    return Kept(numbers, f"from the movie {path.name}, an estimate; {note}")


def _range_over_noise(stack: NDArray[Any]) -> float:
    """Of a movie (T, Y, X): spread of its light from place to place over the noise of a pixel."""
    import numpy as np
    from scipy.ndimage import uniform_filter

    places = uniform_filter(stack.mean(axis=0, dtype=np.float64), 3, mode="mirror")
    low, high = np.quantile(places, [0.001, 0.999])
    noise = np.median(np.abs(stack[1].astype(np.float64) - stack[0])) / 0.6745 / np.sqrt(2)
    return float((high - low) / max(noise, 1e-9))


def _show(console: Console, name: str, value: Measured | None, unit: str) -> None:
    if value is None:
        said = "not known"
    elif math.isnan(value.uncertainty):
        said = f"{value.value:.4g} {unit}"
    else:
        said = f"{value} {unit}"
    console.print(Text(f"{name:14} {said}"))


def _frames(path: Path) -> Iterator[NDArray[Any]]:
    """Every frame of a movie, or of the images in a folder, in order of their names."""
    from liverestore.movie import open_movie

    for file in _files(path):
        with open_movie(file) as movie:
            yield from movie


def _header(path: Path) -> FrameHeader | None:
    from liverestore.movie import open_movie

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
