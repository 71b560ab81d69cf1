"""Warns while frames still fit into memory that the disk is slower than the camera."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["QueueWatch"]

_WARN, _CALM = 0.5, 0.2
"""Shares of the memory for waiting frames: where it is told, and where it is told anew after."""
_RATE_FROM = 0.25
"""From this share on it is measured how fast the memory fills."""


class QueueWatch:
    """One line when half of the memory for waiting frames is full, and one when it has emptied.

    Time is handed in, in seconds of a clock that runs evenly.
    """

    def __init__(
        self, tell: Callable[[str], None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = tell
        self._now_s = now_s
        self._warned = False
        self._since: tuple[float, float] | None = None
        """When it was a quarter full, and how full."""

    def look(self, queued_bytes: int, limit_bytes: int) -> None:
        """So much waits now, of so much that is allowed."""
        share = queued_bytes / limit_bytes if limit_bytes > 0 else 0.0
        if share < _CALM:
            if self._warned:
                self._tell("the disk has caught up with the camera: no frame was lost")
            self._warned, self._since = False, None
            return
        if self._since is None and share >= _RATE_FROM:
            self._since = self._now_s(), share
        if self._warned or share < _WARN:
            return
        self._warned = True
        self._tell(
            "the disk is slower than the camera: frames wait in memory and fill "
            f"{100 * share:.0f} % of the {limit_bytes / 1e6:.0f} MB that are allowed"
            f"{self._lasts(share)}; then the recording stops. Record to a faster disk, lower the "
            "frame rate or choose a smaller ROI"
        )

    def _lasts(self, share: float) -> str:
        if self._since is None:
            return ""
        at_s, had = self._since
        lasted_s = self._now_s() - at_s
        if share <= had or lasted_s <= 0:
            return ""
        return f", the rest in about {(1 - share) / (share - had) * lasted_s:.0f} s at this rate"
