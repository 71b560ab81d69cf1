"""`liverestore demo`: the whole system on a simulated specimen, with or without a screen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from liverestore.rig import load_rig

__all__ = ["demo"]


def demo(
    engine: Annotated[
        str | None,
        typer.Option(
            help="Engine that restores; without it the one chosen last in this rig's view.",
            show_default="denoise-live",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for what a run without a screen leaves behind.")
    ] = Path("liverestore-demo"),
    seconds: Annotated[
        float, typer.Option(min=1.0, help="Length of a run without a screen.")
    ] = 10.0,
    headless: Annotated[bool, typer.Option("--headless", help="Do not open a window.")] = False,
) -> None:
    """Show a living, simulated specimen through a real Micro-Manager core, restored live.

    Needs no microscope and no GPU. Where no window can open it says why, runs for some
    seconds and leaves the raw movie, a report and a picture of the view.
    """
    from liverestore.cli.first_engine import first_engine
    from liverestore.cli.run import run_plan, summarise
    from liverestore.cli.view_process import offscreen_view_process, view_process
    from liverestore.service.report import run_report, write_report
    from liverestore.view.available import why_no_offscreen, why_no_view
    from liverestore.writer.names import free_pair

    config = load_rig("demo")
    console = Console(stderr=True)
    reason = "asked to open no window" if headless else why_no_view()
    first = first_engine(engine, config.name, window=reason is None, console=console)
    if reason is None:
        console.print("Close the window or press Ctrl-C to end the demo.", highlight=False)
        plan, result = run_plan(
            config, first, view=view_process, view_outlives_run=True, console=console
        )
        summarise(plan, result, console)
    else:
        console.print(f"No live window: {reason}", highlight=False, soft_wrap=True, markup=False)
        console.print(
            f"Running without a screen for {seconds:g} s ...", highlight=False, soft_wrap=True
        )
        save = free_pair(out, "ome-zarr")
        png = save[0].with_name(
            save[0].name.replace("raw", "view").removesuffix(".ome.zarr") + ".png"
        )
        no_paint = why_no_offscreen()
        plan, result = run_plan(
            config,
            first,
            view=None if no_paint else partial(offscreen_view_process, png=png),
            save=save,
            seconds=seconds,
            console=console,
        )
        summarise(plan, result, console)
        report = png.with_name(png.stem.replace("view", "report") + ".json")
        write_report(report, run_report(plan, result))
        console.print(f"report: {report}", highlight=False, soft_wrap=True)
        if png.exists():
            console.print(f"picture of the view: {png}", highlight=False, soft_wrap=True)
        else:
            console.print(f"no picture of the view: {no_paint}", highlight=False, soft_wrap=True)
    if result.failure is not None:
        typer.echo(f"liverestore: {result.failure}", err=True)
    raise typer.Exit(result.exit_code)
