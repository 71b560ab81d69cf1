"""Tries to start Qt, as a program of its own: Qt may end the process that tries.

Run as `python probe.py [offscreen]`. Prints one JSON object: `missing` (system libraries
that cannot be loaded), `fonts` (number of font families; null when Qt did not start) and
`error` (text of the Python error, or null). Uses the standard library only until Qt.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

__all__ = ["FONT_ALIASES", "PAINT_LIBRARIES", "X11_LIBRARIES"]

FONT_ALIASES = frozenset({"Monospace", "Sans Serif", "Serif"})
"""Families that Qt lists with fontconfig even where not one font is installed."""

PAINT_LIBRARIES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1",
}
"""What Qt's libraries need to paint at all: file name to Debian package."""

X11_LIBRARIES = {
    "libX11-xcb.so.1": "libx11-xcb1",
    "libxcb.so.1": "libxcb1",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
"""What Qt's plugin for X11 screens needs besides."""


def _missing(libraries: dict[str, str]) -> list[str]:
    """Those of `libraries` that the loader refuses."""
    refused = []
    for name in libraries:
        try:
            ctypes.CDLL(name)
        except OSError:
            refused.append(name)
    return refused


def _say(answer: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    # Qt may abort next; what is known must be out by then.
    sys.stdout.flush()


def _main(offscreen: bool) -> None:
    missing: list[str] = []
    if sys.platform.startswith("linux"):
        wanted = dict(PAINT_LIBRARIES)
        if not offscreen and os.environ.get("DISPLAY"):
            wanted.update(X11_LIBRARIES)
        missing = _missing(wanted)
    answer: dict[str, object] = {"missing": missing, "fonts": None, "error": None}
    _say(answer)
    try:
        import pyqtgraph  # noqa: F401
        from PySide6.QtGui import QFontDatabase
        from PySide6.QtWidgets import QApplication
    except ImportError as error:
        _say({**answer, "error": str(error)})
        return
    app = QApplication([sys.argv[0]])
    _say({**answer, "fonts": len(set(QFontDatabase.families()) - FONT_ALIASES)})
    app.quit()


if __name__ == "__main__":
    _main("offscreen" in sys.argv[1:])
