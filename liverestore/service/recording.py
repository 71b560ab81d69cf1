"""One file of a run: fed without waiting, closed in the background, accounted by number."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, FrameHeader, Restored
from liverestore.writer.ome import OmeSink
from liverestore.writer.queue import QueuedSink
from liverestore.writer.sink import FrameSink

__all__ = ["OpenFile", "Recording", "header_of"]

log = logging.getLogger(__name__)


class _File(FrameSink, Protocol):
    path: Path


OpenFile = Callable[[Path], _File]


def header_of(item: Frame | Restored) -> FrameHeader:
    """Of a frame, or of the frame that was restored."""
    return item.header if isinstance(item, Frame) else item.source.header


class Recording:
    """A file that is created with its first frame; `append` and `finish` never wait for it.

    `append` and `finish` belong to one thread; everything else may be asked from others.
    """

    def __init__(
        self, path: Path, *, limit_bytes: int | None = None, open_file: OpenFile = OmeSink
    ) -> None:
        self._file = open_file(path)
        self._queue = QueuedSink(self._file, limit_bytes)
        self._like: FrameHeader | None = None
        self._unwritten: deque[int] = deque()
        """Numbers of the frames that were given and are not known to be on disk."""
        self._given = 0
        self._error: str | None = None
        self._closer: threading.Thread | None = None
        self._closed = False
        self.first: int | None = None
        """Number of the first frame given, and of the last one."""
        self.last: int | None = None

    @property
    def path(self) -> Path:
        """The file; it may get another number when it is created."""
        return self._file.path

    @property
    def state(self) -> Literal["open", "closing", "closed"]:
        """Whether it takes frames, still writes some, or is finished."""
        if self._closer is None:
            return "open"
        return "closed" if self._closed else "closing"

    @property
    def error(self) -> str | None:
        """Why frames are lost; None while all is well."""
        failure = self._queue.error
        return self._error or (str(failure) if failure is not None else None)

    @property
    def given(self) -> int:
        """Frames that `append` got."""
        return self._given

    @property
    def written(self) -> int:
        """Frames on disk."""
        return self._queue.written

    @property
    def queued_bytes(self) -> int:
        """Size of the pixels that wait for the disk."""
        return self._queue.queued_bytes

    @property
    def lost(self) -> int:
        """Frames that are not and will not be on disk."""
        return self._given - self.written if self._closed else self._queue.lost

    def lost_numbers(self) -> tuple[int, int] | None:
        """First and last number of the frames that are lost, once it is closed."""
        if not self._closed or self.lost == 0:
            return None
        return self._unwritten[-self.lost], self._unwritten[-1]

    def takes(self, header: FrameHeader) -> bool:
        """Whether a frame has the size, dtype and ROI of the first one."""
        return self._like is None or (self.fits(header) and self._like.roi == header.roi)

    def fits(self, header: FrameHeader) -> bool:
        """Whether the file can hold a frame: it has the size and dtype of the first one."""
        like = self._like
        return like is None or (like.shape, like.dtype) == (header.shape, header.dtype)

    def append(self, *items: Frame | Restored) -> None:
        """Queue one frame, or several that belong together.

        Raises `LiverestoreError` as `QueuedSink.append` does.
        """
        for header in map(header_of, items):
            if self.first is None:
                self.first, self._like = header.number, header
            self.last = header.number
            self._given += 1
            self._unwritten.append(header.number)
        self._queue.append(*items)
        while len(self._unwritten) > self._queue.queued + self._queue.lost + 1:
            self._unwritten.popleft()

    def fail(self, why: str) -> None:
        """Finish because of `why`, unless the file itself has given a reason."""
        self._error = self.error or why
        self.finish()

    def finish(self) -> None:
        """Take no more frames; those that wait are written and the file closed meanwhile."""
        if self._closer is None:
            self._closer = threading.Thread(target=self._close, name="closer")
            self._closer.start()

    def join(self) -> None:
        """Finish, and wait until the file is closed."""
        self.finish()
        assert self._closer is not None
        self._closer.join()

    def _close(self) -> None:
        try:
            self._queue.close()
        except LiverestoreError as error:
            self._error = self.error or str(error)
        except Exception as error:
            # A file that could not be closed must be told of, whatever the reason.
            log.exception("%s could not be closed", self.path)
            self._error = self.error or f"{type(error).__name__}: {error}"
        finally:
            self._closed = True
