"""The keys of the live view, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PySide6.QtWidgets import QWidget

__all__ = ["SHORTCUTS", "bind_shortcuts"]

SHORTCUTS: dict[str, tuple[str, ...]] = {
    "fit": ("F",),
    "one_to_one": ("1",),
    "zoom_in": ("+", "="),
    "zoom_out": ("-",),
    "autostretch": ("A",),
    "next_lut": ("L",),
    "focus_up": ("PgUp",),
    "focus_down": ("PgDown",),
    "stop": ("Ctrl+.",),
    "close": ("Ctrl+W",),
    "full_screen": ("F11",),
}
"""Action to the keys that start it. Single letters, because a field in which one types
keeps them to itself."""


def bind_shortcuts(window: QWidget, actions: Mapping[str, Callable[[], object]]) -> None:
    """Let the keys of `SHORTCUTS` start `actions`, wherever the focus is in `window`."""
    for action, run in actions.items():
        for key in SHORTCUTS[action]:
            QShortcut(QKeySequence(key), window).activated.connect(run)
