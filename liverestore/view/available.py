"""Whether the live view can open here, decided without Qt in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from liverestore.view.probe import PAINT_LIBRARIES, X11_LIBRARIES

__all__ = ["why_no_offscreen", "why_no_view"]

_PROBE = Path(__file__).with_name("probe.py")
_TIMEOUT_S = 60.0
"""A cold disk may need many seconds to load Qt for the first time."""


def why_no_view() -> str | None:
    """Why no window can open, with the remedy, in one line; None when one can.

    A platform set in QT_QPA_PLATFORM is the user's own choice and is tried as it is.
    """
    if (
        sys.platform.startswith("linux")
        and not os.environ.get("QT_QPA_PLATFORM")
        and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    ):
        return (
            "there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set); "
            "run it in a desktop session, or over ssh -X"
        )
    return _why_not(offscreen=False)


def why_no_offscreen() -> str | None:
    """Why the view cannot be painted into a file, with the remedy; None when it can."""
    return _why_not(offscreen=True)


def _why_not(*, offscreen: bool) -> str | None:
    environment = dict(os.environ)
    if offscreen:
        environment["QT_QPA_PLATFORM"] = "offscreen"
    # -P: the modules beside the probe must not stand in for others of their name.
    command = [sys.executable, "-P", str(_PROBE), *(["offscreen"] if offscreen else [])]
    try:
        outcome = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return (
            f"Qt did not start within {_TIMEOUT_S:.0f} s; "
            "check that the display in DISPLAY or WAYLAND_DISPLAY answers"
        )
    return explain(outcome.returncode, outcome.stdout, outcome.stderr)


def explain(returncode: int, stdout: str, stderr: str) -> str | None:
    """What the probe's outcome means for a person; None when Qt started and has fonts."""
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    answer = json.loads(lines[-1]) if lines else {"missing": [], "fonts": None, "error": None}
    if returncode == 0 and answer["fonts"]:
        # A library that Qt was not in need of after all is nobody's concern.
        return None
    missing: list[str] = answer["missing"]
    if missing:
        packages = {**PAINT_LIBRARIES, **X11_LIBRARIES}
        names = " ".join(sorted({packages[library] for library in missing}))
        noun = "library" if len(missing) == 1 else "libraries"
        return (
            f"Qt lacks the system {noun} {', '.join(missing)}; "
            f"install with: sudo apt-get install {names}"
        )
    if answer["error"] is not None:
        return (
            f"Qt cannot be loaded ({_one_line(answer['error'])}); "
            "reinstall with: pip install --force-reinstall PySide6-Essentials pyqtgraph"
        )
    if answer["fonts"] == 0:
        return (
            "Qt found no font to write with; "
            "install one with: sudo apt-get install fontconfig fonts-dejavu-core"
        )
    how = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
    said = _one_line(stderr) or "it said nothing"
    return f"Qt ended while starting ({how}: {said}); check the display with another program"


def _one_line(text: str) -> str:
    """The first thing said, short enough for one line on a screen."""
    words = " ".join(text.split())
    return words if len(words) <= 160 else words[:159] + "…"
