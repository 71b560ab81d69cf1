"""A thread that gives way to those that people wait for."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

__all__ = ["lower_priority"]


def lower_priority(by: int) -> None:
    """Add `by` to the niceness of this thread, where the system has such a thing and lets us."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + by)
