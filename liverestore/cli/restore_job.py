"""All frames of a movie through one engine into one file, in order or up to Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import typer
from rich.console import Console
from rich.text import Text

from liverestore.camera_model import CameraModel
from liverestore.cli.interrupt import INTERRUPTED, Interrupt
from liverestore.cli.output_file import as_dtype, frame_of, replace_old
from liverestore.cli.rate_text import rate_text
from liverestore.cli.refocus_options import Refocusing
from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Restored
from liverestore.movie import Movie
from liverestore.restore import restore, restore_planes
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.writer.ome import OmeSink

__all__ = ["Notes", "RestoreJob", "restored_of", "with_progress"]

T = TypeVar("T")


def restored_of(
    movie: Movie,
    index: int,
    runtime: InferenceRuntime,
    camera: CameraModel,
    dtype: str,
    refocusing: Refocusing | None,
) -> Iterator[Restored]:
    """What is made of frame `index`: one picture, or one for each plane of a stack.

    Computed in `dtype` where that is the wider one. Raises as `restore` does.
    """
    frame = frame_of(movie, index, dtype)
    spec, infer = runtime.spec, runtime.infer
    reason = spec.mismatch(frame.header)
    if reason is not None:
        raise UserError(f"{movie.path}, frame {index}: {reason}")
    name, whole = runtime.description, whole_of(runtime)
    if refocusing is None:
        yield restore(frame, spec, infer, camera, whole=whole, runtime=name)
    elif refocusing.stack is None:
        yield restore(
            frame,
            spec,
            infer,
            camera,
            refocusing.dpm,
            optics=refocusing.optics,
            whole=whole,
            runtime=name,
        )
    else:
        yield from restore_planes(
            frame,
            spec,
            infer,
            camera,
            refocusing.stack.planes_um,
            optics=refocusing.optics,
            whole=whole,
            runtime=name,
        )


class Notes:
    """What is to be said of many frames once, at the end."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._clipped = 0
        self._warnings: dict[str, int] = {}

    def see(self, warnings: Iterable[str], clipped: int) -> None:
        """Take note of one picture: its warnings, and its values that did not fit."""
        for text in warnings:
            self._warnings[text] = self._warnings.get(text, 0) + 1
        self._clipped += clipped

    def say(self, console: Console, what: str) -> None:
        """Print them, counted in `what` ("frames" or "planes")."""
        notes = [
            f"{text} ({count} {what if count > 1 else what[:-1]})"
            for text, count in self._warnings.items()
        ]
        if self._clipped:
            notes.append(
                f"{self._clipped} values did not fit into {self._dtype} and were clipped; "
                "--dtype float32 keeps them"
            )
        for note in notes:
            console.print(Text(f"note: {note}", style="yellow"))


class RestoreJob:
    """All frames of one movie, one after the other."""

    def __init__(
        self,
        movie: Movie,
        runtime: InferenceRuntime,
        camera: CameraModel,
        sink: OmeSink,
        dtype: str,
        out: Path,
        *,
        refocusing: Refocusing | None = None,
    ) -> None:
        self._movie = movie
        self._runtime = runtime
        self._camera = camera
        self._sink = sink
        self._dtype = dtype
        self._out = out
        self._refocusing = refocusing
        self._notes = Notes(dtype)

    def run(self, order: list[int], console: Console) -> None:
        """Restore the frames at `order` and close the file, whatever happens."""
        started = time.monotonic()
        stack = None if self._refocusing is None else self._refocusing.stack
        planes = len(order) * (1 if stack is None else stack.count)
        try:
            with Interrupt() as interrupt:
                for restored, frame_is_done in with_progress(self._all(order), planes):
                    self._sink.append(self._fitting(restored))
                    if frame_is_done and interrupt.asked:
                        break
        except LiverestoreError as error:
            report = self._sink.close()
            kept = f"; frames restored before: {report.frames}, in {report.path}"
            raise type(error)(f"{error}{kept if report.frames else ''}") from error
        finally:
            report = self._sink.close()
        what = "frames" if stack is None else "planes"
        self._notes.say(console, what)
        if report.frames < planes:
            console.print(
                f"stopped: {report.frames} of {planes} {what} are restored, in {report.path}"
            )
            raise typer.Exit(INTERRUPTED)
        path = replace_old(report.path, self._out)
        seconds = max(time.monotonic() - started, 1e-9)
        frames = "1 frame" if report.frames == 1 else f"{report.frames} {what}"
        console.print(
            f"{frames} restored by {self._runtime.spec.name} ({self._runtime.description}) in "
            f"{seconds:.1f} s, {rate_text(report.frames / seconds)}: {path}"
        )

    def _all(self, order: list[int]) -> Iterator[tuple[Restored, bool]]:
        """Every picture of the file, and whether it is the last one of its frame."""
        for index in order:
            made = restored_of(
                self._movie, index, self._runtime, self._camera, self._dtype, self._refocusing
            )
            held = next(made)
            for after in made:
                yield held, False
                held = after
            yield held, True

    def _fitting(self, restored: Restored) -> Restored:
        """`restored` in the dtype of the file, its warnings and clipped values counted."""
        fitting, clipped = as_dtype(restored, self._dtype)
        self._notes.see(restored.provenance.warnings, clipped)
        return fitting


def with_progress(made: Iterable[T], count: int) -> Iterable[T]:
    """`made`, with a bar on a terminal that fills as they are taken, up to `count`."""
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
        yield from progress.track(made, total=count)
