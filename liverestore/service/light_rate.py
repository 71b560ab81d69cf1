"""How much of the time the light is on, and the dose an hour that comes of it."""

from __future__ import annotations

from collections import deque

__all__ = ["LightRate"]

_WINDOW_NS = 10_000_000_000
_FEWEST = 8
"""Frames that are looked at however long ago they were: a slow time-lapse has no others."""
_MOST = 4096


class LightRate:
    """Over the last ten seconds, or the last eight frames where those took longer."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, float, float | None]] = deque(maxlen=_MOST)
        """(captured_ns, on_ms, dose_j_cm2)"""

    def add(self, captured_ns: int, on_ms: float, dose_j_cm2: float | None) -> None:
        """A frame for which the light was on for `on_ms`."""
        frames = self._frames
        frames.append((captured_ns, on_ms, dose_j_cm2))
        while len(frames) > _FEWEST and captured_ns - frames[0][0] > _WINDOW_NS:
            frames.popleft()

    def pause(self) -> None:
        """Frames that follow have nothing to do with those before."""
        self._frames.clear()

    def now(self) -> tuple[float | None, float | None]:
        """(share of the time, J/cm2 an hour); None before the second frame, or not known."""
        frames = list(self._frames)
        if len(frames) < 2:
            return None, None
        span_ns = frames[-1][0] - frames[0][0]
        if span_ns <= 0:
            return None, None
        share = min(1.0, sum(on_ms for _, on_ms, _ in frames[1:]) * 1e6 / span_ns)
        doses = [dose for _, _, dose in frames[1:] if dose is not None]
        per_hour = sum(doses) * 3.6e12 / span_ns if len(doses) == len(frames) - 1 else None
        return share, per_hour
