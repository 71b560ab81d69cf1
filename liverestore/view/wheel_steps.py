"""Notches of a wheel, whatever parts of them a system sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtGui import QWheelEvent

__all__ = ["WheelSteps"]

_NOTCH = 120
"""In Qt's eighths of a degree."""


class WheelSteps:
    """Gathers what fine wheels and touch pads send until it is a notch."""

    def __init__(self) -> None:
        self._turned = 0

    def add(self, event: QWheelEvent) -> int:
        """Whole notches up to now that were not told yet; away from the user is above 0."""
        # Some systems turn the wheel sideways while a modifier key is down.
        turned = event.angleDelta()
        self._turned += turned.y() or turned.x()
        steps = int(self._turned / _NOTCH)
        self._turned -= steps * _NOTCH
        return steps
