"""The line profile in the drawer: raw and restored on one axis, and the width of a peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from liverestore.view.curve_plot import CurvePlot
from liverestore.view.number_table import NumberTable
from liverestore.view.roi_tool import DrawButtons
from liverestore.view.widgets import ChoiceBox, WrappedLabel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from liverestore.measure.profile_peak import Peak
    from liverestore.view.line_profile import Line

__all__ = ["ProfileTool"]

_WIDTHS_PX = ("1", "3", "5", "9", "15")


class ProfileTool(QWidget):
    """Shows what it is told."""

    width_chosen = Signal(int)
    """Pixels over which the profile is averaged."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.buttons = DrawButtons("a line", "line_profile", self)
        self.width_box = ChoiceBox(
            "profileWidth", _WIDTHS_PX, "Pixels across the line whose mean is shown", self
        )
        self._width_name = QLabel("mean over", self)
        self._width_unit = QLabel("px", self)
        for label in (self._width_name, self._width_unit):
            label.setProperty("role", "name")
        self.plot = CurvePlot(self, x_name="distance (px)", height=190)
        self.table = NumberTable(("FWHM",), ("px",), self)
        self.note = WrappedLabel("", self)
        self.note.setProperty("role", "name")
        self._width_row = QHBoxLayout()
        self._width_row.addWidget(self._width_name)
        self._width_row.addWidget(self.width_box)
        self._width_row.addWidget(self._width_unit)
        self._width_row.addStretch(1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self.buttons)
        self._column.addLayout(self._width_row)
        for widget in (self.plot, self.table, self.note):
            self._column.addWidget(widget)
        self.width_box.currentTextChanged.connect(lambda text: self.width_chosen.emit(int(text)))
        self.show_line(None, None)

    def show_line(self, line: Line | None, pixel_size_um: float | None) -> None:
        """Say how long the line is."""
        if line is None:
            self.buttons.where.setText("")
            self.note.setText("drag on an image to draw a line")
            self.show_profiles(None, None, None, pixel_size_um)
            self.table.show_units((_unit(pixel_size_um),))
            self.table.show_frames(None, None)
            self.table.clear()
            return
        length = f"{line.length_px:.1f} px"
        if pixel_size_um is not None:
            length += f"  {line.length_px * pixel_size_um:.4g} µm"
        self.buttons.where.setText(length)
        self.note.setText("Gaussian fitted to the highest peak; ± standard error")

    def show_profiles(
        self,
        distance_px: NDArray[np.float64] | None,
        raw: NDArray[np.float64] | None,
        restored: NDArray[np.float64] | None,
        pixel_size_um: float | None,
    ) -> None:
        """Draw both over the distance from the line's start."""
        self.plot.name_x(f"distance ({_unit(pixel_size_um)})")
        if distance_px is None:
            self.plot.clear_curves()
            return
        x = distance_px * pixel_size_um if pixel_size_um is not None else distance_px
        self.plot.show_curves(x, raw, restored)

    def show_peaks(
        self, raw: Peak | None, restored: Peak | None, pixel_size_um: float | None
    ) -> None:
        """Show the width of the highest peak of each."""
        self.table.show_units((_unit(pixel_size_um),))
        texts = [[[_width(peak, pixel_size_um or 1.0)]] for peak in (raw, restored)]
        self.table.show_numbers(*texts)

    def show_frames(self, raw: int | None, restored: int | None) -> None:
        """Name the frames of the curves where they are not the same one."""
        self.table.show_frames(raw, restored)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        for row in (self._column, self._width_row, self.buttons):
            row.setSpacing(round(5 * scale))
        self.width_box.setFixedWidth(round(62 * scale))
        self.table.rescale(scale)
        self.plot.rescale(scale)


def _unit(pixel_size_um: float | None) -> str:
    return "px" if pixel_size_um is None else "µm"


def _width(peak: Peak | None, factor: float) -> str:
    if peak is None:
        return "no peak"
    fwhm, error = peak.fwhm * factor, peak.fwhm_error * factor
    # Two digits of the error, and as many decimals of the width: at most 1 nm.
    decimals = 0
    while decimals < 3 and error * 10**decimals < 10:
        decimals += 1
    return f"{fwhm:.{decimals}f} ± {error:.{decimals}f}"
