"""`liverestore train beside-live`: what the live view starts to learn from the sample."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liverestore.cli.train_progress import need_training_packages
from liverestore.errors import UserError

if TYPE_CHECKING:
    from liverestore.camera_model import CameraModel

__all__ = ["beside_live"]

_SAY_EVERY = 0.005
"""Of the whole: a line of progress."""


def beside_live(
    frames: Annotated[Path, typer.Argument(help="Movie of one field of view, 12 frames or more.")],
    name: Annotated[str, typer.Option(help="Name of the engine, which is installed for you.")],
    against: Annotated[
        str | None, typer.Option(metavar="ENGINE", help="Engine in use, scored beside it.")
    ] = None,
    rig: Annotated[str | None, typer.Option(help="Rig whose camera took the frames.")] = None,
    camera: Annotated[
        str | None,
        typer.Option(metavar="OFFSET,GAIN,READ_NOISE", help="In counts, e/count and e."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1.0, help="Of learning, in processor time: longer while live takes it."),
    ] = 120.0,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor cores; else a quarter of them.")
    ] = None,
    child: Annotated[
        bool,
        typer.Option(
            "--child", help="For programs: JSON lines out, and end when the input is closed."
        ),
    ] = False,
) -> None:
    """Learn from the last frames while a live run goes on, and score both engines.

    At the lowest priority and on the processor alone, so that the live run is not slowed. The
    last quarter of the frames is not learned from: on it both engines are scored, each restored
    frame against the raw frame after it.
    """
    need_training_packages()
    if child:
        _end_with_parent()
    from liverestore.training.low_priority import give_way

    # Before torch is imported: its threads then begin with it.
    priority = give_way()
    cores = threads or max(1, (os.cpu_count() or 1) // 4)
    _limit_threads(cores)
    from liverestore.cli.train_progress import rig_camera
    from liverestore.paths import file_name, user_cache, user_data
    from liverestore.rig import load_rig
    from liverestore.training.beside_live import BesideLiveJob, train_beside_live

    tell = _json_line if child else _words
    tell(say=f"{priority}, {cores} thread{'s' * (cores > 1)}")
    last = 0.0

    def on_iteration(iteration: int, loss: float, progress: float) -> None:
        nonlocal last
        if progress - last >= _SAY_EVERY:
            last = progress
            tell(progress=round(progress, 4), iteration=iteration, loss=loss)

    out = user_data() / "engines" / file_name(name)
    job = BesideLiveJob(
        frames=frames,
        out=out,
        scratch=user_cache() / "training" / f"{out.name}-{os.getpid()}",
        against=against,
        camera=_numbers(camera) if camera else rig_camera(load_rig(rig) if rig else None),
        seconds=seconds,
        threads=cores,
    )
    found = train_beside_live(job, on_iteration, lambda line: tell(say=line))
    tell(engine=out.name, verdict=found.verdict, **dataclasses.asdict(found))


def _numbers(camera: str) -> CameraModel:
    from liverestore.camera_model import CameraModel

    try:
        offset, gain, read_noise = (float(number) for number in camera.split(","))
    except ValueError:
        raise UserError(
            f"--camera: got {camera!r}, allowed are three numbers: offset (counts), gain (e/count) "
            "and read noise (e), as in 100,0.46,1.6"
        ) from None
    return CameraModel(offset, gain, read_noise)


def _limit_threads(cores: int) -> None:
    """For libraries that read it when they are loaded."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(cores)


def _end_with_parent() -> None:
    """End when whoever started this is gone, however it went: its end of the pipe closes."""

    def watch() -> None:
        # Not through sys.stdin, whose lock a thread that waits would hold when all ends.
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _json_line(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _words(**what: object) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if "say" in what:
        console.print(str(what["say"]), markup=False)
    elif "progress" in what and Console(stderr=True).is_terminal:
        # On one line: with the lowest priority it can take long, and must not look stuck.
        sys.stderr.write(f"learning: {100 * float(str(what['progress'])):.0f} %\r")
        sys.stderr.flush()
    elif "engine" in what:
        console.print(f"engine {what['engine']}: {what['verdict']}", markup=False)
        for key in ("new", "old", "raw"):
            if what[key] is not None:
                console.print(f"  {key:4} {what[key]:.4f}", markup=False)
