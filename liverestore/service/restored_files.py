"""The files of restored frames: which result belongs into which, beside the raw recordings."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from liverestore.errors import LiverestoreError
from liverestore.frame import Restored
from liverestore.service.recording import OpenFile, Recording
from liverestore.service.result_files import FindOptics, ResultFiles
from liverestore.status import Notice, RestoredReport, SaveRestored
from liverestore.writer.ome import OmeSink

__all__ = ["RestoredFiles"]

_LAST_RESULTS_S = 1.0
"""After the last raw frame of a recording its result is waited for so long."""
_WAITING_BYTES = 256 * 2**20
_SPARE_BYTES = 64 * 2**20

_Waiting = tuple[Restored, tuple[str | None, ...]]
"""A result, and the channels that had a virtual stack when it was made."""


class RestoredFiles:
    """Saves results whose raw frames are recorded, in a file per recording (see `ResultFiles`).

    A recording begins and ends by frame number, and the engine hears of it a moment later.
    So results wait (some tenths of a second, at most 256 MB with their virtual planes, 64 MB while
    nothing is recorded, but always one) until it is known that their raw frame was recorded, and
    where. Nothing here raises: a file that fails is told of once, and the next recording is tried
    anew. Belongs to one thread.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        open_file: OpenFile = OmeSink,
        tell: Callable[[Notice | RestoredReport], None] = lambda _word: None,
        find_optics: FindOptics | None = None,
        stacked: Callable[[], tuple[str | None, ...]] = tuple,
    ) -> None:
        """`path` is recorded to from the first frame on; `tell` gets the news.

        Virtual stacks need `find_optics`; `stacked` names the channels in turn that have one.
        """
        self._open_file = open_file
        self._tell = tell
        self._find_optics = find_optics
        self._stacked = stacked
        self._all: list[tuple[ResultFiles, str]] = []
        self._told: dict[Recording, RestoredReport] = {}
        self._current: ResultFiles | None = None
        self._asked: str | None = None
        self._first, self._last = 0, -1
        self._ends_s: float | None = None
        self._waiting: deque[_Waiting] = deque()
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
        self._waiting.append((result, self._stacked() if result.planes else ()))
        self._settle()
        limit = _WAITING_BYTES if self._current is not None else _SPARE_BYTES
        while len(self._waiting) > 1 and sum(map(_nbytes, self._waiting)) > limit:
            oldest = self._waiting.popleft()
            if _number(oldest) >= self._first:
                self._save(oldest)

    def _settle(self) -> None:
        """Save what is known to be recorded, forget what is known not to be."""
        if self._asked is None:
            return
        # Not in the order of their numbers where channels take turns: each has its own slot.
        known = [kept for kept in self._waiting if _number(kept) <= self._last]
        if not known:
            return
        self._waiting = deque(kept for kept in self._waiting if _number(kept) > self._last)
        for kept in known:
            if _number(kept) >= self._first:
                self._save(kept)

    def _save(self, kept: _Waiting) -> None:
        if self._current is None:
            return
        try:
            self._current.append(*kept)
        except LiverestoreError:
            self._current = None  # its file has the reason, which is told with its report

    def attend(self, now_s: float) -> None:
        """Close what has ended and tell what has happened; call it a few times a second."""
        if self._ends_s is not None and now_s >= self._ends_s:
            self._end()
        self._tell_news()

    def close(self) -> None:
        """End the file, with all that waits if nobody ended it before, and wait for it."""
        if self._asked is not None and self._ends_s is None and self._waiting:
            self._last = max(map(_number, self._waiting))
            self._settle()
        self._end()
        for files, _ in self._all:
            for recording, _ in files.recordings:
                recording.join()
        self._tell_news()

    def _begin(self, path: str) -> None:
        self._asked, self._ends_s = path, None
        self._current = ResultFiles(Path(path), self._open_file, self._find_optics)
        self._all.append((self._current, path))

    def _end(self) -> None:
        current, self._current = self._current, None
        self._asked = self._ends_s = None
        if current is not None:
            current.finish()

    def _tell_news(self) -> None:
        for files, asked in self._all:
            for recording, planes in files.recordings:
                told = self._told.get(recording)
                now = recording.state == "closed", recording.error is not None
                before = None if told is None else (told.closed, told.error is not None)
                if recording.given and before != now:
                    self._report(recording, asked, planes)

    def _report(self, recording: Recording, asked: str, planes: int) -> None:
        before = self._told.get(recording)
        report = self._told[recording] = RestoredReport(
            path=str(recording.path),
            asked=asked,
            closed=recording.state == "closed",
            frames=recording.written,
            planes=planes,
            error=recording.error,
        )
        self._tell(report)
        if before is None and report.path != asked:
            self._tell(Notice(text=f"restored frames go on in {recording.path}", ordinary=True))
        if report.error is not None and (before is None or before.error is None):
            self._tell(Notice(text=f"restored frames are no longer saved: {report.error}"))


def _number(kept: _Waiting) -> int:
    return kept[0].source.header.number


def _nbytes(kept: _Waiting) -> int:
    result = kept[0]
    pictures = [result, *([] if result.rival is None else [result.rival]), *result.planes]
    return result.source.pixels.nbytes + sum(picture.pixels.nbytes for picture in pictures)
