"""The mean of an ROI over time, one point for each frame that was shown; no Qt."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["CSV_HEAD", "Trace", "TraceColumns", "TracePoint"]

CSV_HEAD = (
    "number,time_s,raw_mean_counts,restored_mean_counts,chip_x_px,chip_y_px,width_px,height_px"
)


@dataclass(frozen=True, slots=True)
class TracePoint:
    """One frame: the mean of the ROI in it, in counts."""

    number: int
    captured_ns: int
    chip: tuple[int, int, int, int]
    """The ROI, (x, y, width, height) on the chip in binned pixels."""
    raw: float
    restored: float = math.nan
    """Not a number as long as the frame was shown without its restored one."""


@dataclass(frozen=True, slots=True, eq=False)
class TraceColumns:
    """The points in the order of their numbers, one array entry each."""

    number: NDArray[np.int64]
    time_s: NDArray[np.float64]
    """From the first frame since the trace was cleared."""
    raw: NDArray[np.float64]
    restored: NDArray[np.float64]
    joined: NDArray[np.bool_]
    """Whether the next point is of the very next frame and of the same ROI."""


class Trace:
    """The newest points: at most `capacity`, none older than `span_s` before the newest.

    Points are known by the frame's number, so that a frame counts once however often it
    is painted; nothing is made up between them.
    """

    def __init__(self, capacity: int = 2000, span_s: float = 60.0) -> None:
        self._capacity = capacity
        self._span_ns = round(span_s * 1e9)
        self._points: dict[int, TracePoint] = {}
        self._order: list[int] = []
        self._series: tuple[str, str | None, int] | None = None
        self._first_ns: int | None = None

    def __len__(self) -> int:
        return len(self._points)

    def clear(self) -> None:
        """Forget all points; time starts again with the next one."""
        self._points.clear()
        self._order.clear()
        self._first_ns = None

    def begin(self, run_id: str, channel: str | None = None, channels: int = 1) -> None:
        """Points to come are of this run and channel; those of others are forgotten.

        Of `channels` that are taken in turn, each gets every so many-th number.
        """
        if (run_id, channel, channels) != self._series:
            self._series = (run_id, channel, channels)
            self.clear()

    def point(self, number: int) -> TracePoint | None:
        """The point of a frame, if it has one."""
        return self._points.get(number)

    def put(self, point: TracePoint) -> None:
        """Add `point`, or replace the one with its number."""
        if point.number not in self._points:
            insort(self._order, point.number)
        self._points[point.number] = point
        if self._first_ns is None:
            self._first_ns = point.captured_ns
        newest_ns = self._points[self._order[-1]].captured_ns
        drop = max(0, len(self._order) - self._capacity)
        while newest_ns - self._points[self._order[drop]].captured_ns > self._span_ns:
            drop += 1
        for number in self._order[:drop]:
            del self._points[number]
        del self._order[:drop]

    def columns(self) -> TraceColumns:
        """All points."""
        points = [self._points[number] for number in self._order]
        first_ns = self._first_ns or 0
        step = 1 if self._series is None else self._series[2]
        return TraceColumns(
            np.array(self._order, dtype=np.int64),
            np.array([(p.captured_ns - first_ns) / 1e9 for p in points], dtype=np.float64),
            np.array([p.raw for p in points], dtype=np.float64),
            np.array([p.restored for p in points], dtype=np.float64),
            np.array(
                [
                    after.number == p.number + step and after.chip == p.chip
                    for p, after in pairwise(points)
                ]
                + [False] * bool(points),
                dtype=np.bool_,
            ),
        )

    def csv(self) -> str:
        """One line per frame after the head `CSV_HEAD`; an empty field for no restored one."""
        first_ns = self._first_ns or 0
        lines = [CSV_HEAD]
        for number in self._order:
            p = self._points[number]
            restored = "" if math.isnan(p.restored) else f"{p.restored:.6g}"
            chip = ",".join(str(value) for value in p.chip)
            seconds = (p.captured_ns - first_ns) / 1e9
            lines.append(f"{number},{seconds:.6f},{p.raw:.6g},{restored},{chip}")
        return "\n".join(lines) + "\n"
