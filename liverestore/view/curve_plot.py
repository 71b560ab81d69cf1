"""A plot of raw and restored on one axis, in the colours that they have in every plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.view.theme import plot_colours
from liverestore.view.themed import dress_plot, theme_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CurvePlot"]

_NOTHING = np.zeros(0)


class CurvePlot(pg.PlotWidget):  # type: ignore[misc]
    """Two curves over one abscissa; both axes always fit what is shown.

    With `dots`, every point is a dot and lines only join those that `joined` says.
    """

    def __init__(self, parent: QWidget, *, x_name: str, height: int, dots: bool = False) -> None:
        super().__init__(parent)
        self._dots = dots
        self._height = height
        self._scale = 1.0
        self.setMouseEnabled(x=False, y=False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setLabel("bottom", x_name)
        self.setLabel("left", "counts")
        for name in ("left", "bottom"):
            self.getAxis(name).enableAutoSIPrefix(False)
        # Half of a number stands out over either end of an axis.
        self.getPlotItem().layout.setContentsMargins(2, 7, 9, 2)
        self.raw_curve = self.plot()
        self.restored_curve = self.plot()
        self.rescale(1.0)

    def name_x(self, name: str) -> None:
        """Name the abscissa, with its unit."""
        if self.getAxis("bottom").labelText != name:
            self.setLabel("bottom", name)
            self._dress()

    def show_curves(
        self,
        x: NDArray[np.float64],
        raw: NDArray[np.float64] | None,
        restored: NDArray[np.float64] | None,
        joined: NDArray[np.bool_] | None = None,
    ) -> None:
        """Show both over `x`, all (N,); None for one that there is not.

        Where `joined` (N,) is given, a line leads from a point to the next only if it is true.
        Places that are not a number are left out, and no line crosses them.
        """
        for curve, values in ((self.raw_curve, raw), (self.restored_curve, restored)):
            if values is None or not np.isfinite(values).any():
                curve.setData(_NOTHING, _NOTHING)
                continue
            there = np.isfinite(values)
            follows = np.append(there[1:], False) & there
            if joined is not None:
                follows &= joined
            curve.setData(x[there], values[there], connect=follows[there])

    def clear_curves(self) -> None:
        """Show none."""
        self.show_curves(_NOTHING, None, None)

    def rescale(self, scale: float) -> None:
        """Fit height, text and lines to a text that is `scale` times the normal size."""
        self._scale = scale
        self.setFixedHeight(round(self._height * scale))
        self._dress()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """Follow the theme of the window."""
        super().changeEvent(event)
        # The first ones come from Qt's own constructor.
        if event.type() == QEvent.Type.StyleChange and hasattr(self, "restored_curve"):
            self._dress()

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        """Leave the wheel to whoever scrolls the tools."""
        event.ignore()

    def _dress(self) -> None:
        dress_plot(self, self._scale)
        colours = plot_colours(theme_of(self))
        self.getAxis("bottom").setHeight(round(33 * self._scale))
        # Raw lies below and is broader, so that it is seen where both are the same.
        for curve, colour, width in (
            (self.raw_curve, colours.raw, 2.2 if self._dots else 1.7),
            (self.restored_curve, colours.restored, 1.2),
        ):
            curve.setPen(pg.mkPen(colour, width=width * self._scale))
            if self._dots:
                curve.setSymbol("o")
                curve.setSymbolSize((width + 1.8) * self._scale)
                curve.setSymbolPen(None)
                curve.setSymbolBrush(colour)
