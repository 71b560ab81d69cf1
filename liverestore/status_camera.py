"""What is told of a camera that was away in mid-run."""

from __future__ import annotations

import msgspec

__all__ = ["Absence", "absence_now"]


class Absence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One time without a camera."""

    reason: str
    from_utc: str
    """ISO 8601; by the clock on the wall, for people."""
    to_utc: str | None = None
    """When its first frame came again; None: not yet, or never."""
    seconds: float
    """How long, by a clock that runs evenly; so far, where it is not over."""
    after: int
    """Number of the last frame before."""
    until: int | None = None
    """Number of the first frame after."""
    next_try_s: float | None = None
    """Until the camera is tried again; None: it is there, or not asked for."""


def absence_now(absences: tuple[Absence, ...]) -> Absence | None:
    """The last of `absences`, oldest first, if it is not over."""
    return absences[-1] if absences and absences[-1].to_utc is None else None
