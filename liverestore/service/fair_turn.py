"""One graphics card for several runs: whoever has waited longest computes next."""

from __future__ import annotations

import threading
from collections import deque

__all__ = ["FairTurn", "Share"]


class FairTurn:
    """A lock that is handed on in the order of asking.

    `threading.Lock` may be taken again and again by the one that has just let it go, so that a
    run with short frames would starve the others. Here each waits for one frame, or one batch of a
    stack, of each other run at most.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    def take(self) -> None:
        """Wait for the turn."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def give(self) -> None:
        """Hand the turn to the one that has waited longest."""
        with self._lock:
            if self._waiting:
                # It stays taken: nobody who asks in between comes first.
                self._waiting.popleft().set()
            else:
                self._taken = False

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)


class Share:
    """One run's use of a `FairTurn`; used from its thread alone."""

    def __init__(self, turn: FairTurn) -> None:
        self._turn = turn
        self._mine = False

    def take(self) -> None:
        """Wait for the turn, unless it is here already."""
        if not self._mine:
            self._turn.take()
            self._mine = True

    def give(self) -> None:
        """Hand it on, if it is here."""
        if self._mine:
            self._mine = False
            self._turn.give()

    def pass_on(self) -> None:
        """Let one computation of each of those that wait go first."""
        if self._mine and self._turn.wanted:
            self.give()
            self.take()
