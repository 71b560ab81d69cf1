"""Where the parts of the live window stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["arrange", "images_beside"]


def images_beside(deck: QWidget, panel: QWidget, parent: QWidget) -> QSplitter:
    """The images, and beside them a panel that one can make wider or narrower."""
    splitter = QSplitter(Qt.Orientation.Horizontal, parent)
    splitter.setChildrenCollapsible(False)
    splitter.addWidget(deck)
    splitter.addWidget(panel)
    splitter.setStretchFactor(0, 3)
    splitter.setStretchFactor(1, 2)
    return splitter


def arrange(
    window: QWidget,
    *,
    bars: Sequence[QWidget],
    images: QWidget,
    drawer: QWidget,
    bottom: tuple[QWidget, QWidget],
) -> None:
    """`bars` above each other, `images` with the `drawer` beside them, the `bottom` line."""
    column = QVBoxLayout(window)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    for bar in bars:
        column.addWidget(bar)
    row = QHBoxLayout()
    row.setSpacing(0)
    row.addWidget(images, 1)
    row.addWidget(drawer)
    column.addLayout(row, 1)
    line = QHBoxLayout()
    line.setSpacing(0)
    line.addWidget(bottom[0], 1)
    line.addWidget(bottom[1])
    column.addLayout(line)
