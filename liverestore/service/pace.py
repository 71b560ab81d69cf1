"""When the next frame of a slow time-lapse is due."""

from __future__ import annotations

from liverestore.camera.clock import Clock, RealClock

__all__ = ["Pace"]


class Pace:
    """Says every `interval_s` that it is time, the first time at once.

    A frame that comes late does not delay those after it; moments that were missed are left
    out, since a burst would not make up for them.
    """

    def __init__(self, interval_s: float, clock: Clock | None = None) -> None:
        self._interval_s = interval_s
        self._clock = clock or RealClock()
        self._due_s: float | None = None

    def due(self, patience_s: float) -> bool:
        """Wait for the moment for `patience_s` at most; whether it has come."""
        now = self._clock.now()
        due = now if self._due_s is None else self._due_s
        if due - now > patience_s:
            self._clock.sleep(patience_s)
            return False
        self._clock.sleep(max(0.0, due - now))
        missed = max(0.0, self._clock.now() - due) // self._interval_s
        self._due_s = due + (missed + 1) * self._interval_s
        return True
