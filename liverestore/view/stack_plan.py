"""Which virtual stack is wanted: its planes, within the engine's reach, and their time; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from liverestore.errors import UserError
from liverestore.refocus import ZStack, parse_zstack
from liverestore.view.status_cells import duration_text
from liverestore.wire import MAX_PLANES

if TYPE_CHECKING:
    from liverestore.frame import Restored

__all__ = ["StackPlan", "ms_per_plane", "plan_words"]

_DECIMALS = 3
"""A nanometre: finer than any focus drive, and short to read."""
_STEP_UM = 0.01
"""The finest change of a step that can be typed."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Distances in um from the plane in focus, positive deeper into the sample."""

    start_um: float = -5.0
    stop_um: float = 5.0
    step_um: float = 1.0

    @classmethod
    def of(cls, text: str) -> StackPlan | None:
        """The plan that the run reports as `text`; None where it is no stack."""
        try:
            parse_zstack(text)
        except UserError:
            return None
        start, stop, step = (float(part) for part in text.split(":"))
        return cls(start, stop, step)

    @property
    def text(self) -> str:
        """For `SetZStack`."""
        return f"{self.start_um:g}:{self.stop_um:g}:{self.step_um:g}"

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Start, stop and step."""
        return self.start_um, self.stop_um, self.step_um

    @property
    def planes(self) -> ZStack:
        """The planes. Raises `UserError` where it is no stack, see `trouble`."""
        return parse_zstack(self.text)

    @property
    def trouble(self) -> str:
        """Why it is no stack, in one line; empty where it is one."""
        if self.start_um >= self.stop_um:
            return "“from” is not smaller than “to”: type a smaller number there"
        if self.step_um > self.stop_um - self.start_um:
            return "the step is longer than the way: take a smaller one"
        least_um = (self.stop_um - self.start_um) / (MAX_PLANES - 1)
        if self.step_um < least_um:
            # Upwards, to what the field takes: what is offered must be allowed.
            offered_um = math.ceil(least_um / _STEP_UM) * _STEP_UM
            return f"more than {MAX_PLANES} planes: take a step of {offered_um:.2f} µm or more"
        return ""

    def within(self, reach_um: float) -> StackPlan:
        """The same plan, as far as an engine of that reach can make it."""
        start = max(-reach_um, min(reach_um, self.start_um))
        stop = max(-reach_um, min(reach_um, self.stop_um))
        return replace(self, start_um=round(start, _DECIMALS), stop_um=round(stop, _DECIMALS))


def ms_per_plane(made: Restored) -> float:
    """How long restoring took for each plane of `made`, of one plane where it has no stack.

    Planes of one batch share their times.
    """
    parts = made.planes or (made,)
    spans = {(p.provenance.started_ns, p.provenance.finished_ns) for p in parts}
    return sum(end - start for start, end in spans) / len(parts) / 1e6


def plan_words(plan: StackPlan, plane_ms: float | None, fps: float | None = None) -> str:
    """How many planes, and about how long they will take; what is wrong, where it is no stack.

    Where the camera gives more frames, `fps` a second, than the engine will make stacks, it says
    what that means.
    """
    trouble = plan.trouble
    if trouble:
        return trouble
    count = plan.planes.count
    words = f"{count} planes"
    if plane_ms is not None:
        took = duration_text(plane_ms)
        whole_ms = count * plane_ms
        words += f", about {duration_text(whole_ms)} a stack ({took} a plane, measured)"
        if fps is not None and whole_ms * fps > 1000:
            words += (
                f". The camera gives a frame every {duration_text(1000 / fps)}: the restored image "
                "follows as fast as the stacks, frames between them are skipped"
            )
    return words
