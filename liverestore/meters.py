"""Rates and ages of frames, counted without keeping them all. Time is handed in."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["AgeMeter", "RateMeter"]


class RateMeter:
    """Events per second, over the last `window_s` seconds or the last two events."""

    def __init__(self, window_s: float = 2.0) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque()
        self._steps = 0
        self._span_s = 0.0

    def tick(self, now_s: float) -> None:
        """One event."""
        if self._times:
            self._steps += 1
            self._span_s += now_s - self._times[-1]
        self._times.append(now_s)
        while len(self._times) > 2 and self._times[0] < now_s - self._window_s:
            self._times.popleft()

    def pause(self) -> None:
        """No events are due: the time until the next one counts neither here nor in `mean`."""
        self._times.clear()

    def rate(self, now_s: float) -> float | None:
        """Events per second of late; None before the second event.

        Also while all are of one moment: clocks of Windows step by 16 ms.
        """
        times = tuple(self._times)  # ticks and pauses may come from another thread
        if len(times) < 2:
            return None
        span = times[-1] - times[0]
        interval = span / (len(times) - 1)
        silent = now_s - times[-1]
        # A stream that has stopped must not keep its last rate for ever.
        if silent > max(2 * interval, self._window_s):
            span += silent
        return (len(times) - 1) / span if span > 0 else None

    def mean(self) -> float | None:
        """Events per second from the first event to the last one, pauses not counted."""
        return self._steps / self._span_s if self._span_s > 0 else None


class AgeMeter:
    """Percentiles of durations in ms, to 1 % of their value, at a fixed size.

    Counts fall into bins whose edges grow by 1 % from 0.01 ms to about 17 minutes.
    """

    _LOW_MS = 0.01
    _STEP = float(np.log(1.01))
    _BINS = 1850

    def __init__(self, recent: int = 50) -> None:
        self._counts = np.zeros(self._BINS, np.int64)
        self._recent: deque[float] = deque(maxlen=recent)

    def add(self, age_ms: float) -> None:
        """One duration; what is below 0.01 ms counts as that."""
        position = np.log(max(age_ms, self._LOW_MS) / self._LOW_MS) / self._STEP
        self._counts[min(int(position), self._BINS - 1)] += 1
        self._recent.append(age_ms)

    def percentile(self, percent: float) -> float | None:
        """The value that `percent` % of all durations stay below; None without any."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        rank = max(1, int(np.ceil(total * percent / 100)))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        return float(self._LOW_MS * np.exp((index + 0.5) * self._STEP))

    def recent_median(self) -> float | None:
        """Median of the last durations."""
        return float(np.median(self._recent)) if self._recent else None
