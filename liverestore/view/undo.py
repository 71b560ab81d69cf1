"""What the user changed in the view, so that it can be undone and done again; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Change", "History"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One setting that went from `before` to `after`."""

    what: str
    """The setting in the user's words, for example "exposure"."""
    before: T
    after: T
    put: Callable[[T], object]
    """Gives the setting a value, by the way that the user's own change took."""
    words: Callable[[T], str] = str
    """A value as it is read on the screen, with its unit."""
    gathers: bool = False
    """Whether changes in quick succession count as one: turning a number, not choosing."""

    @property
    def name(self) -> str:
        """What was changed, from what to what."""
        return f"{self.what} {self.words(self.before)} → {self.words(self.after)}"


class History:
    """Changes in their order, and how far back the user has gone.

    Time is handed in, in seconds of any one clock. A change of a setting that `gathers`
    joins the one before when it comes within `gather_s` of it. The oldest are forgotten
    beyond `most`.
    """

    def __init__(self, *, gather_s: float = 1.0, most: int = 200) -> None:
        self._gather_s = gather_s
        self._most = most
        self._done: list[Change[Any]] = []
        self._undone: list[Change[Any]] = []
        self._added_at_s: float | None = None
        self._putting = False

    @property
    def undo_name(self) -> str | None:
        """What `undo` would take back; None with nothing to undo."""
        return self._done[-1].name if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What `redo` would do again; None with nothing to redo."""
        return self._undone[-1].name if self._undone else None

    def add(self, change: Change[Any], now_s: float) -> None:
        """The user made `change`; what had been undone can no longer be done again.

        Nothing is kept of a change that changed nothing, nor of one that comes from an
        `undo` or `redo` at work.
        """
        if self._putting or change.before == change.after:
            return
        self._undone.clear()
        last = self._done[-1] if self._done else None
        recent = self._added_at_s is not None and now_s - self._added_at_s <= self._gather_s
        self._added_at_s = now_s
        if last is not None and recent and change.gathers and last.what == change.what:
            self._done.pop()
            change = replace(change, before=last.before)
            if change.before == change.after:
                return
        self._done.append(change)
        del self._done[: -self._most]

    def undo(self) -> Change[Any] | None:
        """Take the last change back and return it; None with nothing to undo."""
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        self._put(change, change.before)
        return change

    def redo(self) -> Change[Any] | None:
        """Do the last undone change again and return it; None with nothing to redo."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        self._put(change, change.after)
        return change

    def _put(self, change: Change[T], value: T) -> None:
        # What comes next is a change of its own, however soon.
        self._added_at_s = None
        self._putting = True
        try:
            change.put(value)
        finally:
            self._putting = False
