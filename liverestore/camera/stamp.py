"""What every source stamps on its frames: the run's name, and when a frame came."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime

__all__ = ["capture_moment", "new_run_id"]


def new_run_id() -> str:
    """A name that no two runs share and that sorts by time, "20261122T201500Z-9f2c"."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def capture_moment() -> tuple[int, str]:
    """Now, as `FrameHeader.captured_ns` and `FrameHeader.captured_utc`."""
    return time.monotonic_ns(), datetime.now(UTC).isoformat(timespec="microseconds")
