"""One entry of the status line, and short forms of rates and times; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["NOT_KNOWN", "Cell", "Tone", "count_text", "fps_text", "time_left_text"]

NOT_KNOWN = "\u2013"


class Tone(Enum):
    """How urgently a text is to be seen."""

    NORMAL = "normal"
    GOOD = "good"
    MUTED = "muted"
    WARN = "warn"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of the status line."""

    name: str
    value: str
    tone: Tone = Tone.NORMAL
    detail: str = ""
    """The whole text where `value` is a short form; empty where it is not."""
    aside: str = ""
    """Said smaller, beside the value."""
    label: str = ""
    """Stands over the value in place of the name; empty: the name does."""


def count_text(number: int) -> str:
    """`number` with a narrow space at the thousands, which is no comma in any language."""
    return f"{number:,}".replace(",", "\u202f")


def time_left_text(seconds: float) -> str:
    """How long the disk lasts; rounded down, so that it never promises too much.

    >>> time_left_text(59.9), time_left_text(754), time_left_text(12_000), time_left_text(4e5)
    ('59 s', '12 min', '3 h 20 min', '4 days')
    """
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} days"


def fps_text(rate: float | None) -> str:
    """A rate in frames per second.

    >>> fps_text(9.96), fps_text(107.4)
    ('10.0 fps', '107 fps')
    """
    if rate is None:
        return NOT_KNOWN
    return f"{rate:.0f} fps" if rate >= 99.5 else f"{rate:.1f} fps"
