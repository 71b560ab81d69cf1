"""Numbers that take longer than painting may: made in a thread of their own, the newest asked."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Background", "Newest"]

T = TypeVar("T")

_SHARE = 0.25
"""Of one core, at most, that a `Newest` takes in the long run."""


class Background:
    """One thread for all that may wait; there is none before the first use."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Do `work` after what was started before it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(1, thread_name_prefix="view-numbers")
        return self._threads.submit(work)

    def wait(self) -> None:
        """Until all that was started is done."""
        if self._threads is not None:
            self._threads.submit(lambda: None).result()

    def close(self) -> None:
        """Wait for what is being done, and leave out the rest."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None


class Newest(Generic[T]):
    """One result at a time, of the newest question, at most every `every_s`.

    A slow one is asked for less often, so that it takes at most a quarter of a core.
    """

    def __init__(self, background: Background, every_s: float) -> None:
        self._background = background
        self._every_s = every_s
        self._running: Future[tuple[T, float]] | None = None
        self._asked_at_s = float("-inf")
        self._took_s = 0.0

    def ready(self, now_s: float) -> bool:
        """Whether a question would be taken at `now_s`, a time of any one clock."""
        pause_s = max(self._every_s, self._took_s / _SHARE)
        return self._running is None and not 0.0 <= now_s - self._asked_at_s < pause_s

    def ask(self, work: Callable[[], T], now_s: float) -> None:
        """Let `work` be done; only while `ready`."""
        self._asked_at_s = now_s
        self._running = self._background.start(lambda: _timed(work))

    def answer(self) -> T | None:
        """The result, once; None while there is none. Raises what the work raised."""
        if self._running is None or not self._running.done():
            return None
        done, self._running = self._running, None
        answer, self._took_s = done.result()
        return answer


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    made = work()
    return made, time.perf_counter() - began
