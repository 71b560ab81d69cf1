"""Undo and redo of the window: the history, its buttons, and what goes into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from liverestore.view.undo import Change, History

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.view.acquisition_bar import AcquisitionBar

__all__ = ["UndoKeeper"]

T = TypeVar("T")


class UndoKeeper:
    """Keeps the user's changes; `bar` shows what would be undone and done again.

    `now_s` gives the time in seconds of any one clock.
    """

    def __init__(self, bar: AcquisitionBar, now_s: Callable[[], float]) -> None:
        self._bar = bar
        self._now_s = now_s
        self._history = History()

    def add(self, change: Change[Any]) -> None:
        """The user made `change`."""
        self._history.add(change, self._now_s())
        self._show()

    def watch(
        self,
        what: str,
        get: Callable[[], T],
        put: Callable[[T], object],
        act: Callable[[], object],
        *,
        words: Callable[[T], str] = str,
        gathers: bool = False,
    ) -> None:
        """Let `act` change the setting that `get` reads and `put` sets, and keep it."""
        before = get()
        act()
        self.add(Change(what, before, get(), put, words, gathers=gathers))

    def forget(self) -> None:
        """Begin anew: what was set so far was not the user's change."""
        self._history = History()
        self._show()

    def undo(self) -> None:
        """Take the last change back."""
        self._history.undo()
        self._show()

    def redo(self) -> None:
        """Do the last undone change again."""
        self._history.redo()
        self._show()

    def _show(self) -> None:
        self._bar.show_history(self._history.undo_name, self._history.redo_name)
