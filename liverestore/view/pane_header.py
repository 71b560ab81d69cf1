"""What stands over an image: its name, how it was made, when it was captured, its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from liverestore.view.widgets import ElidedLabel, set_tone

if TYPE_CHECKING:
    from PySide6.QtGui import QResizeEvent, QShowEvent

    from liverestore.view.display import PaneState
    from liverestore.view.moment import Moment
    from liverestore.view.status_cells import Cell

__all__ = ["PaneHeader"]

_NUMBER_SHARE = 0.4
"""Of the width, at most, that the frame numbers of many channels keep for themselves."""
_LIGHT_SHARE = 0.55
"""Of the width, at most, that the words beside the trust light take; else the light alone."""


class PaneHeader(QWidget):
    """One line. Caption, title, then the time of capture give way to the light of what can be
    believed and to the frame number; the date is written where there is room for it.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("paneHeader")
        self.light = QLabel(self)
        self.light.setObjectName("trustLight")
        self.light.setVisible(False)
        self.title = self._label("paneTitle")
        self.caption = self._label("paneCaption")
        self.caption.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.time = self._label("paneTime")
        self.frame_label = self._label("paneFrame")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.addWidget(self.light)
        for label in (self.title, self.caption, self.time, self.frame_label):
            self._row.addWidget(label, 1 if label is self.caption else 0)
        self._shown: tuple[str, str, str, Moment | None] | None = None
        self._light: Cell | None = None

    def show_state(self, state: PaneState) -> None:
        """Write what `state` says of the image."""
        shown = (state.title, state.caption, state.frame_label, state.moment)
        if shown == self._shown:
            return
        self._shown = shown
        self.title.setText(state.title)
        self.caption.setText(state.caption)
        self.frame_label.setText(state.frame_label)
        self._fit()

    def show_light(self, cell: Cell | None) -> None:
        """Say what the data say of the image, with the whole text on hover; None: nothing."""
        self.light.setVisible(cell is not None)
        if cell is not None and cell != self._light:
            self.light.setToolTip(cell.detail)
            set_tone(self.light, cell.tone.value)
        self._light = cell
        self._fit()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._row.setSpacing(round(10 * scale))
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Write the date where there is room for it now."""
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Fonts are known only now."""
        super().showEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Any width: what is asked of the window must not depend on the width that it gave."""
        return QSize(0, super().minimumSizeHint().height())

    def _fit(self) -> None:
        moment = self._shown[3] if self._shown is not None else None
        light = self._fit_light()
        number = self.frame_label.sizeHint().width()
        self.frame_label.setMinimumWidth(min(number, round(_NUMBER_SHARE * self.width())))
        metrics = self.time.fontMetrics()
        room = self.width() - self.frame_label.minimumWidth() - 3 * self._row.spacing() - light
        # Rather no time than one that lies on the frame's number. Decided before it is shown:
        # to show and to hide it each time would have the window laid out without end.
        fits = moment is not None and metrics.horizontalAdvance(moment.forms[-1]) <= room
        self.time.setVisible(fits)
        if moment is None or not fits:
            return
        others = self.title.sizeHint().width() + number + 3 * self._row.spacing() + light
        caption = self.caption.sizeHint().width()
        text = next(
            (
                form
                for form in moment.forms
                if others + caption + metrics.horizontalAdvance(form) + 2 <= self.width()
            ),
            moment.forms[-1],
        )
        self.time.setText(text)
        self.time.setToolTip(moment.detail)
        self.time.setMinimumWidth(self.time.sizeHint().width())

    def _fit_light(self) -> int:
        """Write what of the light there is room for; the width that it takes, with its gap."""
        if self._light is None:
            return 0
        lamp, _, _ = self._light.value.partition(" ")
        whole = self.light.fontMetrics().horizontalAdvance(self._light.value)
        self.light.setText(self._light.value if whole <= _LIGHT_SHARE * self.width() else lamp)
        width = self.light.sizeHint().width()
        self.light.setMinimumWidth(width)
        return width + self._row.spacing()

    def _label(self, name: str) -> ElidedLabel:
        label = ElidedLabel(self)
        label.setObjectName(name)
        return label
