"""The files of restored frames: which result belongs into which, beside the raw recordings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from liverestore.errors import LiverestoreError
from liverestore.frame import Restored
from liverestore.service.recording import OpenFile, Recording
from liverestore.status import Notice, RestoredReport, SaveRestored
from liverestore.writer.ome import OmeSink

__all__ = ["RestoredFiles"]

_LAST_RESULTS_S = 1.0
"""After the last raw frame of a recording its result is waited for so long."""
_WAITING_BYTES = 256 * 2**20
_SPARE_BYTES = 64 * 2**20


class RestoredFiles:
    """Saves results whose raw frames are recorded, in a file per recording.

    A recording begins and ends by frame number, and the engine hears of it a moment later.
    So results wait (some tenths of a second, at most 256 MB, 64 MB while nothing is
    recorded) until it is known that their raw frame was recorded, and where. Nothing here
    raises: a file that fails is told of once, and the next recording is tried anew. Belongs
    to one thread.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        open_file: OpenFile = OmeSink,
        tell: Callable[[Notice | RestoredReport], None] = lambda _word: None,
    ) -> None:
        """`path` is recorded to from the first frame on; `tell` gets the news."""
        self._open_file = open_file
        self._tell = tell
        self._all: list[tuple[Recording, str]] = []
        self._told: dict[int, RestoredReport] = {}
        self._current: Recording | None = None
        self._asked: str | None = None
        self._first, self._last = 0, -1
        self._ends_s: float | None = None
        self._waiting: deque[Restored] = deque()
        if path is not None:
            self._begin(str(path))

    def obey(self, word: SaveRestored, now_s: float) -> None:
        """Begin another file, note how far the recording is, or that it has ended."""
        if word.path is None:
            if self._asked is not None:
                self._last, self._ends_s = word.last, now_s + _LAST_RESULTS_S
        else:
            if word.path != self._asked or self._ends_s is not None:
                self._end()
                self._begin(word.path)
            self._first, self._last = word.first, word.last
        self._settle()

    def append(self, result: Restored) -> None:
        """Save `result` where it belongs, once that is known; never waits, never raises."""
        self._waiting.append(result)
        self._settle()
        limit = _WAITING_BYTES if self._current is not None else _SPARE_BYTES
        while sum(_nbytes(kept) for kept in self._waiting) > limit:
            oldest = self._waiting.popleft()
            if _number(oldest) >= self._first:
                self._save(oldest)

    def _settle(self) -> None:
        """Save what is known to be recorded, forget what is known not to be."""
        if self._asked is None:
            return
        # Not in the order of their numbers where channels take turns: each has its own slot.
        known = [result for result in self._waiting if _number(result) <= self._last]
        if not known:
            return
        self._waiting = deque(r for r in self._waiting if _number(r) > self._last)
        for result in known:
            if _number(result) >= self._first:
                self._save(result)

    def _save(self, result: Restored) -> None:
        if self._current is None:
            return
        try:
            self._current.append(result)
        except LiverestoreError as error:
            self._current.fail(str(error))
            self._current = None

    def attend(self, now_s: float) -> None:
        """Close what has ended and tell what has happened; call it a few times a second."""
        if self._ends_s is not None and now_s >= self._ends_s:
            self._end()
        self._tell_news()

    def close(self) -> None:
        """End the file, with all that waits if nobody ended it before, and wait for it."""
        if self._asked is not None and self._ends_s is None and self._waiting:
            self._last = max(_number(result) for result in self._waiting)
            self._settle()
        self._end()
        for recording, _ in self._all:
            recording.join()
        self._tell_news()

    def _begin(self, path: str) -> None:
        self._asked, self._ends_s = path, None
        self._current = Recording(Path(path), open_file=self._open_file)
        self._all.append((self._current, path))

    def _end(self) -> None:
        current, self._current = self._current, None
        self._asked = self._ends_s = None
        if current is not None:
            current.finish()

    def _tell_news(self) -> None:
        for index, (recording, asked) in enumerate(self._all):
            told = self._told.get(index)
            now = recording.state == "closed", recording.error is not None
            if recording.given and (told is None or (told.closed, told.error is not None) != now):
                self._report(index, recording, asked)

    def _report(self, index: int, recording: Recording, asked: str) -> None:
        before = self._told.get(index)
        report = self._told[index] = RestoredReport(
            path=str(recording.path),
            asked=asked,
            closed=recording.state == "closed",
            frames=recording.written,
            error=recording.error,
        )
        self._tell(report)
        if before is None and report.path != asked:
            self._tell(Notice(text=f"restored frames go on in {recording.path}"))
        if report.error is not None and (before is None or before.error is None):
            self._tell(Notice(text=f"restored frames are no longer saved: {report.error}"))


def _number(result: Restored) -> int:
    return result.source.header.number


def _nbytes(result: Restored) -> int:
    rival = _nbytes(result.rival) if result.rival is not None else 0
    return result.pixels.nbytes + result.source.pixels.nbytes + rival
