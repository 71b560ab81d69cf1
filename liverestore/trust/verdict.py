"""One honest light with its reason, that does not flicker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

__all__ = ["GRAVITY", "Finding", "Level", "Steady", "Verdict", "kind_of"]

Level = Literal["unjudged", "untested", "green", "amber", "red"]

GRAVITY: tuple[Level, ...] = ("unjudged", "untested", "green", "amber", "red")
"""From what alarms nobody to what alarms most."""
_ORDER = {"unjudged": 0, "untested": 0, "green": 0, "amber": 1, "red": 2}
_RISES_AFTER = 2
_FALLS_AFTER = 8


def kind_of(words: str) -> str:
    """`words` without their numbers: the same warning with another number is no other warning.

    >>> kind_of("3.3 % are saturated") == kind_of("12 % are saturated")
    True
    """
    return re.sub(r"[\d.]+", "#", words)


class Verdict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the data say about the restored images of now."""

    level: Level = "untested"
    """Untested: nothing speaks against them and not enough frames were looked at yet. Unjudged:
    nothing speaks against the frames, and results of this kind are not tested at all."""
    reason: str = ""
    """The one that weighs most, in words."""
    others: tuple[str, ...] = ()
    """What else was found, in words."""
    numbers: dict[str, float] = {}
    """Of the last look, for the record; none is invented where it was not measured."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that speaks against a restored image."""

    key: str
    """Names the kind, the same from look to look."""
    level: Literal["amber", "red"]
    words: str


class Steady:
    """Lets a finding in when two looks in a row have it, and out when eight in a row have not.

    Words and level are those of the last look that had it.
    """

    def __init__(self, *, rises_after: int = _RISES_AFTER, falls_after: int = _FALLS_AFTER) -> None:
        self._rises_after, self._falls_after = rises_after, falls_after
        self._seen: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._kept: dict[str, Finding] = {}

    def update(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        """The findings in force after a look that had `findings`, the gravest first."""
        now = {finding.key: finding for finding in findings}
        self._seen = {key: self._seen.get(key, 0) + 1 for key in now}
        for key, finding in now.items():
            kept = self._kept.get(key)
            if kept is not None or self._seen[key] >= self._rises_after:
                # From amber to red only what was red twice.
                self._kept[key] = finding
            self._gone.pop(key, None)
        for key in [key for key in self._kept if key not in now]:
            self._gone[key] = self._gone.get(key, 0) + 1
            if self._gone[key] >= self._falls_after:
                del self._kept[key], self._gone[key]
        return tuple(sorted(self._kept.values(), key=lambda f: (-_ORDER[f.level], f.key)))
