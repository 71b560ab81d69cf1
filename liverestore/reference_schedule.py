"""When a bright reference shot is due among the frames of Live, and how bright it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from liverestore.errors import UserError

__all__ = [
    "USUAL_EXPOSURE",
    "ReferencePlan",
    "ReferenceSchedule",
    "reference_plan",
]

USUAL_EXPOSURE = "10x"
_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}
_LONGEST_S = 86_400.0
_LONGEST_MS = 600_000.0
"""As `SetExposure` takes it."""
_MOST_FACTOR = 1000.0
_NUMBER = r"(\d+(?:\.\d+)?)"


@dataclass(frozen=True, slots=True)
class ReferencePlan:
    """One reference shot every so often; one of each pair of fields is None."""

    every_s: float | None
    every_frames: int | None
    exposure_ms: float | None
    factor: float | None
    """Of the exposure of the frames."""

    def exposure_for(self, frame_ms: float) -> float:
        """Exposure of the shot among frames of `frame_ms`, both in ms."""
        if self.exposure_ms is not None:
            return self.exposure_ms
        assert self.factor is not None
        return self.factor * frame_ms

    @property
    def words(self) -> str:
        """For people.

        >>> reference_plan("90s", "10x").words
        'every 90 s, 10 times the exposure'
        """
        often = f"{self.every_s:g} s" if self.every_s is not None else f"{self.every_frames} frames"
        bright = (
            f"{self.exposure_ms:g} ms"
            if self.exposure_ms is not None
            else f"{self.factor:g} times the exposure"
        )
        return f"every {often}, {bright}"


def reference_plan(
    every: str, exposure: str, *, places: tuple[str, str] = ("every", "exposure")
) -> ReferencePlan:
    """From "10min", "90s", "2h" or "500frames", and "400ms" or "10x".

    Raises `UserError`, naming the one of `places` that is wrong.
    """
    often = re.fullmatch(rf"{_NUMBER}\s*(s|min|h|frames)", every.strip())
    every_s: float | None = None
    every_frames: int | None = None
    if often is not None and often[2] == "frames":
        number = float(often[1])
        every_frames = int(number) if number.is_integer() and number >= 1 else None
    elif often is not None:
        seconds = float(often[1]) * _UNITS_S[often[2]]
        every_s = seconds if 0 < seconds <= _LONGEST_S else None
    if every_s is None and every_frames is None:
        raise UserError(
            f"{places[0]}: got {every!r}, allowed is a time up to a day such as 90s, 10min or 2h, "
            "or a number of frames such as 500frames"
        )
    bright = re.fullmatch(rf"{_NUMBER}\s*(ms|x)", exposure.strip())
    value = float(bright[1]) if bright is not None else 0.0
    in_ms = bright is not None and bright[2] == "ms"
    if not (0 < value <= _LONGEST_MS if in_ms else 1 < value <= _MOST_FACTOR):
        raise UserError(
            f"{places[1]}: got {exposure!r}, allowed is a time up to {_LONGEST_MS:g}ms such as "
            f"400ms, or how many times the exposure of the frames, such as 10x (up to "
            f"{_MOST_FACTOR:g}x)"
        )
    return ReferencePlan(
        every_s,
        every_frames,
        value if in_ms else None,
        None if in_ms else value,
    )


class ReferenceSchedule:
    """Says when the next shot is due; the first at once, one that comes late delays the others.

    >>> schedule = ReferenceSchedule(reference_plan("10s", "10x"))
    >>> schedule.due(0.0, 1)
    True
    >>> schedule.passed(0.0, 1)
    >>> schedule.due(9.0, 2), schedule.due(10.0, 3)
    (False, True)
    """

    def __init__(self, plan: ReferencePlan) -> None:
        self.plan = plan
        self._last: tuple[float, int] | None = None

    def due(self, now_s: float, frames: int) -> bool:
        """Whether it is time, at `now_s` of any one clock, after `frames` frames of the run."""
        if self._last is None:
            return True
        then_s, then_frames = self._last
        if self.plan.every_s is not None:
            return now_s - then_s >= self.plan.every_s
        assert self.plan.every_frames is not None
        return frames - then_frames >= self.plan.every_frames

    def passed(self, now_s: float, frames: int) -> None:
        """A shot was taken, or left out."""
        self._last = now_s, frames
