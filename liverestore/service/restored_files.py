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
_KEPT_BYTES = 64 * 2**20


class RestoredFiles:
    """Saves results whose raw frames are recorded, in a file per recording.

    A recording begins and ends by frame number, and the engine hears of it a moment later:
    results that belong to no file yet are therefore kept for a moment (at most 64 MB), so
    that the restored file can begin with the first raw frame, and a result of another
    ROI waits for the file that is opened for it. Nothing here raises: a file that fails is
    told of once, and the next recording is tried anew. Belongs to one thread.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        open_file: OpenFile = OmeSink,
        tell: Callable[[Notice | RestoredReport], None] = lambda _word: None,
    ) -> None:
        """`path` takes all results from the first on; `tell` gets the news."""
        self._open_file = open_file
        self._tell = tell
        self._all: list[tuple[Recording, str]] = []
        self._told: dict[int, RestoredReport] = {}
        self._current: Recording | None = None
        self._asked: str | None = None
        self._first = 0
        self._last: int | None = None
        self._ends_s = 0.0
        self._recent: deque[Restored] = deque()
        if path is not None:
            self._begin(str(path), 0)

    def obey(self, word: SaveRestored, now_s: float) -> None:
        """Begin another file, or end the present one once its last frame was restored."""
        if word.path is None:
            self._last, self._ends_s = word.last, now_s + _LAST_RESULTS_S
            if word.last is None:
                self._end()
        elif word.path == self._asked and self._last is None:
            self._first = word.first
        else:
            self._end()
            self._begin(word.path, word.first)

    def append(self, result: Restored) -> None:
        """Save `result` where it belongs; never waits and never raises."""
        number = result.source.header.number
        if self._current is not None and self._last is not None and number > self._last:
            self._end()
        if not self._save(result):
            self._recent.append(result)
            while sum(2 * kept.pixels.nbytes for kept in self._recent) > _KEPT_BYTES:
                self._recent.popleft()

    def _save(self, result: Restored) -> bool:
        """False where `result` belongs to no file that is open."""
        current, header = self._current, result.source.header
        if current is None or header.number < self._first:
            return False
        if not current.takes(header):
            return False
        try:
            current.append(result)
        except LiverestoreError as error:
            current.fail(str(error))
            self._current = None
        return True

    def attend(self, now_s: float) -> None:
        """Close what has ended and tell what has happened; call it a few times a second."""
        if self._current is not None and self._last is not None and now_s >= self._ends_s:
            self._end()
        self._tell_news()

    def close(self) -> None:
        """End the file and wait until all are closed."""
        self._end()
        for recording, _ in self._all:
            recording.join()
        self._tell_news()

    def _begin(self, path: str, first: int) -> None:
        self._asked, self._first, self._last = path, first, None
        self._current = Recording(Path(path), open_file=self._open_file)
        self._all.append((self._current, path))
        waiting, self._recent = list(self._recent), deque()
        for result in waiting:
            if result.source.header.number >= first:
                self._save(result)

    def _end(self) -> None:
        current, self._current = self._current, None
        self._asked = self._last = None
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
