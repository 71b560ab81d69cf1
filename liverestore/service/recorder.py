"""The raw recordings of a run, one after the other: begun, rolled over and ended by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from liverestore.camera.followed import followed_source
from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Frame
from liverestore.service.queue_watch import QueueWatch
from liverestore.service.recording import OpenFile, Recording
from liverestore.status import RecordingReport
from liverestore.writer.ome import OmeSink
from liverestore.writer.queue import default_limit_bytes

__all__ = ["Pair", "Recorder"]

Pair = tuple[Path, Path | None]
"""Names of a raw file and of the restored file that belongs to it, if one does."""


class Recorder:
    """Keeps every frame between `begin` and `end` in a file of its own, or says which not.

    Files that have ended are written out and closed in the background; together with the
    present one they hold at most `limit_bytes` of pixels in memory. All methods but
    `reports`, `path` and the counts belong to the camera thread.
    """

    def __init__(
        self,
        choose: Callable[[], Pair],
        *,
        planned: Pair | None = None,
        stop_on_write_error: bool = False,
        open_file: OpenFile = OmeSink,
        limit_bytes: int | None = None,
        source: object = None,
    ) -> None:
        """`choose` finds free names; `planned` records from the first frame on."""
        self._choose = choose
        self._stop_on_write_error = stop_on_write_error
        self._open_file = open_file
        self._limit = default_limit_bytes() if limit_bytes is None else limit_bytes
        self._all: list[tuple[Recording, Path | None]] = []
        """Every recording with the name of its restored file, oldest first."""
        self._current: Recording | None = None
        self._planned: Recording | None = None
        self._roi_changed = False
        self._interrupted = False
        self.notices: deque[str] = deque()
        """Lines for the person, taken away by whoever reads them."""
        self.events: deque[str] = deque()
        """Lines on what went as it should, taken away likewise."""
        self.followed = followed_source(source)
        """A `source` that follows another program, whose user may set another ROI at any time,
        and which tells its lines with these. None: the camera is driven here."""
        if self.followed is not None:
            self.followed.notices, self.followed.events = self.notices, self.events
        self._queue_watch = QueueWatch(self.notices.append)
        if planned is not None:
            self._planned = self._open(planned)

    @property
    def path(self) -> Path | None:
        """The file that takes the next frame; None when nothing is recorded."""
        current = self._current
        return current.path if current is not None and current.error is None else None

    @property
    def recorded(self) -> int:
        """Frames given to all recordings of the run."""
        return sum(recording.given for recording, _ in self._all)

    @property
    def written(self) -> int:
        """Those of them that are on disk."""
        return sum(recording.written for recording, _ in self._all)

    @property
    def queue_share(self) -> float | None:
        """Share of the memory for frames that wait for the disk; None while nothing is recorded."""
        waiting = self._waiting_bytes()
        return waiting / self._limit if waiting > 0 or self.path is not None else None

    @property
    def error(self) -> str | None:
        """Why the last recording that failed did so."""
        errors = [recording.error for recording, _ in self._all if recording.error is not None]
        return errors[-1] if errors else None

    def begin(self) -> None:
        """Record from the next frame on; while recording already, nothing changes.

        Raises `UserError` where the folder cannot be made.
        """
        if self._current is not None and self._current.error is None:
            return
        self.end()
        pair = self._choose()
        if not self._all:
            # Once: nobody named this folder. The status says which file it is each time.
            self.events.append(f"recordings of this run go to {pair[0].parent}")
        self._open(pair)

    def end(self) -> None:
        """The frame before was the last of this recording."""
        current, self._current = self._current, None
        self._interrupted = False
        if current is None:
            return
        if current.given == 0:
            self.notices.append(f"nothing was recorded, {current.path} was not made: no frame came")
        current.finish()

    def roi_changed(self) -> None:
        """Frames of another ROI follow, perhaps after some of the one before."""
        self._roi_changed = True

    def interrupt(self) -> None:
        """No frame comes for a while: close the file; the next frame begins another one.

        Not the same file, although numbers go on: who reads it without its records would take
        its frames for evenly spaced, the next ones may have another size, and a file that is
        closed is safe from whatever else happens until then.
        """
        if self._current is not None and self._current.given > 0:
            self._interrupted = True
            self._current.finish()

    def keep(self, frame: Frame) -> LiverestoreError | None:
        """Record `frame` if recording; an error that is to end the run."""
        current = self._current
        if current is None:
            return None
        before, last = current.path, current.last
        try:
            # A size that nobody asked for is a fault; the file says so and ends.
            if self._interrupted and current.error is None:
                current = self._roll_over(current)
            elif not current.takes(frame.header) and (
                self._roi_changed or self.followed is not None or current.fits(frame.header)
            ):
                current = self._roll_over(current)
                self.notices.append(
                    f"the ROI has changed: {before} ends with frame {last}, recording goes on in "
                    f"{current.path}"
                )
            current.append(frame)
            self._queue_watch.look(self._waiting_bytes(), self._limit)
        except LiverestoreError as error:
            self._current = None
            current.fail(f"frame {frame.header.number} and all after it are not kept: {error}")
            ends_run = self._stop_on_write_error or (
                current is self._planned and isinstance(error, UserError)
            )
            return error if ends_run else None
        return None

    def close(self) -> None:
        """End the recording and wait until every file is closed."""
        self.end()
        for recording, _ in self._all:
            recording.join()

    def reports(self) -> tuple[RecordingReport, ...]:
        """The account of every recording of the run, oldest first."""
        return tuple(
            RecordingReport(
                index=index,
                raw=str(recording.path),
                restored=str(restored) if restored is not None else None,
                state=recording.state,
                first=recording.first,
                last=recording.last,
                frames=recording.written,
                lost=recording.lost,
                error=_why(recording),
            )
            for index, (recording, restored) in enumerate(self._all)
        )

    def _open(self, pair: Pair) -> Recording:
        left = max(0, self._limit - self._waiting_bytes())
        recording = Recording(pair[0], limit_bytes=left, open_file=self._open_file)
        self._all.append((recording, pair[1]))
        self._current = recording
        return recording

    def _waiting_bytes(self) -> int:
        return sum(recording.queued_bytes for recording, _ in self._all)

    def _roll_over(self, before: Recording) -> Recording:
        pair = self._choose()
        before.finish()
        self._roi_changed = self._interrupted = False
        after = self._open(pair)
        if before is self._planned:
            self._planned = after
        return after


def _why(recording: Recording) -> str | None:
    error, lost = recording.error, recording.lost_numbers()
    if error is None or lost is None or lost[0] == lost[1]:
        return error
    return f"{error}; frames {lost[0]} to {lost[1]} are not on disk"
