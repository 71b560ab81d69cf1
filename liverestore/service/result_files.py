"""The files of one recording's results: a plain series, and one for each virtual stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.optics import Optics
from liverestore.service.recording import OpenFile, Recording
from liverestore.writer.layout import recording_of
from liverestore.writer.ome import OmeSink
from liverestore.writer.sink import SinkReport
from liverestore.zstack import ZStack, refocus_words

__all__ = ["FindOptics", "ResultFiles", "StackSink"]

FindOptics = Callable[[str | None], Optics]
"""From the name of a channel to its detection path. Raises `UserError`."""


class StackSink(OmeSink):
    """TZYX, or TCZYX for several channels in turn, as long as it lasts.

    T are the frames that were restored, so its interval is that between them and not that of
    the camera.
    """

    def __init__(
        self, path: Path, stack: ZStack, channels: tuple[str | None, ...], find_optics: FindOptics
    ) -> None:
        """`channels` are those that take turns, in order. Raises `UserError` without optics."""
        optics = {name: find_optics(name) for name in channels}
        self._layout_of_stack = recording_of(len(channels), stack.count)
        super().__init__(
            path,
            layout=self._layout_of_stack,
            pixel_size_um=optics[channels[0]].pixel_size_um,
            z_step_um=stack.step_um,
            z_start_um=stack.start_um,
            about=refocus_words(str(stack), optics),
        )
        self._first_ns = self._last_ns = 0

    def append(self, item: Frame | Restored) -> None:
        """See `OmeSink.append`."""
        begins = self.written % self._layout_of_stack.group == 0
        super().append(item)
        if begins:
            header = item.source.header if isinstance(item, Restored) else item.header
            self._last_ns = header.captured_ns
            self._first_ns = self._first_ns or self._last_ns

    def close(self) -> SinkReport:
        """See `OmeSink.close`."""
        steps = (self.written - 1) // self._layout_of_stack.group
        if steps > 0 and self._last_ns > self._first_ns:
            self.note_interval((self._last_ns - self._first_ns) * 1e-6 / steps)
        return super().close()


@dataclass(slots=True)
class _Stacks:
    """A file of stacks that is open."""

    planes_um: tuple[float, ...]
    channels: tuple[str | None, ...]
    recording: Recording
    turn: dict[str | None, Restored]
    """The newest result of each channel since the last time point."""


class ResultFiles:
    """What was restored of the frames of one raw recording.

    Results without a virtual stack go into a plain series, those with one into a file of
    stacks, each made when it is needed: the first is called `path`, the others `path` with
    `_part2` and so on. Another stack, or other channels that have one, begin another file, so that
    each file has one set of planes.
    """

    def __init__(self, path: Path, open_file: OpenFile, find_optics: FindOptics | None) -> None:
        self._path = path
        self._open_file = open_file
        self._find_optics = find_optics
        self._plain: Recording | None = None
        self._stacks: _Stacks | None = None
        self.recordings: list[tuple[Recording, int]] = []
        """Every file that was begun, with the planes at each of its time points."""

    def append(self, result: Restored, channels: tuple[str | None, ...] = ()) -> None:
        """Queue a result, or its planes; never waits for the disk.

        `channels` are those that get a stack in turn. A stack of several channels is written
        when each has one; a channel that comes again before that replaces its planes.
        Raises `LiverestoreError` as `Recording.append` does, having finished all files.
        """
        if not result.planes or self._find_optics is None:
            if self._plain is None:
                self._plain = self._begun(Recording(self._name(), open_file=self._open_file), 1)
            self._give(self._plain, result)
            return
        channel = result.source.header.channel
        in_turn = channels if len(channels) > 1 and channel in channels else (channel,)
        stacks = self._stacks_for(result, in_turn, self._find_optics)
        stacks.turn[channel] = result
        if len(stacks.turn) == len(in_turn):
            turn, stacks.turn = stacks.turn, {}
            self._give(
                stacks.recording, *(plane for name in in_turn for plane in turn[name].planes)
            )

    def finish(self) -> None:
        """Take no more results; those that wait are written and the files closed meanwhile."""
        for recording, _ in self.recordings:
            recording.finish()

    def _give(self, recording: Recording, *items: Restored) -> None:
        try:
            recording.append(*items)
        except LiverestoreError as error:
            recording.fail(str(error))
            self.finish()
            raise

    def _stacks_for(
        self, result: Restored, channels: tuple[str | None, ...], find_optics: FindOptics
    ) -> _Stacks:
        planes_um = tuple(float(p.provenance.parameters["virtual_z_um"]) for p in result.planes)
        open_now = self._stacks
        if open_now is not None:
            if (open_now.planes_um, open_now.channels) == (planes_um, channels):
                return open_now
            open_now.recording.finish()
        step_um = round(planes_um[1] - planes_um[0], 6) if len(planes_um) > 1 else 1.0
        stack = ZStack(planes_um[0], step_um, len(planes_um))
        recording = Recording(
            self._name(), open_file=lambda path: StackSink(path, stack, channels, find_optics)
        )
        self._begun(recording, len(planes_um))
        self._stacks = _Stacks(planes_um, channels, recording, {})
        return self._stacks

    def _begun(self, recording: Recording, planes: int) -> Recording:
        self.recordings.append((recording, planes))
        return recording

    def _name(self) -> Path:
        part = len(self.recordings) + 1
        if part == 1:
            return self._path
        stem, dot, kind = self._path.name.partition(".")
        return self._path.with_name(f"{stem}_part{part}{dot}{kind}")
