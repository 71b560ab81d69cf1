"""How often a process of a run may die before it is left alone."""

from __future__ import annotations

from collections import deque

__all__ = ["MOST_RESTARTS", "Restarts"]

MOST_RESTARTS = 5
_WITHIN_S = 600.0
"""Deaths that lie longer ago count no more: in a night a driver may fail now and then."""


class Restarts:
    """The deaths of each process in the last ten minutes; time is handed in."""

    def __init__(self) -> None:
        self._deaths: dict[str, deque[float]] = {}

    def after_death(self, name: str, now_s: float) -> float | None:
        """When `name`, which has just died, is to be started again; None: not any more."""
        deaths = self._deaths.setdefault(name, deque())
        while deaths and deaths[0] < now_s - _WITHIN_S:
            deaths.popleft()
        before = len(deaths)
        if before >= MOST_RESTARTS:
            return None
        deaths.append(now_s)
        return now_s + min(before, 4) * 0.5
