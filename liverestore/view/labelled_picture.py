"""A picture with words above its columns, beside its rows and a scale bar, as a PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from liverestore.errors import Failure
from liverestore.view.offscreen import offscreen_application
from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Span", "save_labelled"]

_ABOVE, _BELOW, _EDGE = 34, 40, 10
_TEXT_PX = 15

Span = tuple[int, int]
"""First pixel and length of a column or a row in the picture."""


def save_labelled(
    pixels: NDArray[np.uint8],
    path: Path,
    *,
    columns: Sequence[tuple[str, Span]],
    rows: Sequence[tuple[str, Span]],
    bar: tuple[str, int],
) -> None:
    """Write `pixels` (Y, X, 3) uint8 with words around it.

    `bar` is the text of the scale bar and its length in pixels. Raises `Failure` where the file
    cannot be written or Qt has no font.
    """
    app = offscreen_application()
    image = np.ascontiguousarray(pixels)
    tall, wide = image.shape[:2]
    inside = QImage(image.data, wide, tall, 3 * wide, QImage.Format.Format_RGB888)
    font = QFont(app.font())
    font.setPixelSize(_TEXT_PX)
    beside = max(QFontMetrics(font).horizontalAdvance(text) for text, _ in rows) + 2 * _EDGE
    whole = QImage(beside + wide + _EDGE, _ABOVE + tall + _BELOW, QImage.Format.Format_RGB888)
    whole.fill(QColor(COLOURS["window"]))
    painter = QPainter(whole)
    painter.setFont(font)
    painter.setPen(QColor(COLOURS["text"]))
    painter.drawImage(beside, _ABOVE, inside)
    centre = Qt.AlignmentFlag.AlignCenter
    for text, (begin, length) in columns:
        painter.drawText(QRect(beside + begin, 0, length, _ABOVE), centre, text)
    for text, (begin, length) in rows:
        painter.drawText(QRect(0, _ABOVE + begin, beside, length), centre, text)
    text, length = bar
    left, top = beside, _ABOVE + tall + _BELOW // 2
    painter.fillRect(left, top - 2, length, 4, QColor(COLOURS["text"]))
    room = QRect(left + length + _EDGE, top - _BELOW // 2, wide - length, _BELOW)
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
    painter.end()
    if not whole.save(str(path.expanduser()), "PNG"):  # type: ignore[call-overload]
        raise Failure(f"cannot write {path}: is the folder there, writable and not full?")
