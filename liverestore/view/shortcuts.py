"""The keys of the live view, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence, QShortcut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from PySide6.QtWidgets import QWidget

__all__ = ["MEANINGS", "SHORTCUTS", "bind_shortcuts"]

SHORTCUTS: dict[str, tuple[str, ...]] = {
    "side_by_side": ("S",),
    "curtain": ("C",),
    "blink": ("B",),
    "difference": ("D",),
    "next_mode": ("M",),
    "edge_left": ("Left",),
    "edge_right": ("Right",),
    "pause": ("P",),
    "swap": ("X",),
    "fit": ("F",),
    "one_to_one": ("1",),
    "zoom_in": ("+", "="),
    "zoom_out": ("-",),
    "autostretch": ("A",),
    "next_lut": ("L",),
    "link_levels": ("Shift+L",),
    "histogram": ("H",),
    "mark_saturated": ("Shift+S",),
    "roi": ("R",),
    "line_profile": ("K",),
    "delete_shape": ("Del",),
    "focus_up": ("PgUp",),
    "focus_down": ("PgDown",),
    "snap": ("Ctrl+K",),
    "live": ("Ctrl+L",),
    "record": ("Ctrl+R",),
    "stop": ("Ctrl+.",),
    "snapshot": ("Ctrl+S",),
    "undo": ("Ctrl+Z",),
    "redo": ("Ctrl+Shift+Z",),
    "look_at_raw": ("O",),
    "use_rival": ("Ctrl+B",),
    "close": ("Ctrl+W",),
    "full_screen": ("F11",),
    "keys": ("?",),
    "put_away": ("Esc",),
}
"""Action to the keys that start it. Single letters, because a field in which one types
keeps them to itself."""

MEANINGS: dict[str, str] = {
    "side_by_side": "raw and restored side by side",
    "curtain": "curtain: restored left of the edge, raw right of it",
    "blink": "blink: raw and restored in turn",
    "difference": "difference, in units of the noise",
    "next_mode": "next way to compare",
    "edge_left": "move the curtain's edge to the left",
    "edge_right": "move the curtain's edge to the right",
    "pause": "pause blinking, or go on",
    "swap": "show the other image and stay with it (blink)",
    "fit": "show the whole frame",
    "one_to_one": "one camera pixel on one screen pixel",
    "zoom_in": "zoom in",
    "zoom_out": "zoom out",
    "autostretch": "autostretch on or off",
    "next_lut": "next LUT",
    "link_levels": "the same levels for raw and restored, or each its own",
    "histogram": "show or hide the histogram",
    "mark_saturated": "mark saturated pixels of the raw image",
    "roi": "ROI: draw it; again: put it away",
    "line_profile": "line profile: draw a line; again: put it away",
    "delete_shape": "delete the ROI or the line touched last",
    "focus_up": "focus up by one step",
    "focus_down": "focus down by one step",
    "snap": "Snap: take one frame while Live is off",
    "live": "Live: let the camera run, or pause it",
    "record": "Record: write raw frames to a new file, or close it",
    "stop": "close the recording and pause the camera",
    "snapshot": "snapshot of what is on the screen",
    "undo": "undo the last change",
    "redo": "do it again",
    "look_at_raw": "compare with a second engine: look at raw in its place",
    "use_rival": "compare with a second engine: let the two change places",
    "close": "close the view; the run goes on",
    "full_screen": "full screen",
    "keys": "this list",
    "put_away": "put this list away; dragging pans the image again",
}
"""Action to what the list of keys says of it."""


def bind_shortcuts(window: QWidget, actions: Mapping[str, Callable[[], object]]) -> None:
    """Let the keys of `SHORTCUTS` start `actions`, wherever the focus is in `window`."""
    for action, run in actions.items():
        for key in SHORTCUTS[action]:
            QShortcut(QKeySequence(key), window).activated.connect(run)
