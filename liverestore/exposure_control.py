"""Holds the photons of a picture as the sample bleaches, by changing the exposure.

Noise is known, so what a restored picture is worth at a given exposure depends on how many
photoelectrons its structure gives: a sample that has bleached to a half is, exposed for twice as
long, as good as before. What is held is therefore light, never a score of the restored picture
itself, which an engine can make look good.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from liverestore.errors import UserError

__all__ = ["Change", "ExposureController", "Limits"]

_LARGEST_STEP = 1.1
"""Factor from one exposure to the next."""
_DEAD_BAND = 0.05
"""Photons may be so far off, relative to the target, before anything is changed."""
_ROUNDED = 0.01
"""Of the target: there a change that has begun ends."""
_SAME = 0.01
"""Cameras round exposures to their own steps."""
_JUDGED_FRAMES = 9
"""Of which the median counts, so that what passes through the field changes nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Within which the exposure may be changed. Raises `UserError` for limits that cross."""

    shortest_ms: float
    longest_ms: float
    period_ms: float | None = None
    """Time from frame to frame that is to be kept; None: frames may become fewer."""

    def __post_init__(self) -> None:
        if not 0 < self.shortest_ms <= self.top_ms:
            raise UserError(
                f"exposure controller: got exposures from {self.shortest_ms:g} to "
                f"{self.longest_ms:g} ms and a frame every {self.period_ms or self.top_ms:g} ms; "
                "the shortest must be above 0 and fit below the others"
            )

    @property
    def top_ms(self) -> float:
        """The longest exposure allowed, which ends before the next frame is due."""
        return self.longest_ms if self.period_ms is None else min(self.longest_ms, self.period_ms)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about the exposure, for the record and the screen."""

    exposure_ms: float
    why: str


@dataclass(slots=True)
class ExposureController:
    """Told of each frame, says when to change the exposure. Off until `on` is set.

    `target_e`: photoelectrons of the structure in one frame, at the exposure that was advised.
    Between a change and the first frame that has it nothing is judged.

    >>> control = ExposureController(100.0, Limits(1.0, 50.0), on=True)
    >>> changes = [control.frame(10.0, 80.0) for _ in range(9)]
    >>> changes[-1].exposure_ms
    11.0
    """

    target_e: float
    limits: Limits
    on: bool = False
    held_back: Literal["", "longest", "shortest", "budget", "trust"] = ""
    """What keeps it from the target."""
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_JUDGED_FRAMES))
    _asked_ms: float | None = None
    _correcting: bool = False

    def __post_init__(self) -> None:
        if not self.target_e > 0:
            raise UserError(
                f"exposure controller: got a target of {self.target_e:g} photoelectrons, allowed "
                "is more than 0"
            )

    def frame(
        self,
        exposure_ms: float,
        structure_e: float,
        *,
        frames_left: int | None = None,
        may_lower: bool = True,
    ) -> Change | None:
        """Judge a frame whose structure gave `structure_e` photoelectrons in `exposure_ms`.

        `frames_left`: exposures that the budget of light still holds; with fewer than the
        controller needs to judge, it asks for no more light. `may_lower`: whether there is no
        reason to distrust the pictures; else they get no less light. None for no change.
        """
        if not self.on or not structure_e > 0:
            return None
        if self._asked_ms is not None and abs(exposure_ms / self._asked_ms - 1) > _SAME:
            # Exposed before the change.
            return None
        self._asked_ms = exposure_ms
        self._recent.append(structure_e)
        if len(self._recent) < _JUDGED_FRAMES:
            return None
        ratio = self.target_e / median(self._recent)
        if abs(ratio - 1) <= (_ROUNDED if self._correcting else _DEAD_BAND):
            self._correcting, self.held_back = False, ""
            return None
        self._correcting = True
        if ratio > 1 and frames_left is not None and frames_left < _JUDGED_FRAMES:
            self.held_back = "budget"
            return None
        if ratio < 1 and not may_lower:
            self.held_back = "trust"
            return None
        step = min(max(ratio, 1 / _LARGEST_STEP), _LARGEST_STEP)
        wanted_ms = exposure_ms * step
        next_ms = min(max(wanted_ms, self.limits.shortest_ms), self.limits.top_ms)
        self.held_back = (
            "longest" if next_ms < wanted_ms else "shortest" if next_ms > wanted_ms else ""
        )
        if abs(next_ms / exposure_ms - 1) < 1e-3:
            return None
        self._asked_ms = next_ms
        self._recent.clear()
        less = "less" if ratio > 1 else "more"
        return Change(
            next_ms,
            f"the structure gives {100 * abs(1 - 1 / ratio):.0f} % {less} light than wanted",
        )

    def exposure_set(self, exposure_ms: float) -> None:
        """Take over an exposure that a person or the camera has set instead."""
        self._asked_ms = exposure_ms
        self._recent.clear()
        self._correcting = False
