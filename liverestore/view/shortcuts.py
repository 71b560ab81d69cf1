"""The keys of the live view, in one table, and how they reach their actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QKeyCombination, QObject, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut

from liverestore.errors import Failure
from liverestore.rig_channels import MOST_CHANNELS
from liverestore.view.keymap import Keymap, load_keys, save_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from PySide6.QtGui import QKeyEvent
    from PySide6.QtWidgets import QWidget

__all__ = [
    "GROUPS",
    "MEANINGS",
    "SHORTCUTS",
    "KeyBindings",
    "groups",
    "key_pressed",
    "portable_key",
    "shown_key",
]

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
    "light": ("I",),
    "refocus": ("V",),
    "refocus_up": ("]",),
    "refocus_down": ("[",),
    "stack": ("Shift+V",),
    "stack_on": ("Ctrl+Shift+V",),
    "stack_view": ("Shift+M",),
    "stack_deeper": (".",),
    "stack_shallower": (",",),
    "composite": ("Ctrl+0",),
    **{f"channel_{n}": (f"Ctrl+{n}",) for n in range(1, MOST_CHANNELS + 1)},
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
    "theme": ("F8",),
    "large_text": ("F9",),
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
    "edge_left": "curtain's edge to the left",
    "edge_right": "curtain's edge to the right",
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
    "light": "show or hide Light: dose and budget",
    "refocus": "show or hide Refocus, where the engine refocuses",
    "refocus_up": "refocus one step deeper into the sample (Shift + wheel)",
    "refocus_down": "refocus one step towards the coverslip",
    "stack": "show or hide Stack, its settings",
    "stack_on": "virtual stack on or off",
    "stack_view": "next way to look at the stack",
    "stack_deeper": "one plane deeper (wheel over it)",
    "stack_shallower": "one plane towards the coverslip",
    "composite": "composite of the ticked channels, or one alone",
    **{f"channel_{n}": f"channel {n} of the rig alone" for n in range(1, MOST_CHANNELS + 1)},
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
    "close": "close the view; ends the run unless it is recording",
    "full_screen": "full screen",
    "theme": "dark or light theme",
    "large_text": "larger text, or normal",
    "keys": "this list",
    "put_away": "put this list away; dragging pans the image again",
}
"""Action to what the list of keys says of it."""


GROUPS: dict[str, tuple[str, ...]] = {
    "Compare": (
        "side_by_side",
        "curtain",
        "blink",
        "difference",
        "next_mode",
        "edge_left",
        "edge_right",
        "pause",
        "swap",
        "look_at_raw",
        "use_rival",
    ),
    "Zoom": ("fit", "one_to_one", "zoom_in", "zoom_out"),
    "Contrast": ("autostretch", "next_lut", "link_levels", "mark_saturated", "histogram"),
    "Channels": ("composite", *(f"channel_{n}" for n in range(1, MOST_CHANNELS + 1))),
    "Measure": ("roi", "line_profile", "delete_shape"),
    "Microscope": (
        "snap",
        "live",
        "record",
        "stop",
        "focus_up",
        "focus_down",
    ),
    "Refocus and virtual stack": (
        "refocus",
        "refocus_up",
        "refocus_down",
        "stack",
        "stack_on",
        "stack_view",
        "stack_deeper",
        "stack_shallower",
        "light",
    ),
    "Changes and pictures": ("undo", "redo", "snapshot"),
    "Window": ("full_screen", "theme", "large_text", "keys", "put_away", "close"),
}
"""Groups of the list of keys; an action that is in none of them stands under "Tools"."""

_REST = "Tools"

_REPEATED = (
    *("edge_left", "edge_right", "zoom_in", "zoom_out"),
    *("focus_up", "focus_down", "refocus_up", "refocus_down"),
    *("stack_deeper", "stack_shallower"),
)
"""Actions that go on while their key is held."""


def groups(actions: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`actions` by group, none left out, in the order in which they are listed."""
    listed = {action for members in GROUPS.values() for action in members}
    rest = tuple(action for action in actions if action not in listed)
    found = {
        name: tuple(action for action in members if action in actions)
        for name, members in GROUPS.items()
    }
    last = {"Window": found.pop("Window")}
    found[_REST] = (*found.get(_REST, ()), *rest)
    return {name: members for name, members in {**found, **last}.items() if members}


