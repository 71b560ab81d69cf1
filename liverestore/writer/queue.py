"""A disk that is slower than the camera for a while: a bounded queue before a sink."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque

from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame, Restored
from liverestore.writer.sink import FrameSink, SinkReport

__all__ = ["QueuedSink", "default_limit_bytes"]

_GIB = 2**30


def default_limit_bytes() -> int:
    """1 GiB, or a quarter of the memory where that is less."""
    if sys.platform == "win32":
        # It does not say it here; a microscope's computer has 4 GiB and more.
        return _GIB
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return _GIB
    return min(_GIB, memory // 4)


class QueuedSink:
    """Hands frames to `sink` in a thread of its own; policy `every`.

    `append` never waits for the disk. When the queue is full or the sink fails, `append`
    raises a `Failure` that names the first frame that is not kept, and accepts nothing
    after it, so that what is on disk has no gap that nobody spoke of. Frames that were
    queued before are still written if the sink can. At every moment
    `written + queued + lost` is the number of frames given to `append`.

    Frames are kept by reference: their pixels must not change afterwards (`Frame` makes
    them read-only).
    """

    def __init__(self, sink: FrameSink, limit_bytes: int | None = None) -> None:
        self._sink = sink
        self.limit_bytes = default_limit_bytes() if limit_bytes is None else limit_bytes
        """Pixels that may wait in memory."""
        self._waiting: deque[Frame | Restored] = deque()
        self._queued_bytes = 0
        self._writing = 0
        self._written = 0
        self._lost = 0
        self._failure: LiverestoreError | None = None
        self._told = False
        self._ending = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._report: SinkReport | None = None

    @property
    def written(self) -> int:
        """Frames that the sink has taken."""
        with self._changed:
            return self._written

    @property
    def queued(self) -> int:
        """Frames that wait in memory, the one being written included."""
        with self._changed:
            return len(self._waiting) + self._writing

    @property
    def lost(self) -> int:
        """Frames that are not and will not be on disk."""
        with self._changed:
            return self._lost

    @property
    def queued_bytes(self) -> int:
        """Size of the pixels that wait in memory."""
        with self._changed:
            return self._queued_bytes

    @property
    def error(self) -> LiverestoreError | None:
        """Why frames are lost; None while all is well."""
        with self._changed:
            return self._failure

    def prepare(self, first: Frame | Restored) -> None:
        """Create the file, in the caller's thread. See `FrameSink.prepare`."""
        self._sink.prepare(first)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="writer", daemon=True)
            self._thread.start()

    def append(self, item: Frame | Restored, *more: Frame | Restored) -> None:
        """Queue one frame, or several that belong together: all or none; never waits for the disk.

        Raises `Failure` for this frame and all after it once the queue was full or the
        sink failed; for the first frame also what `prepare` raises.
        """
        if self._thread is None and self._failure is None and self._report is None:
            self._prepare_or_lose(item, 1 + len(more))
        number, items = _number(item), (item, *more)
        nbytes = sum(one.pixels.nbytes for one in items)
        with self._changed:
            if self._failure is None and self._ending:
                self._failure = Failure(f"frame {number} came after the recording was closed")
            if (
                self._failure is None
                and self._waiting
                and self._queued_bytes + nbytes > self.limit_bytes
            ):
                self._failure = Failure(
                    f"frame {number} and all after it are not kept: the disk is slower than the "
                    f"camera and {self._queued_bytes / 1e6:.0f} MB wait in memory "
                    f"({self.limit_bytes / 1e6:.0f} MB are allowed); record to a faster disk, "
                    "lower the frame rate or choose a smaller ROI"
                )
            if self._failure is not None:
                self._lost += len(items)
                self._told = True
                raise self._failure
            self._waiting.extend(items)
            self._queued_bytes += nbytes
            self._changed.notify_all()

    def _prepare_or_lose(self, item: Frame | Restored, count: int) -> None:
        try:
            self.prepare(item)
        except LiverestoreError as error:
            with self._changed:
                self._failure = error
                self._lost += count
                self._told = True
            raise

    def close(self) -> SinkReport:
        """Write what is queued and close the sink.

        Raises the `Failure` of frames that were lost unless `append` has raised it
        before; a second call then gives the report.
        """
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._report is None:
            self._report = self._close_sink()
        with self._changed:
            if self._failure is not None and self._lost and not self._told:
                self._told = True
                raise self._failure
        return self._report

    def _close_sink(self) -> SinkReport:
        try:
            return self._sink.close()
        except LiverestoreError as error:
            report = self._sink.close()
            with self._changed:
                if self._failure is None:
                    self._failure = error
                    self._report = report
                    self._told = True
                    raise
            return report

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ending:
                    self._changed.wait()
                if not self._waiting:
                    return
                item = self._waiting.popleft()
                self._writing = 1
            failure: LiverestoreError | None = None
            kept = False
            try:
                self._sink.append(item)
                kept = True
            except LiverestoreError as error:
                failure = error
            finally:
                # Also when something unforeseen ends this thread: the frames behind it
                # must not seem to be on disk.
                self._settle(item, kept, failure)
            if not kept:
                return

    def _settle(self, item: Frame | Restored, kept: bool, failure: LiverestoreError | None) -> None:
        with self._changed:
            self._writing = 0
            self._queued_bytes -= item.pixels.nbytes
            if kept:
                self._written += 1
                return
            self._failure = (
                self._failure
                or failure
                or Failure(
                    f"frame {_number(item)} and all after it are not kept: the writer broke, see "
                    "the message above; start a new recording"
                )
            )
            self._lost += 1 + len(self._waiting)
            self._waiting.clear()
            self._queued_bytes = 0


def _number(item: Frame | Restored) -> int:
    return (item.source if isinstance(item, Restored) else item).header.number
