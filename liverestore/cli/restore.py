"""`liverestore restore`: restore a recorded movie, stack or image."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from liverestore.errors import LiverestoreError, UserError

if TYPE_CHECKING:
    from liverestore.camera_model import CameraModel
    from liverestore.frame import Restored
    from liverestore.movie import Movie
    from liverestore.runtime.base import InferenceRuntime
    from liverestore.writer.ome import OmeSink

__all__ = ["restore"]

OutputDtype = Literal["uint8", "uint16", "float32"]
_INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended (128 + SIGINT)."""


def restore(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="Movie, stack or image: .tif or .ome.zarr.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New .tif, .ome.tif or .ome.zarr.")],
    engine: Annotated[str, typer.Option(help="Engine that restores; see `engines`.")],
    rig: Annotated[
        str | None, typer.Option(help="Rig whose camera numbers to use; else they are estimated.")
    ] = None,
    z: Annotated[float | None, typer.Option(help="Refocus by so many um.")] = None,
    zstack: Annotated[str | None, typer.Option(help="Refocus to START:STOP:STEP, in um.")] = None,
    dpm: Annotated[str | None, typer.Option(help="Refocus to a surface.")] = None,
    dtype: Annotated[
        OutputDtype | None, typer.Option(help="Pixels of OUT; else those of IN.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    """Restore each frame of IN and write OUT with the same axes and pixel size.

    Counts in, counts out. OUT says in each frame what made it. Ctrl-C leaves
    the frames restored so far as a readable file.
    """
    from liverestore.cli.camera_choice import choose_camera
    from liverestore.cli.output_file import check_output, open_output
    from liverestore.model_spec import find_engine
    from liverestore.movie import open_movie
    from liverestore.runtime.table import open_runtime

    spec = find_engine(engine)
    _refuse_refocusing(spec.name, {"--z": z, "--zstack": zstack, "--dpm": dpm})
    console = Console(highlight=False, soft_wrap=True)
    with open_movie(source) as movie:
        check_output(movie.path, out, force=force)
        for note in _about(movie):
            console.print(Text(f"note: {note}", style="yellow"))
        camera, camera_text = choose_camera(movie, rig, spec)
        console.print(Text(f"camera model: {camera_text}"))
        runtime = open_runtime(spec)
        try:
            made_as = dtype or movie.dtype.name
            sink, order = open_output(movie, out, force=force)
            job = _Job(movie, runtime, camera, sink, made_as, out.expanduser())
            job.run([int(index) for index in order], console)
        finally:
            runtime.close()


def _refuse_refocusing(engine: str, asked: dict[str, Any]) -> None:
    """Until an engine refocuses, say so instead of ignoring the wish."""
    options = [name for name, value in asked.items() if value is not None]
    if options:
        raise UserError(
            f"got {' and '.join(options)}, but the engine {engine!r} does not refocus; allowed "
            "with engines whose task is refocusing (see `liverestore engines`); leave it out"
        )


def _about(movie: Movie) -> list[str]:
    notes = [] if movie.note is None else [movie.note]
    record = movie.record(0)
    if record is not None and record.provenance is not None:
        notes.append(f"{movie.path.name} was restored before, by {record.provenance.engine}")
    return notes


class _Job:
    """All frames of one movie, one after the other."""

    def __init__(
        self,
        movie: Movie,
        runtime: InferenceRuntime,
        camera: CameraModel,
        sink: OmeSink,
        dtype: str,
        out: Path,
    ) -> None:
        self._movie = movie
        self._runtime = runtime
        self._camera = camera
        self._sink = sink
        self._dtype = dtype
        self._out = out
        self._clipped = 0
        self._warnings: dict[str, int] = {}

    def run(self, order: list[int], console: Console) -> None:
        """Restore the frames at `order` and close the file, whatever happens."""
        from liverestore.cli.output_file import replace_old

        started = time.monotonic()
        try:
            with _Interrupt() as interrupt:
                for index in _with_progress(order):
                    self._sink.append(self._restored(index))
                    if interrupt.asked:
                        break
        except LiverestoreError as error:
            report = self._sink.close()
            kept = f"; frames restored before: {report.frames}, in {report.path}"
            raise type(error)(f"{error}{kept if report.frames else ''}") from error
        finally:
            report = self._sink.close()
        self._say_notes(console)
        if report.frames < len(order):
            console.print(
                f"stopped: {report.frames} of {len(order)} frames are restored, in {report.path}"
            )
            raise typer.Exit(_INTERRUPTED)
        path = replace_old(report.path, self._out)
        seconds = max(time.monotonic() - started, 1e-9)
        frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
        console.print(
            f"{frames} restored by {self._runtime.spec.name} ({self._runtime.description}) in "
            f"{seconds:.1f} s, {report.frames / seconds:.1f} fps: {path}"
        )

    def _say_notes(self, console: Console) -> None:
        notes = [f"{text} ({count} frames)" for text, count in self._warnings.items()]
        if self._clipped:
            notes.append(
                f"{self._clipped} values did not fit into {self._dtype} and were clipped; "
                "--dtype float32 keeps them"
            )
        for note in notes:
            console.print(Text(f"note: {note}", style="yellow"))

    def _restored(self, index: int) -> Restored:
        from liverestore.cli.output_file import as_dtype, frame_of
        from liverestore.restore import restore as restore_frame

        frame = frame_of(self._movie, index, self._dtype)
        reason = self._runtime.spec.mismatch(frame.header)
        if reason is not None:
            raise UserError(f"{self._movie.path}, frame {index}: {reason}")
        restored = restore_frame(
            frame,
            self._runtime.spec,
            self._runtime.infer,
            self._camera,
            runtime=self._runtime.description,
        )
        for text in restored.provenance.warnings:
            self._warnings[text] = self._warnings.get(text, 0) + 1
        restored, clipped = as_dtype(restored, self._dtype)
        self._clipped += clipped
        return restored


class _Interrupt:
    """Ctrl-C ends the work after the frame at hand, so that no frame is half written.

    A second Ctrl-C ends it at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Interrupt:
        self._in_main = threading.current_thread() is threading.main_thread()
        if self._in_main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _with_progress(order: list[int]) -> Iterable[int]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    with Progress(
        TextColumn("restoring"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield from progress.track(order)
