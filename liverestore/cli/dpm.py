"""`liverestore dpm`: make a surface to refocus to, from an autofocus or a z-stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.focus_map import FocusMap

__all__ = ["dpm"]

_LISTS = (".csv", ".txt", ".pos", ".json")


def dpm(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A z-stack (.tif, .ome.zarr), or places in focus: x, y, z in um as .csv, "
            "or Micro-Manager's .pos.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="New map of um, .tif or .npy, for --dpm; without it the text is shown."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Keep it under this name with the --rig, for --dpm NAME.")
    ] = None,
    rig: Annotated[str | None, typer.Option(help="Rig, for its pixel size and for --name.")] = None,
    fit: Annotated[
        str,
        typer.Option(
            help="plane, quadratic or smooth.", show_default="smooth; a plane up to 5 places"
        ),
    ] = "",
    tile: Annotated[
        int, typer.Option(min=16, help="Stack: edge of the tiles that are focused one by one, px.")
    ] = 64,
    z_step: Annotated[
        float | None,
        typer.Option(metavar="UM", help="Stack: step in um, below 0 where planes come upwards."),
    ] = None,
    focus_plane: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stack: the plane, from 0, where the stage is while acquiring.",
            show_default="the middle one",
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,Z", help="Positions: where the stage is while acquiring, in um; needed."
        ),
    ] = None,
    axes: Annotated[
        str, typer.Option(help="Positions: the stage's axes right and down in the image.")
    ] = "x,y",
    upwards: Annotated[
        bool, typer.Option("--upwards", help="Positions: the focus drive counts upwards.")
    ] = False,
    frame: Annotated[
        str | None,
        typer.Option(metavar="WIDTHxHEIGHT", help="Positions: size of the map in px, with --out."),
    ] = None,
    pixel_size: Annotated[
        float | None, typer.Option(metavar="UM", help="Edge of a pixel; else the file's or rig's.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    """Make the surface on which a sample is in focus, for `--dpm`.

    From a z-stack the sharpest plane of each tile, from an autofocus its positions, and a smooth
    surface through them. z is positive deeper into the sample.
    """
    from liverestore.dpm import Dpm
    from liverestore.dpm_files import write_map
    from liverestore.dpm_points import FITS
    from liverestore.rig import load_rig
    from liverestore.rig_surfaces import RigSurfaces, name_fault

    console = Console(highlight=False, soft_wrap=True)
    if fit not in ("", *FITS):
        raise UserError(f"--fit: got {fit!r}; allowed are {', '.join(FITS)}")
    if name is not None and (fault := name_fault(name)):
        raise UserError(f"--name: {fault}")
    if name is not None and rig is None:
        raise UserError("--name: keeps the surface with a rig; name it with --rig")
    if out is not None:
        _check_out(out, force=force)
    config = load_rig(rig) if rig is not None else None
    if pixel_size is None and config is not None:
        pixel_size = config.optics.pixel_size_um
    if source.suffix.lower() in _LISTS:
        _refuse_of_stacks(z_step, focus_plane)
        found = _of_positions(source, field, axes, fit, upwards=upwards)
        shape = _shape(frame) if frame is not None else None
        if out is not None and (shape is None or pixel_size is None):
            raise UserError(
                "--out: a map has the size of the frames; give --frame WIDTHxHEIGHT in px and "
                "--pixel-size UM or a --rig that states it; or leave --out away for the text"
            )
    else:
        _refuse_of_positions(field, frame, upwards=upwards)
        found, shape, pixel_size = _of_stack(source, fit, tile, z_step, focus_plane, pixel_size)
    console.print(Text(found.summary))
    surface = Dpm((found.points,))
    if out is not None and shape is not None and pixel_size is not None:
        values = surface.surface_um(shape, pixel_size)
        write_map(out, values, pixel_size_um=pixel_size, about=found.summary)
        console.print(
            Text(
                f"map: {out} ({shape[1]} x {shape[0]} px, {values.min():.4g} to "
                f"{values.max():.4g} um); use it with --dpm {out}"
            )
        )
    if config is not None and name is not None:
        RigSurfaces.load(config).kept(name, str(surface))
        console.print(Text(f"kept with the rig {config.name!r}; use it with --dpm {name}"))
    if out is None and name is None:
        console.print(Text(f"--dpm '{surface}'"))


def _of_positions(
    source: Path, field: str | None, axes: str, fit: str, *, upwards: bool
) -> FocusMap:
    from liverestore.focus_map import fitted, read_positions, relative

    if field is None:
        raise UserError(
            "--field: is missing; positions are of the stage: say where it is while acquiring, as "
            "X,Y,Z in um, with the focus at which frames are taken"
        )
    try:
        x, y, z = (float(number) for number in field.split(","))
    except ValueError:
        raise UserError(f"--field: got {field!r}; allowed is X,Y,Z in um") from None
    seen = relative(read_positions(source), (x, y, z), axes=axes, upwards=upwards)
    return fitted(seen, fit)


def _of_stack(
    source: Path,
    fit: str,
    tile: int,
    z_step: float | None,
    focus_plane: int | None,
    pixel_size: float | None,
) -> tuple[FocusMap, tuple[int, int], float]:
    from liverestore.focus_map import focus_of_stack

    stack, step_um, size_um = _read(source, z_step, pixel_size)
    zero = (len(stack) - 1) / 2 if focus_plane is None else float(focus_plane)
    if zero > len(stack) - 1:
        raise UserError(
            f"--focus-plane: got {focus_plane}; allowed are 0 to {len(stack) - 1}, the planes of "
            f"{source}"
        )
    z_um = [(n - zero) * step_um for n in range(len(stack))]
    found = focus_of_stack(stack, z_um, size_um, tile_px=tile, fit=fit)
    return found, (stack.shape[1], stack.shape[2]), size_um


def _read(
    source: Path, z_step: float | None, pixel_size: float | None
) -> tuple[NDArray[Any], float, float]:
    """Planes (Z, Y, X), z step and pixel size in um. Raises `UserError` for what is not stated."""
    import numpy as np

    from liverestore.movie import open_movie

    with open_movie(source) as movie:
        sizes = zip(movie.axes[:-2], movie.leading_shape, strict=True)
        longer = [axis for axis, size in sizes if size > 1]
        if not (longer == ["Z"] or (z_step is not None and longer in (["Q"], ["I"], ["T"]))):
            raise UserError(
                f"{source}: got the axes {movie.axes}; allowed is one z-stack, ZYX (or, with "
                "--z-step, any three axes): save the planes of one time and one channel"
            )
        step_um = z_step if z_step is not None else movie.z_step_um
        if not step_um:
            raise UserError(f"{source}: states no z step; give it with --z-step UM, + is deeper")
        size_um = pixel_size if movie.pixel_size_um is None else movie.pixel_size_um
        if size_um is None:
            raise UserError(
                f"{source}: states no pixel size; give it with --pixel-size UM or name a --rig"
            )
        return np.stack(list(movie)), step_um, size_um


def _shape(text: str) -> tuple[int, int]:
    try:
        width, height = (int(number) for number in text.lower().split("x"))
    except ValueError:
        width = height = 0
    if min(width, height) < 1:
        raise UserError(f"--frame: got {text!r}; allowed is WIDTHxHEIGHT in px, such as 2048x2048")
    return height, width


def _check_out(out: Path, *, force: bool) -> None:
    from liverestore.dpm_files import MAP_SUFFIXES

    if out.suffix.lower() not in MAP_SUFFIXES:
        raise UserError(f"--out {out}: got the ending {out.suffix!r}; allowed are .tif and .npy")
    if not out.expanduser().resolve().parent.is_dir():
        raise UserError(f"--out {out}: its folder is missing; make it, or give another name")
    if out.exists() and not force:
        raise UserError(f"{out}: exists already; give another --out, or replace it with --force")


def _refuse_of_stacks(z_step: float | None, focus_plane: int | None) -> None:
    for option, value in (("--z-step", z_step), ("--focus-plane", focus_plane)):
        if value is not None:
            raise UserError(f"{option}: is for z-stacks, and SOURCE is a list; leave it out")


def _refuse_of_positions(field: str | None, frame: str | None, *, upwards: bool) -> None:
    for option, value in (("--field", field), ("--frame", frame), ("--upwards", upwards or None)):
        if value is not None:
            raise UserError(
                f"{option}: is for lists of positions ({', '.join(_LISTS)}), and SOURCE is none; "
                "leave it out"
            )
