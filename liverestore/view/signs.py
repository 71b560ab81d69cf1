"""Buttons with a drawn sign: no font has to have it, and it follows theme and size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QPushButton, QWidget

from liverestore.view.key_tips import set_key_tip, without_keys
from liverestore.view.themed import colours_of

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent

__all__ = ["RecordButton", "Sign", "SignButton"]

Sign = Literal["undo", "redo", "snapshot"]

_DOT = "#ff4d4d"
_DOT_OFF = "#8a4a4a"


class SignButton(QPushButton):
    """A button that shows one sign and no words; `tip` (see `set_key_tip`) says what it does."""

    def __init__(self, sign: Sign, tip: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName(sign)
        self.setAccessibleName(without_keys(tip))
        set_key_tip(self, tip)
        self._sign = sign

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the sign on the button."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = QColor(colours_of(self)["text" if self.isEnabled() else "disabled"])
        side = 0.52 * self.height()
        painter.setPen(
            QPen(
                colour,
                max(1.3, side / 9),
                Qt.PenStyle.SolidLine,
                Qt.PenCapStyle.RoundCap,
                Qt.PenJoinStyle.RoundJoin,
            )
        )
        painter.translate(self.width() / 2, self.height() / 2)
        painter.scale(-1.0 if self._sign == "redo" else 1.0, 1.0)
        if self._sign == "snapshot":
            _draw_camera(painter, side)
        else:
            _draw_turn(painter, side)
        painter.end()


class RecordButton(QPushButton):
    """The word Record with a red dot; checked while frames are being written."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Record", parent)
        self.setObjectName("record")
        self.setCheckable(True)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the dot left of the word."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colour = _DOT if self.isEnabled() else _DOT_OFF
        if self.isChecked():
            colour = colours_of(self)["stop_text"]
        painter.setBrush(QColor(colour))
        half = self.height() / 6.0
        painter.drawEllipse(QPointF(self.height() / 2.0, self.height() / 2.0), half, half)
        painter.end()


def _draw_turn(painter: QPainter, side: float) -> None:
    """An arrow that turns back to the left, around (0, 0)."""
    half = side / 2
    path = QPainterPath(QPointF(-half, -0.14 * side))
    path.lineTo(QPointF(0.12 * side, -0.14 * side))
    path.arcTo(QRectF(-0.2 * side, -0.14 * side, 0.64 * side, 0.6 * side), 90, -180)
    path.lineTo(QPointF(-0.16 * side, 0.46 * side))
    painter.drawPath(path)
    for way in (-1.0, 1.0):
        painter.drawLine(
            QPointF(-half, -0.14 * side), QPointF(-0.2 * side, (-0.14 + 0.29 * way) * side)
        )


def _draw_camera(painter: QPainter, side: float) -> None:
    """A photo camera around (0, 0)."""
    half = side / 2
    body = QRectF(-half * 1.15, -half * 0.62, half * 2.3, half * 1.55)
    painter.drawRoundedRect(body, half * 0.25, half * 0.25)
    painter.drawLine(QPointF(-half * 0.4, -half * 0.95), QPointF(half * 0.4, -half * 0.95))
    painter.drawEllipse(QPointF(0.0, half * 0.15), half * 0.42, half * 0.42)
