"""What a process holds, read from /proc, and how fast that grows.

The growth is the Theil-Sen slope (Theil 1950, Sen 1968: the median of the slopes of all pairs of
points) of block medians. Samples a few seconds apart are not independent, since an allocator keeps
what it has; the medians of some twenty blocks are nearly so, and a single spike moves none of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from scipy import stats

WARM_UP = 0.2
"""This part of a run, its first one, is left out: libraries load, pools and caches fill."""
BLOCKS = 20
UNCLEAR = 5.0
"""An interval that reaches beyond so many tolerances shows nothing, also where it holds 0."""
MEMORY_MB_PER_HOUR = 10.0
"""Tolerance: 120 MB in a night of twelve hours."""
COUNT_PER_HOUR = 0.5
"""Tolerance for handles, threads and segments: six in such a night."""

Verdict = Literal["flat", "grows", "unclear"]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one process holds at one moment."""

    rss_mb: float
    """Resident, pages shared with other processes counted whole."""
    pss_mb: float
    """Resident, each shared page divided among those that share it."""
    own_mb: float
    """Resident and of no file: what it asked for itself. Nobody else's doings change it."""
    handles: int
    threads: int
    shared: int
    """Maps of shared memory: /dev/shm and memfd."""


class Slope(msgspec.Struct, frozen=True, kw_only=True):
    """Growth of one quantity, in its unit per hour, with the 95 % interval."""

    per_hour: float
    low: float
    high: float
    first: float
    """Median of the first block after the warming up, and of the last one."""
    last: float
    verdict: Verdict


def held(pid: int) -> Held | None:
    """Of process `pid`; None where it has gone."""
    place = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        memory = _kib(place / "smaps_rollup")
        status = _kib(place / "status", ("Threads",))
        maps = (place / "maps").read_text(encoding="utf-8", errors="replace")
        return Held(
            rss_mb=memory["Rss"] * 1024 / 1e6,
            pss_mb=memory["Pss"] * 1024 / 1e6,
            own_mb=memory["Anonymous"] * 1024 / 1e6,
            handles=sum(1 for _ in (place / "fd").iterdir()),
            threads=status["Threads"],
            shared=sum(" /dev/shm/" in line or "/memfd:" in line for line in maps.splitlines()),
        )
    return None


def _kib(path: Path, names: Sequence[str] = ("Rss", "Pss", "Anonymous")) -> dict[str, int]:
    found = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name in names:
            found[name] = int(value.split()[0])
    if len(found) < len(names):  # as of a process that has ended and is not waited for yet
        raise ProcessLookupError(path)
    return found


def slope(
    hours: Sequence[float], values: Sequence[float], tolerance: float, blocks: int = BLOCKS
) -> Slope:
    """Growth of `values` (N,) sampled at `hours` (N,), judged against `tolerance` per hour.

    "flat": the interval lies below the tolerance, or holds 0 and is not wider than `UNCLEAR`
    tolerances. "grows": it lies above 0 and reaches above the tolerance. Raises ValueError for
    fewer than two samples a block.
    """
    kept = np.flatnonzero(np.asarray(hours) >= hours[0] + WARM_UP * (hours[-1] - hours[0]))
    if len(kept) < 2 * blocks:
        raise ValueError(f"got {len(kept)} samples after the warming up; {2 * blocks} are needed")
    parts = np.array_split(kept, blocks)
    x = np.array([np.median(np.asarray(hours)[part]) for part in parts])
    y = np.array([np.median(np.asarray(values, float)[part]) for part in parts])
    per_hour, _, low, high = stats.theilslopes(y, x, alpha=0.95)
    return Slope(
        per_hour=float(per_hour),
        low=float(low),
        high=float(high),
        first=float(y[0]),
        last=float(y[-1]),
        verdict=_verdict(float(low), float(high), tolerance),
    )


def _verdict(low: float, high: float, tolerance: float) -> Verdict:
    if high <= tolerance:
        return "flat"
    if low > 0:
        return "grows"
    return "flat" if high <= UNCLEAR * tolerance else "unclear"
