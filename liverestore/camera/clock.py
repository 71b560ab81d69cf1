"""Time as sources see it; handed in, so that a test can step it."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "RealClock", "SteppedClock"]


class Clock(Protocol):
    """Seconds from an arbitrary start, and a way to let them pass."""

    def now(self) -> float:
        """Seconds; never runs backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class RealClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Seconds of the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep; a duration that is not above 0 returns at once."""
        if seconds > 0:
            time.sleep(seconds)


class SteppedClock:
    """A clock that moves only when somebody sleeps on it or steps it.

    >>> clock = SteppedClock()
    >>> clock.sleep(0.25)
    >>> clock.now()
    0.25
    """

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Seconds slept or stepped so far."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._now += max(0.0, seconds)
