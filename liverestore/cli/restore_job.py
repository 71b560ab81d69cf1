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

__all__ = ["RestoreJob", "with_progress"]

T = TypeVar("T")


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
        self._clipped = 0
        self._warnings: dict[str, int] = {}

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
        self._say_notes(console, what)
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

    def _say_notes(self, console: Console, what: str) -> None:
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

    def _all(self, order: list[int]) -> Iterator[tuple[Restored, bool]]:
        """Every picture of the file, and whether it is the last one of its frame."""
        for index in order:
            made = self._restored(index)
            held = next(made)
            for after in made:
                yield held, False
                held = after
            yield held, True

    def _restored(self, index: int) -> Iterator[Restored]:
        """What is made of frame `index`: one picture, or one for each plane of a stack."""
        frame = frame_of(self._movie, index, self._dtype)
        spec, infer = self._runtime.spec, self._runtime.infer
        reason = spec.mismatch(frame.header)
        if reason is not None:
            raise UserError(f"{self._movie.path}, frame {index}: {reason}")
        runtime, goal = self._runtime.description, self._refocusing
        whole = whole_of(self._runtime)
        if goal is None:
            yield restore(frame, spec, infer, self._camera, whole=whole, runtime=runtime)
        elif goal.stack is None:
            yield restore(
                frame,
                spec,
                infer,
                self._camera,
                goal.dpm,
                optics=goal.optics,
                whole=whole,
                runtime=runtime,
            )
        else:
            yield from restore_planes(
                frame,
                spec,
                infer,
                self._camera,
                goal.stack.planes_um,
                optics=goal.optics,
                whole=whole,
                runtime=runtime,
            )

    def _fitting(self, restored: Restored) -> Restored:
        """`restored` in the dtype of the file, its warnings and clipped values counted."""
        for text in restored.provenance.warnings:
            self._warnings[text] = self._warnings.get(text, 0) + 1
        restored, clipped = as_dtype(restored, self._dtype)
        self._clipped += clipped
        return restored


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
