"""`liverestore sign`: above or below the focus, from two frames at two stage positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from liverestore.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import FrameHeader
    from liverestore.sign_from_planes import Side, TwoPlaneSign

__all__ = ["sign"]


def sign(
    first: Annotated[Path, typer.Argument(metavar="FRAME1", help="Image, or movie: its frame 0.")],
    second: Annotated[
        Path | None,
        typer.Argument(metavar="FRAME2", help="The other plane; else frame 1 of FRAME1."),
    ] = None,
    rig: Annotated[str, typer.Option(help="Rig with the optics and the camera.")] = "",
    delta: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            help="How much deeper the second frame's plane lies; below 0: shallower. Else from "
            "the stage positions in the files.",
        ),
    ] = None,
) -> None:
    """Say on which side of its focus the light of the first frame lies, and how far.

    Two frames of one field at two stage positions, half a depth of field or more apart. For
    optics that look the same above and below focus, where one frame does not tell.
    """
    from liverestore.rig import load_rig
    from liverestore.rig_camera import camera_of
    from liverestore.rig_optics import optics_of
    from liverestore.sign_from_planes import sign_from_two_planes

    if not rig:
        raise UserError("liverestore sign: needs the optics; name the microscope with --rig")
    config = load_rig(rig)
    optics, camera = optics_of(config), camera_of(config.camera)
    if camera is None:
        raise UserError(
            f"rig {config.origin or config.name}: does not say offset, gain and read noise of its "
            "camera, against which the frames are judged; measure them with liverestore calibrate"
        )
    (one, header), (two, other) = (
        _frame(first, 0),
        _frame(first, 1) if second is None else _frame(second, 0),
    )
    delta_um = _delta_um(header, other) if delta is None else delta
    found = sign_from_two_planes(one, two, delta_um, optics, camera.without_maps())
    _show(Console(highlight=False, soft_wrap=True), found, delta_um)


def _frame(path: Path, index: int) -> tuple[NDArray, FrameHeader | None]:  # type: ignore[type-arg]
    import numpy as np

    from liverestore.movie import open_movie

    with open_movie(path) as movie:
        if len(movie) <= index:
            raise UserError(
                f"{path}: holds one frame; give the second plane as FRAME2, or a movie of both"
            )
        return np.array(movie[index]), movie.header(index)


def _delta_um(first: FrameHeader | None, second: FrameHeader | None) -> float:
    places = [None if header is None else header.z_um for header in (first, second)]
    if places[0] is None or places[1] is None:
        raise UserError(
            "the files do not say where the stage stood; give --delta, how much deeper the second "
            "frame's plane lies, in um"
        )
    return places[1] - places[0]


def _show(console: Console, found: TwoPlaneSign, delta_um: float) -> None:
    console.print(Text(f"second plane: {delta_um:+g} um; looked at up to {found.reach_um:.2g} um"))
    console.print(Text(f"frame: {found.whole.words}"))
    if sum(map(len, found.tiles)) > 1:
        console.print(Text("tiles, um from the plane in focus in the first frame, + deeper:"))
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for row in found.tiles:
            table.add_row(*map(_cell, row))
        console.print(table)
        console.print(Text("?: more than 5 % speak for the other side", style="dim"))


def _cell(side: Side) -> str:
    return f"{side.z_um:+.2g}" if side.sign else "?"
