"""`liverestore acquire`: time points, channels, positions, and virtual planes for z."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

__all__ = ["acquire"]


def acquire(
    rig: Annotated[str, typer.Option(help="Rig file, or the name of one that is installed.")],
    engine: Annotated[str, typer.Option(help="Engine that restores; see `engines`.")],
    save: Annotated[Path, typer.Option(help="Folder for the files.")],
    zstack: Annotated[
        str | None,
        typer.Option(metavar="START:STOP:STEP", help="Virtual planes of each frame, in um."),
    ] = None,
    z: Annotated[
        float | None, typer.Option(metavar="UM", help="Refocus each frame by so many um instead.")
    ] = None,
    dpm: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Refocus to a surface, as `restore --dpm` takes it."),
    ] = None,
    time_points: Annotated[
        int | None, typer.Option(help="Number of time points.", show_default="1")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="From one time point to the next; 0: at once.", show_default="0"
        ),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Channels of the rig, in this order; else all of them."),
    ] = None,
    positions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y|FILE",
            help="Positions of the XY stage in um, with ; between, or a file of lines X,Y[,NAME] "
            "or a .pos of Micro-Manager. May be given several times.",
        ),
    ] = None,
    sequence: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All of this as a useq MDASequence, .yaml or .json."),
    ] = None,
    save_format: Annotated[
        Literal["ome-zarr", "ome-tiff"], typer.Option("--format", help="Of the files.")
    ] = "ome-zarr",
    dose_budget: Annotated[
        float | None,
        typer.Option(
            metavar="J",
            help="Most light for a field of view in J/cm2, instead of the rig's; it is looked at "
            "before the first exposure and before each.",
        ),
    ] = None,
    new_sample: Annotated[
        bool, typer.Option("--new-sample", help="Begin the account of light at zero.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the acquisition in the folder that was cut off."),
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Write counts and times as JSON.")] = None,
) -> None:
    """Take one frame of each channel, position and time point, and make
    its planes virtually.

    The focus drive never moves: its position is read before and after each
    exposure. Every raw frame is on the disk before it is restored, and every
    frame is restored: where the engine is slower than the interval, the
    camera waits with the light off. Ctrl-C ends after the present position
    with all files closed; --resume goes on.
    """
    from liverestore.cli.acquire_job import Asked, run_acquisition

    asked = Asked(
        rig=rig,
        engine=engine,
        folder=save,
        save_format=save_format,
        z=z,
        zstack=zstack,
        dpm=dpm,
        time_points=time_points,
        interval_s=interval,
        channels=channels,
        positions=tuple(positions or ()),
        sequence=sequence,
        resume=resume,
        report=report,
        dose_budget_j_cm2=dose_budget,
        new_sample=new_sample,
    )
    raise typer.Exit(run_acquisition(asked, Console(highlight=False, soft_wrap=True)))
