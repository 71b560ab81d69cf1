"""`liverestore calibrate`: the camera or the objective, through the core or from files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from liverestore.errors import UserError

__all__ = ["calibrate"]


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
    dark_exposure: Annotated[
        float | None,
        typer.Option(
            "--dark-exposure",
            metavar="MS",
            min=0.0,
            help="For light that cannot be closed: darks so short that they see none.",
        ),
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option(metavar="MS", min=0.001, help="Exposure of the brightest flats, at most."),
    ] = None,
    lamp: Annotated[
        str | None,
        typer.Option(metavar="DEVICE.PROPERTY", help="Change this instead of the exposure."),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(metavar="V,V,...", help="Values of the lamp; else steps over its limits."),
    ] = None,
    save_series: Annotated[
        Path | None,
        typer.Option("--save-series", metavar="DIR", help="Keep darks and flats there."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: light and cap are as they must be.")
    ] = False,
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
        typer.Option(
            metavar="PNG", help="Plot of the photon transfer, or of the beads; else beside RIG2."
        ),
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
    """Measure the camera: through the core, from recorded darks and flats, or from any movie.

    With --rig alone the series are taken with the rig's camera, by plain questions on cap and
    light. With --psf the objective instead: aperture, aberrations and index mismatch from a
    z-stack of small beads.

    Recorded darks and flats have one exposure, ROI (the full chip, for the maps), binning and
    gain mode: at least 16 darks, and two levels of light of at least 4 frames.
    Without --out and --force the numbers are shown and nothing is written.
    """
    from liverestore.cli.calibrate_ways import Request, calibrate_camera
    from liverestore.rig import load_rig

    for_rig = {
        "--dark-exposure": dark_exposure,
        "--longest": longest,
        "--lamp": lamp,
        "--levels": levels,
        "--save-series": save_series,
        "--yes": yes or None,
    }
    if psf is not None:
        from liverestore.cli.calibrate_psf import BeadStack, calibrate_psf

        if dark is not None or flat or movie is not None or binning is not None:
            raise UserError(
                "calibrate: got --psf with --dark, --flat, --movie or --binning; objective and "
                "camera are measured one after the other: leave either out"
            )
        _refuse(for_rig, "without --psf")
        stack = BeadStack(psf, z_step, pixel_size, bead, bead_depth)
        calibrate_psf(load_rig(rig), stack, out, picture, force=force)
        return
    _refuse(
        {
            "--z-step": z_step,
            "--pixel-size": pixel_size,
            "--bead": bead or None,
            "--bead-depth": bead_depth,
        },
        "only with --psf",
    )
    if dark is not None or flat or movie is not None:
        _refuse(for_rig, "without --dark, --flat and --movie")
    request = Request(
        dark=dark,
        flats=tuple(flat or ()),
        movie=movie,
        binning=binning,
        with_maps=maps,
        dark_exposure_ms=dark_exposure,
        longest_ms=longest,
        lamp=lamp,
        levels=None if levels is None else tuple(v.strip() for v in levels.split(",") if v.strip()),
        save_series=save_series,
        yes=yes,
        picture=picture,
        out=out,
        force=force,
    )
    calibrate_camera(load_rig(rig), request, Console(highlight=False, soft_wrap=True))


def _refuse(options: Mapping[str, object], meaning: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise UserError(f"calibrate: got {name}, which has a meaning {meaning}; leave it out")
