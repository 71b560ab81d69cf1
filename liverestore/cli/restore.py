"""`liverestore restore`: restore a recorded movie, stack or image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import UserError
from liverestore.rig_channels import MOST_CHANNELS

if TYPE_CHECKING:
    from liverestore.camera_model import CameraModel
    from liverestore.cli.backlog import Asked
    from liverestore.cli.restore_spread import Where
    from liverestore.movie import Movie

__all__ = ["restore"]

OutputDtype = Literal["uint8", "uint16", "float32"]


def restore(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Movie, stack or image: .tif or .ome.zarr.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New .tif, .ome.tif or .ome.zarr.")],
    engine: Annotated[
        str | None, typer.Option(help="Engine that restores; see `engines`.  [required]")
    ] = None,
    rig: Annotated[
        str | None,
        typer.Option(
            help="Rig whose camera numbers to use; else they are estimated. Its optics are needed "
            "to refocus."
        ),
    ] = None,
    z: Annotated[
        float | None,
        typer.Option(metavar="UM", help="Refocus by so many um, + is deeper into the sample."),
    ] = None,
    zstack: Annotated[
        str | None,
        typer.Option(metavar="START:STOP:STEP", help="Make a z-stack of each frame, in um."),
    ] = None,
    dpm: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Refocus to a surface: plane:z0,dz/dx,dz/dy, sphere:z0,radius, cylinder:..., "
            "sine:..., points:x,y,z;..., their sum with +, a .npy or .tif of um, or the name of a "
            "surface kept with the rig.",
        ),
    ] = None,
    dtype: Annotated[
        OutputDtype | None, typer.Option(help="Pixels of OUT; else those of IN.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Restore what an OUT that is there lacks, as its other frames were; they say "
            "with which engine, camera numbers and distances.",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Restore in N processes of this machine at once."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Restore on the dask cluster at ADDRESS."),
    ] = None,
) -> None:
    """Restore each frame of IN and write OUT with the same axes and pixel size.

    Counts in, counts out. OUT says in each frame what made it. An engine
    that refocuses takes one of --z, --zstack (which adds the axis Z) and
    --dpm. Ctrl-C leaves the frames restored so far as a readable file;
    --resume goes on with it, or completes what a live run restored in part.
    With --workers or --dask OUT must be an .ome.zarr; it is the same as that
    of one process, and a worker that is lost costs nothing but its time.
    """
    from liverestore.cli.backlog import Asked
    from liverestore.cli.camera_choice import choose_camera
    from liverestore.cli.output_file import Made, check_output, open_output
    from liverestore.cli.refocus_options import refocusing_asked
    from liverestore.cli.restore_job import RestoreJob
    from liverestore.model_spec import find_engine
    from liverestore.movie import open_movie
    from liverestore.runtime.table import open_runtime

    console = Console(highlight=False, soft_wrap=True)
    where = _workers(out, workers, dask)
    if resume and where is not None:
        asked = Asked(engine, z, zstack, dpm, dtype)
        _resume_spread(source, out, rig, asked, where, console, force=force)
        return
    if resume:
        _resume(source, out, rig, Asked(engine, z, zstack, dpm, dtype), console, force=force)
        return
    if engine is None:
        raise UserError("got no engine; name one of `liverestore engines` with --engine")
    spec = find_engine(engine)
    refocusing = refocusing_asked(spec, rig, z, zstack, dpm)
    with open_movie(source) as movie:
        check_output(movie.path, out, force=force)
        if refocusing is not None:
            refocusing.check_frames(spec, (movie.shape[1], movie.shape[2]), movie.pixel_size_um)
        for note in _about(movie, engine):
            console.print(Text(f"note: {note}", style="yellow"))
        camera, camera_text = choose_camera(movie, rig, spec)
        console.print(Text(f"camera model: {camera_text}"))
        if refocusing is not None:
            words = refocusing.words()
            console.print(Text(f"refocusing to {refocusing.target}; {words['optics']}"))
        if where is not None:
            from liverestore.cli.restore_spread import How, restore_spread

            how = How(spec, camera, refocusing, dtype or movie.dtype.name)
            restore_spread(movie, out, how, where, console, force=force)
            return
        runtime = open_runtime(spec)
        try:
            made_as = dtype or movie.dtype.name
            stack, about = None, Made()
            if refocusing is not None:
                stack = refocusing.stack
                about = Made(refocusing.words(), refocusing.optics.pixel_size_um)
            sink, order = open_output(movie, out, force=force, planes=stack, about=about)
            job = RestoreJob(
                movie, runtime, camera, sink, made_as, out.expanduser(), refocusing=refocusing
            )
            job.run([int(index) for index in order], console)
        finally:
            runtime.close()


def _workers(out: Path, workers: int | None, address: str | None) -> Where | None:
    """Who restores; None: this process. Raises `UserError`."""
    if workers is None and address is None:
        return None
    from liverestore.cli.spread_cluster import check_cluster

    check_cluster(workers, address)
    from liverestore.cli.restore_spread import Where, check_kind

    check_kind(out)
    return Where(workers, address)


def _resume_spread(
    source: Path,
    out: Path,
    rig: str | None,
    asked: Asked,
    where: Where,
    console: Console,
    *,
    force: bool,
) -> None:
    from liverestore.cli.output_file import check_apart
    from liverestore.cli.restore_spread import restore_spread, resumed
    from liverestore.movie import open_movie

    measured = _measured(rig, force=force)
    check_apart(source, out)
    with open_movie(source) as movie:
        if movie.note is not None:
            console.print(Text(f"note: {movie.note}", style="yellow"))
        how = resumed(movie, out, measured)
        if how is None:
            console.print("nothing to do: every frame has its result")
            return
        asked.check_one(how.made, how.planes_um, how.dtype, out)
        restore_spread(movie, out, how, where, console)


def _measured(rig: str | None, *, force: bool) -> CameraModel | None:
    """The rig's camera, to go on with OUT. Raises `UserError` where OUT is to be replaced."""
    from liverestore.rig import load_rig
    from liverestore.rig_camera import camera_of

    if force:
        raise UserError(
            "got --force and --resume; give --resume to go on with OUT, or --force to replace it"
        )
    return None if rig is None else camera_of(load_rig(rig).camera)


def _resume(
    source: Path, out: Path, rig: str | None, asked: Asked, console: Console, *, force: bool
) -> None:
    from liverestore.cli.backlog import resume
    from liverestore.cli.interrupt import INTERRUPTED

    measured = _measured(rig, force=force)
    said = resume(source, out, asked, measured, console)
    if not said.asked and not said.interrupted:
        console.print("nothing to do: every frame has its result")
    if said.interrupted:
        raise typer.Exit(INTERRUPTED)


def _about(movie: Movie, engine: str) -> list[str]:
    notes = [] if movie.note is None else [movie.note]
    record = movie.record(0)
    if record is not None and record.provenance is not None:
        notes.append(f"{movie.path.name} was restored before, by {record.provenance.engine}")
    headers = [movie.header(index) for index in range(min(len(movie), MOST_CHANNELS))]
    names = list(dict.fromkeys(h.channel for h in headers if h is not None and h.channel))
    if len(names) > 1:
        notes.append(
            f"{movie.path.name} has the channels {', '.join(names)} in turn: {engine} restores all "
            "of them; live, each may have its own engine"
        )
    return notes