def portable_key(text: str) -> str | None:
    """`text` as "Ctrl+K" is written in every country and system; None where it is no key.

    >>> portable_key("ctrl+shift+k"), portable_key("Left"), portable_key("nonsense")
    ('Ctrl+Shift+K', 'Left', None)
    """
    sequence = QKeySequence(text, QKeySequence.SequenceFormat.PortableText)
    if sequence.count() != 1:
        return None
    return sequence.toString(QKeySequence.SequenceFormat.PortableText) or None


def shown_key(key: str) -> str:
    """`key` as this system writes it."""
    sequence = QKeySequence(key, QKeySequence.SequenceFormat.PortableText)
    return sequence.toString(QKeySequence.SequenceFormat.NativeText)


_MODIFIERS = (
    Qt.Key.Key_Shift,
    Qt.Key.Key_Control,
    Qt.Key.Key_Alt,
    Qt.Key.Key_AltGr,
    Qt.Key.Key_Meta,
    Qt.Key.Key_CapsLock,
    Qt.Key.Key_NumLock,
    Qt.Key.Key_unknown,
)


def key_pressed(event: QKeyEvent) -> str | None:
    """The key of `event` as in `SHORTCUTS`; None while only Shift, Ctrl or the like is down."""
    key = Qt.Key(event.key())
    if key in _MODIFIERS:
        return None
    modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    text = event.text()
    if len(text) == 1 and text.isprintable() and not text.isalpha() and text != " ":
        # "?" is Shift and another key in every country: the sign counts.
        modifiers &= ~Qt.KeyboardModifier.ShiftModifier
    sequence = QKeySequence(QKeyCombination(modifiers, key))
    return sequence.toString(QKeySequence.SequenceFormat.PortableText) or None


class KeyBindings(QObject):
    """Lets keys start actions, wherever the focus is in `window`; keeps the user's own keys.

    `own_keys` is the file of the user's own keys; with None there are only the usual ones.
    """

    renewed = Signal()
    """The keys of some action are other ones now."""

    def __init__(self, window: QWidget, own_keys: Path | None = None) -> None:
        super().__init__(window)
        self._window = window
        self._path = own_keys
        self._actions: Mapping[str, Callable[[], object]] = {}
        self._shortcuts: list[QShortcut] = []
        self.keymap = Keymap(SHORTCUTS)
        self.notice = "" if own_keys is None else load_keys(self.keymap, own_keys, portable_key)
        """What a person should know of the file; empty where it is as it should be."""

    def bind(self, actions: Mapping[str, Callable[[], object]]) -> None:
        """Let the keys of `SHORTCUTS`, or the user's own, start `actions`."""
        self._actions = actions
        self.renew()

    def renew(self) -> None:
        """Let the keys be those of the keymap."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []
        for action, run in self._actions.items():
            for key in self.keymap.keys(action):
                shortcut = QShortcut(QKeySequence(key), self._window)
                # A second recording, or a row of undone changes, is not what holding a key means.
                shortcut.setAutoRepeat(action in _REPEATED)
                shortcut.activated.connect(run)
                self._shortcuts.append(shortcut)
        self.renewed.emit()

    def shown(self, action: str) -> str:
        """The keys of `action` as this system writes them; empty where it has none."""
        return ", ".join(shown_key(key) for key in self.keymap.keys(action))

    def store(self) -> None:
        """Use the changed keymap from now on, and remember it for all rigs."""
        self.renew()
        self.notice = ""
        if self._path is None:
            return
        try:
            save_keys(self.keymap, self._path, portable_key)
        except Failure as failure:
            self.notice = str(failure)
