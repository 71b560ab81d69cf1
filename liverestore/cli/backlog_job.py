"""Completes restored files: what they lack is restored from the raw file, up to Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from liverestore.camera_model import CameraModel
from liverestore.cli.backlog_plan import BacklogPlan, Part, Results, Step, working_name
from liverestore.cli.backlog_recipe import Kitchen, optics_from
from liverestore.cli.interrupt import Interrupt
from liverestore.cli.output_file import Made, as_dtype, frame_of, open_output, replace_old
from liverestore.cli.restore_job import with_progress
from liverestore.errors import LiverestoreError, UserError
from liverestore.file_moves import remove, rename
from liverestore.frame import Frame, Restored
from liverestore.frame_record import crc32
from liverestore.movie import Movie
from liverestore.service.result_files import StackSink
from liverestore.writer.ome import OmeSink, free_name
from liverestore.zstack import ZStack, refocus_words

__all__ = ["Backlog", "Completed"]


_Done = tuple[Step, list[Restored]]
"""A frame, and its picture or the planes of its stack."""


@dataclass(slots=True)
class Completed:
    """What became of the files of one recording."""

    asked: int
    """Frames that had no result."""
    restored: int = 0
    """Those of them that have one now."""
    mended: int = 0
    """Frames whose result was damaged and is made anew."""
    left_out: int = 0
    """Frames whose turn of channels is not complete, so that no file of stacks can hold them."""
    unlike: int = 0
    """Frames that no result of their channel tells how to make."""
    interrupted: bool = False
    seconds: float = 0.0
    files: list[tuple[Path, int]] = field(default_factory=list)
    """Every file as it is now, and the frames that it has."""


class Backlog:
    """All frames of `raw` in its restored files, in order: those that are there and the others.

    A file that lacks some is built again beside it, copying what there is, and takes its place
    when it is whole; so nothing that was restored is touched before there is something better.
    Ctrl-C, a full disk or a killed process leave what was done in a file named `_resuming`, from
    which the next run goes on.
    """

    def __init__(
        self,
        raw: Movie,
        results: Results,
        measured: CameraModel | None,
        *,
        kitchen: Kitchen | None = None,
        on_step: Callable[[], bool] = lambda: False,
    ) -> None:
        """`on_step` is asked after each frame whether to end, as Ctrl-C does.

        Raises `UserError` where the frames cannot be made as the others were.
        """
        self._raw = raw
        self._results = results
        self.plan = BacklogPlan(raw, results)
        self._on_step = on_step
        self._kitchen = kitchen or Kitchen(measured)
        self._said = Completed(self.plan.missing, unlike=len(self.plan.unlike))

    def run(self) -> Completed:
        """Complete every file, as far as Ctrl-C lets it; say the progress on a terminal.

        Raises `LiverestoreError` where a frame cannot be restored or written, having kept what
        was done.
        """
        started = time.monotonic()
        said = self._said
        todo = [part for part in self.plan.parts if not part.done]
        said.files = [(part.path, len(part.steps)) for part in self.plan.parts if part.done]
        try:
            for like in self.plan.likes() if todo else ():
                self._kitchen.check(like.provenances())
            with Interrupt() as interrupt:
                for part in todo:
                    self._complete(part, interrupt)
                    if said.interrupted:
                        break
        finally:
            self._kitchen.close()
            said.seconds = time.monotonic() - started
        return said

    # -- one file -----------------------------------------------------------------------

    def _complete(self, part: Part, interrupt: Interrupt) -> None:
        said = self._said
        sink, order = self._open(part)
        steps = [part.steps[place] for place in order]
        written: set[int] = set()
        before, done = said.restored + said.mended, 0
        failure: LiverestoreError | None = None
        try:
            turns = _in_turn(self._all(part, steps), () if part.whole else _channels(part), part)
            for count, turn in with_progress(turns, len(steps)):
                for step, pictures in turn:
                    for picture in pictures:
                        sink.append(picture)
                    written.add(step.number)
                done = count
                if done < len(steps) and (interrupt.asked or self._on_step()):
                    said.interrupted = True
                    break
        except LiverestoreError as error:
            failure = error
        try:
            report = sink.close()
        except LiverestoreError as error:
            failure = failure or error
            report = sink.close()
        self._results.close(part.sources)
        if done == len(steps) and failure is None:
            said.left_out += done - len(written)
            path = self._take_over(part, report.path)
        else:
            path = self._keep(part, report.path, written, said.restored + said.mended > before)
        said.files.append((path, len(written)))
        if failure is not None:
            kept = f"; {said.restored} frames were restored before that and are kept in {path}"
            raise type(failure)(f"{failure}{kept if said.restored else ''}") from failure

    def _open(self, part: Part) -> tuple[OmeSink, Sequence[int]]:
        """A file beside those there are, and the order in which it wants the frames."""
        like = part.steps[0].like
        path = free_name(working_name(part.path))
        stack = _stack_of(part)
        if not part.whole:
            in_order = range(len(part.steps))
            if stack is None:
                return OmeSink(path, on_existing="refuse", expected_frames=len(in_order)), in_order
            optics = {s.channel: optics_from(s.like.provenances()[0]) for s in part.steps}
            return StackSink(path, stack, _channels(part), optics.__getitem__), in_order
        about = Made()
        first = like.provenances()[0]
        if "waves_per_um" in first.parameters:
            optics_here = optics_from(first)
            confocal = ", as confocal pictures" if "target" in first.parameters else ""
            place = f"{stack}" if stack is not None else f"{first.parameters['dpm']} um"
            about = Made(
                refocus_words(place + confocal, {None: optics_here}), optics_here.pixel_size_um
            )
        sink, order = open_output(self._raw, path, force=False, planes=stack, about=about)
        return sink, [int(place) for place in order]

    def _all(self, part: Part, steps: Sequence[Step]) -> Iterator[_Done]:
        for step in steps:
            kept = self._kept(step) if step.held is not None else None
            if kept is None:
                kept = self._made(part, step)
                if step.held is None:
                    self._said.restored += 1
                else:
                    self._said.mended += 1
            yield step, kept

    def _kept(self, step: Step) -> list[Restored] | None:
        """The result that is there; None where it is damaged."""
        held = step.held
        assert held is not None, "asked only where there is one"
        made = []
        for index, record in zip(held.indices, held.records(), strict=True):
            try:
                pixels = held.movie[index]
            except UserError:
                return None
            if crc32(pixels) != record.crc32 or record.provenance is None:
                return None
            # Only its header is written; the raw pixels are not worth reading for that.
            header = record.header
            blank = np.broadcast_to(np.zeros((), header.dtype), header.shape)
            made.append(Restored(pixels, Frame(blank, header), record.provenance))
        return made

    def _made(self, part: Part, step: Step) -> list[Restored]:
        dtype = step.like.movie.dtype.name
        frame = frame_of(self._raw, step.index, dtype)
        made = self._kitchen.make(frame, step.like.provenances(), part.kind)
        return [as_dtype(result, dtype)[0] for result in made]

    # -- which file is which ------------------------------------------------------------

    def _take_over(self, part: Part, new: Path) -> Path:
        """The whole file `new` in the place of all that it was made of."""
        # Moved aside first: a removal that is cut off must not leave half a file under its name.
        aside = free_name(part.path.with_name(f"replaced_{part.path.name}"))
        if part.path.exists():
            rename(part.path, aside)
        path = rename(new, part.path)
        for old in (aside, *part.sources):
            if old != part.path:
                remove(old)
        return path

    def _keep(self, part: Part, new: Path, numbers: set[int], worth: bool) -> Path:
        """Where the beginning of a file is kept, with no more copies of it than are needed."""
        if not new.exists():
            return part.path
        if not worth:
            remove(new)
            return part.path
        covered = [path for path in part.sources if self._results.numbers[path] <= numbers]
        if covered == part.sources:
            return self._take_over(part, new)
        for path in covered:
            if path != part.path:
                remove(path)
        wanted = working_name(part.path)
        return new if wanted.exists() else replace_old(new, wanted)


def _in_turn(
    made: Iterable[_Done], channels: tuple[str | None, ...], part: Part
) -> Iterator[tuple[int, list[_Done]]]:
    """What can be written after each frame, and how many frames were taken until then.

    Stacks of `channels` in turn wait until each has one; with () none waits.
    """
    waiting: dict[str | None, _Done] = {}
    for count, (step, pictures) in enumerate(made, 1):
        if not part.kind or not channels:
            yield count, [(step, pictures)]
            continue
        waiting[step.channel] = step, pictures
        if len(waiting) == len(channels):
            yield count, [waiting[name] for name in channels]
            waiting.clear()
        else:
            yield count, []


def _channels(part: Part) -> tuple[str | None, ...]:
    return tuple(dict.fromkeys(step.channel for step in part.steps))


def _stack_of(part: Part) -> ZStack | None:
    if not part.kind:
        return None
    step_um = round(part.kind[1] - part.kind[0], 6)
    return ZStack(part.kind[0], step_um, len(part.kind))
