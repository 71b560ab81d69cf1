"""A source whose camera another program drives, and what is different about it."""

from __future__ import annotations

from collections import deque
from typing import Protocol, runtime_checkable

__all__ = ["FollowedSource", "followed_source"]


@runtime_checkable
class FollowedSource(Protocol):
    """It says itself why no image comes, and its images may change their size at any time."""

    notices: deque[str]
    """Lines for the person, appended to; whoever reads them may set a deque of its own."""
    events: deque[str]
    """Lines on what went as it should, likewise."""

    @property
    def unseen(self) -> int:
        """Images of the run that the other program had and nobody here saw: none was lost."""
        ...


def followed_source(source: object) -> FollowedSource | None:
    """`source`, where another program drives its camera; None: it is driven here."""
    return source if isinstance(source, FollowedSource) else None
