"""What every source stamps on its frames: the run's name, and when a frame came."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta

__all__ = ["capture_moment", "new_run_id", "waited_s"]

_LONGEST_WAIT_S = 600.0


def new_run_id() -> str:
    """A name that no two runs share and that sorts by time, "20261122T201500Z-9f2c"."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def capture_moment(ago_s: float = 0.0) -> tuple[int, str]:
    """The moment `ago_s` ago, as `FrameHeader.captured_ns` and `FrameHeader.captured_utc`."""
    moment = datetime.now(UTC) - timedelta(seconds=ago_s)
    return time.perf_counter_ns() - round(ago_s * 1e9), moment.isoformat(timespec="microseconds")


def waited_s(received: str | None) -> float:
    """How long ago the core received an image, from its tag `TimeReceivedByCore`.

    The tag is local wall-clock time, "2026-11-22 20:42:04.230774". Without it, or where the
    clock was set meanwhile, 0: the image is then as old as its arrival here.
    """
    try:
        waited = (datetime.now() - datetime.fromisoformat(received or "")).total_seconds()
    except ValueError:
        return 0.0
    return waited if 0.0 <= waited < _LONGEST_WAIT_S else 0.0
