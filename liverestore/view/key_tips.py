"""Tool tips that name keys, and follow them when the user gives an action others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from liverestore.view.shortcuts import SHORTCUTS, shown_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liverestore.view.shortcuts import KeyBindings

__all__ = ["set_key_tip", "show_keys_in_tips", "without_keys"]

_TIP, _NAMES = "keyTip", "keyNames"
_KEYS = re.compile(r"([ \n])\(\{(\w+)\}([^)]*)\)")

_USUAL = {action: ", ".join(map(shown_key, keys)) for action, keys in SHORTCUTS.items()}


def set_key_tip(widget: QWidget, tip: str) -> None:
    """Let `tip` be the tool tip of `widget`, with the keys that its window has now.

    " ({fit})" names the keys of the action "fit", as does " ({fit}: words)"; the whole of it
    goes away while the action has none. A word in braces that is no action stays as it is.
    """
    if widget.property(_TIP) != tip:
        widget.setProperty(_TIP, tip)
        _show(widget, _names_of(widget.window()))


def without_keys(tip: str) -> str:
    """`tip` where keys are not to be named: what a screen reader says."""
    return _KEYS.sub(lambda found: "" if found[2] in _USUAL else found[0], tip)


def show_keys_in_tips(window: QWidget, bindings: KeyBindings) -> None:
    """Name the keys of `bindings` in all tool tips of `window`, also in those to come."""
    names = {action: bindings.shown(action) for action in bindings.keymap.actions}
    window.setProperty(_NAMES, names)
    for widget in window.findChildren(QWidget):
        _show(widget, names)


def _names_of(window: QWidget) -> Mapping[str, str]:
    names = window.property(_NAMES)
    return names if isinstance(names, dict) else _USUAL


def _show(widget: QWidget, names: Mapping[str, str]) -> None:
    tip = widget.property(_TIP)
    if isinstance(tip, str):
        widget.setToolTip(_KEYS.sub(lambda found: _named(found, names), tip))


def _named(found: re.Match[str], names: Mapping[str, str]) -> str:
    before, action, words = found.groups()
    if action not in _USUAL:
        return found[0]
    keys = names.get(action, "")
    return f"{before}({keys}{words})" if keys else ""
