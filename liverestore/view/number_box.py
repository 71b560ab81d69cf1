"""A field for a number: safe from the wheel, and nothing counts but Enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QLocale, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QDoubleSpinBox, QWidget

if TYPE_CHECKING:
    from PySide6.QtGui import QFocusEvent, QResizeEvent, QWheelEvent

__all__ = ["NumberBox"]


class NumberBox(QDoubleSpinBox):
    """A number that the wheel changes only where one has clicked into it.

    Scrolling across the window must not change the light or move the objective. Typed
    numbers count when Enter is pressed, which also hands the keys back to the image; Escape,
    and leaving the field, bring back what is reported. Ctrl keys start what they start
    elsewhere in the window, except those that copy and paste.
    """

    def __init__(
        self,
        name: str,
        *,
        low: float,
        high: float,
        decimals: int,
        suffix: str = "",
        tip: str = "",
        lowest: str = "",
        parent: QWidget | None = None,
    ) -> None:
        """`lowest`: words that are shown in place of the lowest number, where that means them."""
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(tip)
        self.setToolTip(tip)
        self.setRange(low, high)
        self.setDecimals(decimals)
        self.setSuffix(suffix)
        self._lowest = lowest
        self.setSpecialValueText(lowest)
        self.setKeyboardTracking(False)
        # A point in every country: the numbers are compared with those in files.
        self.setLocale(QLocale.c())
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._reported: float | None = None
        """What is to be shown when the focus is gone; None: nothing new."""
        self.valueChanged.connect(self._forget_reported)
        self.editingFinished.connect(self.clearFocus)

    def textFromValue(self, value: float) -> str:  # noqa: N802 - Qt's name
        """`value` without zeros that say nothing."""
        text = f"{value:.{self.decimals()}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Keep the text off the border, which the style sheet does not."""
        super().resizeEvent(event)
        gap = self.height() // 5
        self.lineEdit().setTextMargins(gap, 0, 0, 0)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Ignore the wheel without focus."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def event(self, event: QEvent) -> bool:
        """Keep Escape, and leave to the window the Ctrl keys that it may have."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            if event.key() == Qt.Key.Key_Escape:
                event.accept()
                return True
            if event.modifiers() & Qt.KeyboardModifier.ControlModifier and not self._edits(event):
                event.ignore()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        """Escape discards what was typed, as leaving the field does."""
        if event.key() == Qt.Key.Key_Escape:
            self.clearFocus()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: N802 - Qt's name
        """Forget what was typed without Enter; the menu of the field is no leaving."""
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self._show_silently(self.value() if self._reported is None else self._reported)
            self.lineEdit().setModified(False)
        super().focusOutEvent(event)

    def show_unknown(self) -> None:
        """Display a dash: there is no value, and none can be set."""
        self.setEnabled(False)
        # Qt shows the special text in place of the lowest value.
        self.setSpecialValueText("\u2013")
        self._show_silently(self.minimum())

    def show_value(self, value: float) -> None:
        """Display `value` as reported, without telling anyone; with focus, when that is gone."""
        if self.hasFocus():
            self._reported = value
            return
        self.setEnabled(True)
        if self.specialValueText() != self._lowest:
            self.setSpecialValueText(self._lowest)
        if value != self.value():
            self._show_silently(value)

    def _edits(self, event: QKeyEvent) -> bool:
        """Whether the key of `event` does something to the text that no other key does."""
        keys = QKeySequence.StandardKey
        own = [keys.Copy, keys.Cut, keys.Paste, keys.SelectAll]
        if self.lineEdit().isModified():
            own += [keys.Undo, keys.Redo]
        return any(event.matches(key) for key in own)

    def _forget_reported(self) -> None:
        self._reported = None

    def _show_silently(self, value: float) -> None:
        self._reported = None
        blocked = self.blockSignals(True)
        self.setValue(value)
        self.blockSignals(blocked)
