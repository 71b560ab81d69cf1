"""What the keys of the window start."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt

from liverestore.rig_channels import MOST_CHANNELS
from liverestore.view.compare import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.view.window import LiveWindow

__all__ = ["actions_of"]


def actions_of(window: LiveWindow) -> dict[str, Callable[[], object]]:
    """Every action of `shortcuts.SHORTCUTS` to what it does in `window`."""
    acquisition, channels, deck, display = (
        window.acquisition,
        window.channels.bar,
        window.deck,
        window.display,
    )
    return {
        "side_by_side": lambda: window.set_mode(Mode.SIDE_BY_SIDE),
        "curtain": lambda: window.set_mode(Mode.CURTAIN),
        "blink": lambda: window.set_mode(Mode.BLINK),
        "difference": lambda: window.set_mode(Mode.DIFFERENCE),
        "next_mode": display.compare.next_mode,
        "edge_left": lambda: deck.step_edge(-1),
        "edge_right": lambda: deck.step_edge(1),
        "pause": display.compare.toggle_pause,
        "swap": display.compare.swap,
        "fit": window.fit,
        "one_to_one": window.one_to_one,
        "zoom_in": lambda: window.zoom(1.25),
        "zoom_out": lambda: window.zoom(0.8),
        "autostretch": display.auto.toggle,
        "next_lut": display.next_lut,
        "link_levels": display.link.toggle,
        "mark_saturated": window.histogram.mark.toggle,
        "focus_up": lambda: acquisition.step_z(1),
        "focus_down": lambda: acquisition.step_z(-1),
        "snap": acquisition.snap.click,
        "live": acquisition.live.click,
        "record": acquisition.record.click,
        "stop": acquisition.stop.click,
        "snapshot": window.take_snapshot,
        "undo": window.undo.undo,
        "redo": window.undo.redo,
        "look_at_raw": window.look_at_raw,
        "use_rival": acquisition.use_rival.click,
        "close": window.close,
        "full_screen": lambda: _toggle_full_screen(window),
        "theme": window.look.next_theme,
        "large_text": window.look_bar.large_text.toggle,
        "keys": window.keys.toggle,
        "put_away": lambda: _put_away(window),
        "composite": channels.toggle_composite,
        **{f"channel_{n}": partial(channels.choose, n) for n in range(1, MOST_CHANNELS + 1)},
        **window.drawer.actions_by_key,
        **window.measuring.actions,
        **window.refocus.actions,
        **window.stack.actions,
    }


def _put_away(window: LiveWindow) -> None:
    if not window.close_question.isHidden():
        window.close_question.put_away()
        return
    if window.light.put_away() or window.exposure.put_away():
        return
    if window.keys.isHidden():
        window.measuring.disarm()
        window.refocus.points.disarm()
    window.keys.put_away()


def _toggle_full_screen(window: LiveWindow) -> None:
    window.setWindowState(window.windowState() ^ Qt.WindowState.WindowFullScreen)
