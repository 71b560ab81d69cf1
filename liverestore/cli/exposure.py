"""`liverestore exposure`: the least exposure whose restored pictures are good enough."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

__all__ = ["exposure"]


def exposure(
    rig: Annotated[str, typer.Option(help="Rig file, or the name of one that is installed.")],
    engine: Annotated[str, typer.Option(help="Engine whose pictures are judged.")] = "denoise-live",
    quality: Annotated[
        str,
        typer.Option(
            metavar="raw|N%|NdB",
            help="What restored pictures must keep: 'raw', as good as the raw ones are now; 80%, "
            "an error of at most 1/0.8 of what restored pictures have now; 36dB, that affine PSNR.",
        ),
    ] = "raw",
    present: Annotated[
        float | None,
        typer.Option(
            "--from", metavar="MS", min=0.001, help="Longest exposure, else the rig's own."
        ),
    ] = None,
    shortest: Annotated[
        float | None,
        typer.Option(metavar="MS", min=0.001, help="Shortest exposure; else a 40th of the first."),
    ] = None,
    channel: Annotated[
        str | None, typer.Option(help="Of a rig with several; its own exposure is looked for.")
    ] = None,
    max_dose: Annotated[
        float | None,
        typer.Option("--max-dose", metavar="J", help="Most light for the series, in J/cm2."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write all numbers as JSON.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the curve as PNG.")] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the sample: the light goes to its account, and numbers (JSON) and "
            "curve (PNG) are kept there.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--set", help="Write the exposure into the rig file, when confirmed.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="RIG2", help="With --set: a copy of the rig instead of the rig."),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: take the light, and write if --set.")
    ] = False,
) -> None:
    """Take a short series at falling exposures, restore it, and say which one is enough.

    Each frame lies between references at the first exposure and is compared with them; the
    light that this costs is said before and counted afterwards. The exposure is as before at
    the end, whatever happens, and the shutter is closed.
    """
    from liverestore.cli.exposure_job import ExposureJob, Request
    from liverestore.exposure_quality import parse_quality
    from liverestore.model_spec import find_engine
    from liverestore.rig import load_rig

    request = Request(
        quality=parse_quality(quality),
        present_ms=present,
        shortest_ms=shortest,
        channel=channel,
        max_dose_j_cm2=max_dose,
        report=report,
        plot=plot,
        save=None if save is None else save.expanduser(),
        write=write,
        out=out,
        yes=yes,
    )
    console = Console(highlight=False, soft_wrap=True)
    ExposureJob(load_rig(rig), find_engine(engine), request, console).run()
