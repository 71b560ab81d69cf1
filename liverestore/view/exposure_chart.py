"""The curve of an exposure series in a tool of the drawer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.view.exposure_plot import fill_exposure_plot
from liverestore.view.themed import colours_of, dress_plot

if TYPE_CHECKING:
    from PySide6.QtGui import QWheelEvent

    from liverestore.status_exposure import ExposureResult

__all__ = ["ExposureChart"]

_HEIGHT_PX = 190


class ExposureChart(pg.PlotWidget):  # type: ignore[misc]
    """Quality against exposure; both axes always fit what is shown."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._scale = 1.0
        self.shown: ExposureResult | None = None
        """The series on the screen."""
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        # Half of a number stands out over either end of an axis.
        self.getPlotItem().layout.setContentsMargins(2, 7, 14, 2)
        self.rescale(1.0)

    def show_result(self, found: ExposureResult) -> None:
        """Show another series."""
        self.shown = found
        self._paint()

    def rescale(self, scale: float) -> None:
        """Fit height, text and lines to a text that is `scale` times the normal size."""
        self._scale = scale
        self.setFixedHeight(round(_HEIGHT_PX * scale))
        self._paint()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the theme of the window."""
        super().changeEvent(event)
        # The first ones come from Qt's own constructor.
        if event.type() == QEvent.Type.StyleChange and hasattr(self, "shown"):
            self._paint()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to whoever scrolls the tools."""
        event.ignore()

    def _paint(self) -> None:
        self.clear()
        if self.shown is not None:
            fill_exposure_plot(self, self.shown, colours_of(self), 0.75 * self._scale)
        dress_plot(self, self._scale)
        self.getAxis("bottom").setHeight(round(33 * self._scale))
