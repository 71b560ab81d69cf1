"""Small widgets that Qt lacks: a label that shortens its text, a chooser safe from the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from PySide6.QtCore import QPointF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLabel,
    QScrollArea,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from liverestore.view.key_tips import set_key_tip, without_keys
from liverestore.view.themed import colours_of

if TYPE_CHECKING:
    from PySide6.QtGui import QPaintEvent, QResizeEvent, QWheelEvent

__all__ = [
    "ChoiceBox",
    "ElidedLabel",
    "Follower",
    "TickBox",
    "WrappedLabel",
    "bring_into_view",
    "set_tone",
]

T = TypeVar("T")


class ElidedLabel(QLabel):
    """A one-line label that gives way: too long a text ends in an ellipsis.

    The whole text is in the tool tip unless another one was set.
    """

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """One line high, also when empty, so that nothing moves when text comes."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Allow any width."""
        return QSize(0, self.fontMetrics().height())

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show `text`, shortened where it does not fit."""
        if text != self.text():
            super().setText(text)
            self.setToolTip(text)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw what fits."""
        painter = QPainter(self)
        area = self.contentsRect()
        fitting = self.fontMetrics().elidedText(
            self.text(), Qt.TextElideMode.ElideRight, area.width()
        )
        painter.drawText(area, int(self.alignment()), fitting)
        painter.end()


class WrappedLabel(QLabel):
    """A label of several lines that is never given less height than they need.

    Qt asks for the height at a width, which a scrolled column of widgets does not do.
    """

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setWordWrap(True)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show `text`."""
        if text != self.text():
            super().setText(text)
            self._keep_height()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the height that the lines need at the new width."""
        super().resizeEvent(event)
        # A layout at work does not notice that a minimum changes.
        QTimer.singleShot(0, self, self._keep_height)

    def _keep_height(self) -> None:
        # A minimum that is set already would be taken for what the lines need.
        self.setMinimumHeight(0)
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))


class ChoiceBox(QComboBox):
    """A chooser that the wheel does not change; `tip` as `set_key_tip` takes it."""

    def __init__(
        self, name: str, choices: tuple[str, ...], tip: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(without_keys(tip))
        self._tip = tip
        set_key_tip(self, tip)
        self.addItems(list(choices))
        self._busy = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to others."""
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw it with the arrow that a style sheet takes away; too long a text is shortened."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        room = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        text = self.currentText() if self.currentIndex() >= 0 else self.placeholderText()
        option.currentText = self.fontMetrics().elidedText(
            text, Qt.TextElideMode.ElideRight, room.width()
        )
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        half = self.height() / 7.0
        colour = QColor(colours_of(self)["muted" if self.isEnabled() else "line"])
        painter.setPen(QPen(colour, max(1.6, half / 2.5)))
        x, y = self.width() - 3.2 * half, self.height() / 2.0
        if self._busy:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours_of(self)["warn"]))
            for step in (-1.0, 0.0, 1.0):
                painter.drawEllipse(QPointF(x + step * half, y), half / 3, half / 3)
            painter.end()
            return
        painter.setPen(QPen(QColor(colours_of(self)["muted" if self.isEnabled() else "line"]), 1.6))
        for side in (-1.0, 1.0):
            painter.drawLine(QPointF(x + side * half, y - half / 2), QPointF(x, y + half / 2))
        painter.end()

    def set_tip(self, tip: str) -> None:
        """Say in the tool tip, and to a screen reader, what is chosen here."""
        self._tip = tip
        self.setAccessibleName(without_keys(tip))
        self._show_tip()

    @property
    def busy(self) -> str:
        """What is being done about the choice; empty when nothing is."""
        return self._busy

    def show_busy(self, text: str) -> None:
        """Say in the tool tip what is being done about the choice, with dots for the arrow."""
        if text != self._busy:
            self._busy = text
            self._show_tip()
            self.update()

    def _show_tip(self) -> None:
        set_key_tip(self, "\n".join(t for t in (self._busy, self._tip) if t))

    def show_choice(self, choice: str) -> None:
        """Display `choice` as reported, without telling anyone."""
        if choice == self.currentText():
            return
        blocked = self.blockSignals(True)
        if self.findText(choice) < 0:
            self.addItem(choice)
        self.setCurrentText(choice)
        self.blockSignals(blocked)


class TickBox(QCheckBox):
    """A check box with a tick: a style sheet leaves only a coloured square."""

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw the tick."""
        super().paintEvent(event)
        if not self.isChecked():
            return
        option = QStyleOptionButton()
        self.initStyleOption(option)
        square = self.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(colours_of(self)["field"]), max(1.8, square.width() / 7.0)))
        at = [
            QPointF(square.left() + u * square.width(), square.top() + v * square.height())
            for u, v in ((0.24, 0.54), (0.43, 0.73), (0.78, 0.30))
        ]
        painter.drawPolyline(at)
        painter.end()


class Follower(Generic[T]):
    """Decides whether a control shows what was asked for or what is reported.

    A request shows at once; the report takes over when it agrees or when `patience_s`
    have passed, so that a refused request does not stay on the screen.
    """

    def __init__(self, patience_s: float = 2.0) -> None:
        self._patience_s = patience_s
        self._asked: T | None = None
        self._asked_at_s = 0.0

    @property
    def asked(self) -> T | None:
        """What was asked for and is not there yet."""
        return self._asked

    def ask(self, value: T, now_s: float) -> None:
        """`value` was requested at `now_s`."""
        self._asked = value
        self._asked_at_s = now_s

    def value(self, reported: T | None, now_s: float, *, working: bool = False) -> T | None:
        """What to show at `now_s`; None when nothing is known.

        `working` says that the request is being carried out, however long that takes.
        """
        if self._asked is None:
            return reported
        if working:
            self._asked_at_s = now_s
        if reported == self._asked or now_s - self._asked_at_s > self._patience_s:
            self._asked = None
            return reported
        return self._asked


def bring_into_view(widget: QWidget) -> None:
    """Scroll the area that `widget` is in, if any, until all of it is seen."""
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
            return
        parent = parent.parentWidget()


def set_tone(widget: QWidget, tone: str) -> None:
    """Colour `widget` by the style sheet's rule for `tone`."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
