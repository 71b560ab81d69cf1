"""How long the disk of a recording lasts."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["DiskWatch", "seconds_left"]

_LOOK_EVERY_S = 1.0


def seconds_left(
    free_bytes: int | None, frame_bytes: int | None, rates_hz: tuple[float | None, ...]
) -> float | None:
    """Free bytes over bytes per second, of frames of `frame_bytes` that are written at each
    of `rates_hz`. None where the free space, the size or every rate is unknown or 0.

    >>> seconds_left(10_000_000, 1000, (25.0, 15.0, None))
    250.0
    """
    per_s = (frame_bytes or 0) * sum(rate for rate in rates_hz if rate is not None)
    return free_bytes / per_s if free_bytes is not None and per_s > 0 else None


class DiskWatch:
    """The free space of a folder's disk, asked at most once a second."""

    def __init__(
        self,
        free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = free_bytes
        self._now_s = now_s
        self._seen: tuple[Path, float, int | None] | None = None

    def free_bytes(self, folder: Path) -> int | None:
        """Bytes that a user may still write; None where the disk does not say."""
        now = self._now_s()
        if self._seen is None or self._seen[0] != folder or now - self._seen[1] >= _LOOK_EVERY_S:
            try:
                free = self._ask(folder)
            except OSError:
                free = None  # the folder went away; the writer says so
            self._seen = folder, now, free
        return self._seen[2]
