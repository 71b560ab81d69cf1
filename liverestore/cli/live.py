"""`liverestore live`: acquire, restore and show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from liverestore.errors import UserError
from liverestore.rig import load_rig, with_movie
from liverestore.service.plan import CAMERA_PATIENCE_S

__all__ = ["live"]


def live(
    rig: Annotated[str, typer.Option(help="Rig file, or the name of one that is installed.")],
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine that restores; without it the one chosen last in this rig's view.",
            show_default="denoise-live",
        ),
    ] = None,
    z: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            help="Begin refocused by so many um, + is deeper into the sample; for an engine that "
            "refocuses.",
        ),
    ] = None,
    dpm: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC", help="Begin refocused to a surface, as `restore --dpm` takes it."
        ),
    ] = None,
    zstack: Annotated[
        str | None,
        typer.Option(
            metavar="START:STOP:STEP",
            help="Make a virtual z-stack of each frame as well, in um; with --save the restored "
            "file holds the stacks.",
        ),
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Folder for raw and restored frames.")] = None,
    save_format: Annotated[
        Literal["ome-zarr", "ome-tiff"], typer.Option("--format", help="Of the saved files.")
    ] = "ome-zarr",
    restoring: Annotated[
        Literal["newest", "every"],
        typer.Option(
            "--restore",
            help="newest: what the engine keeps up with; every: after the run, from the raw files, "
            "all other recorded frames as well.",
        ),
    ] = "newest",
    movie: Annotated[Path | None, typer.Option(help="Movie to play, for a replay rig.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Run without a window.")] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    dose_budget: Annotated[
        float | None,
        typer.Option(
            metavar="J",
            help="Most light for a field of view in J/cm2, instead of the rig's; then Live stops "
            "and the shutter closes.",
        ),
    ] = None,
    new_sample: Annotated[
        bool, typer.Option("--new-sample", help="Begin the account of light at zero.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(metavar="S", help="One frame every so many seconds, light off in between."),
    ] = None,
    engine_at: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT",
            help="Restore on another machine, which runs `engine serve`; instead of the rig's.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Key of that machine, or its name once it is authorised.")
    ] = None,
    hold_light: Annotated[
        float | None,
        typer.Option(
            "--hold-light",
            metavar="MS",
            min=0.001,
            help="Expose longer as the sample bleaches, up to MS, so that its structure keeps the "
            "light that it has at the start.",
        ),
    ] = None,
    reference_every: Annotated[
        str | None,
        typer.Option(
            metavar="10min|500frames",
            help="Take a bright reference shot so often, which scores the engine on the sample "
            "itself; charged like all light.",
        ),
    ] = None,
    reference_exposure: Annotated[
        str | None,
        typer.Option(
            metavar="400ms|10x",
            help="Exposure of a reference shot, or how many times that of the frames.",
            show_default="10x",
        ),
    ] = None,
    show_in_micro_manager: Annotated[
        bool,
        typer.Option(
            "--show-in-micro-manager",
            help="Show results in a window of the Micro-Manager that is followed too.",
        ),
    ] = False,
    camera_patience: Annotated[
        float,
        typer.Option(
            "--camera-patience",
            metavar="S",
            min=1,
            help="With --headless: end after so long without a camera, or without a frame of it. "
            "With a window the run waits.",
        ),
    ] = CAMERA_PATIENCE_S,
    report: Annotated[Path | None, typer.Option(help="Write counts and times as JSON.")] = None,
) -> None:
    """Pull frames from a microscope, restore them and show raw and restored side by side.

    With --save every raw frame is kept from the first one on; without it, Record in the window
    writes to the folder liverestore in your documents. Ctrl-C ends the run and closes the file
    properly; the exit code is 0 then, or 130 where --frames were not all captured. With --restore
    every, a Ctrl-C after the run keeps what was restored; `restore --resume` goes on.
    """
    from liverestore.cli.backlog import restore_rest
    from liverestore.cli.engine_at import engine_server
    from liverestore.cli.first_engine import first_engine
    from liverestore.cli.light_options import light_asked
    from liverestore.cli.run import run_plan, summarise
    from liverestore.cli.view_process import view_process
    from liverestore.rig_camera import camera_of
    from liverestore.service.report import check_report, run_report, write_report
    from liverestore.view.available import why_no_view
    from liverestore.writer.names import free_pair

    config = load_rig(rig)
    spending = light_asked(
        config,
        dose_budget,
        interval,
        new_sample=new_sample,
        hold_light_ms=hold_light,
        reference_every=reference_every,
        reference_exposure=reference_exposure,
    )
    if show_in_micro_manager and config.source.kind != "bridge":
        raise UserError(
            f"--show-in-micro-manager: the rig {config.name} follows no Micro-Manager "
            f"(source.kind is {config.source.kind!r}); use the rig 'bridge'"
        )
    if movie is not None:
        config = with_movie(config, movie)
    if restoring == "every" and headless and save is None:
        raise UserError(
            "got --restore every, but nothing is recorded; name a folder for the frames with --save"
        )
    if report is not None:
        check_report(report)
    if not headless and (reason := why_no_view()) is not None:
        raise UserError(f"{reason}; or run with --headless")
    console = Console(stderr=True)
    plan, result = run_plan(
        config,
        first_engine(engine, config.name, window=not headless, console=console),
        view=None if headless else view_process,
        view_outlives_run=not headless,
        frames=frames,
        save=free_pair(save, save_format) if save else None,
        save_format=save_format,
        z=z,
        dpm=dpm,
        zstack=zstack,
        light=spending,
        server=engine_server(config, engine_at, key),
        show_in_micro_manager=show_in_micro_manager,
        camera_patience_s=camera_patience,
        console=console,
    )
    summarise(plan, result, console)
    if result.failure is not None:
        typer.echo(f"liverestore: {result.failure}", err=True)
    afterwards, code = None, 0
    if restoring == "every":
        done, code = restore_rest(result, camera_of(config.camera), console, rig)
        afterwards = {raw: said.restored for raw, said in done.items()}
    if report is not None:
        write_report(report, run_report(plan, result, afterwards))
    cut_short = result.interrupted and frames is not None and result.capture.captured < frames
    raise typer.Exit(result.exit_code or (130 if cut_short else 0) or code)
