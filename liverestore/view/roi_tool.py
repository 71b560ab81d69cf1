"""The ROI in the drawer: its numbers, its trace, and the camera's ROI."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from liverestore.view.camera_roi import CameraRoi
from liverestore.view.curve_plot import CurvePlot
from liverestore.view.display import photoelectrons
from liverestore.view.key_tips import set_key_tip
from liverestore.view.number_table import NumberTable
from liverestore.view.roi_stats import row_step
from liverestore.view.widgets import WrappedLabel

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.rig import CameraConfig
    from liverestore.view.roi import Rect
    from liverestore.view.roi_stats import RoiStats
    from liverestore.view.trace import Trace

__all__ = ["DrawButtons", "RoiTool"]

_ROWS = ("mean", "SD", "min", "max", "median")
_NONE = "\u2013"


class DrawButtons(QHBoxLayout):
    """Arms the mouse for a shape, as the key `action` does, and deletes it; beside them what is
    drawn.
    """

    def __init__(self, what: str, action: str, parent: QWidget) -> None:
        super().__init__()
        self.draw = QPushButton("Draw", parent)
        self.draw.setObjectName("draw")
        self.draw.setCheckable(True)
        set_key_tip(
            self.draw,
            f"Dragging on an image draws {what} ({{{action}}}) ({{put_away}}: it pans again)",
        )
        self.delete = QPushButton("Delete", parent)
        self.delete.setObjectName("delete")
        set_key_tip(self.delete, f"Take {what} away ({{delete_shape}})")
        self.where = QLabel("", parent)
        self.where.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for button in (self.draw, self.delete):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            self.addWidget(button)
        self.addWidget(self.where, 1)

    def show_armed(self, armed: bool, *, drawn: bool) -> None:
        """Whether a drag draws now, and whether there is something to delete."""
        self.draw.setChecked(armed)
        self.delete.setEnabled(drawn)


class RoiTool(QWidget):
    """Shows what it is told; `camera` turns counts into photoelectrons where it is known."""

    csv_saved = Signal(str)
    """Path of a file that was written."""

    def __init__(self, camera: CameraConfig | None, trace: Trace, parent: QWidget) -> None:
        super().__init__(parent)
        self._camera = camera
        self._trace = trace
        self._electrons = photoelectrons(0.0, camera) is not None
        self.choose_file: Callable[[], Path | None] = self._ask_file
        """Asks where the trace is to be saved; None: nowhere."""
        self.buttons = DrawButtons("an ROI", "roi", self)
        self.area = WrappedLabel("", self)
        self.area.setProperty("role", "name")
        units = ("counts", "e⁻") if self._electrons else ("counts",)
        self.table = NumberTable(_ROWS, units, self)
        self.plot = CurvePlot(self, x_name="time (s)", height=165, dots=True)
        self.points = QLabel("", self)
        self.points.setProperty("role", "name")
        self.clear = QPushButton("Clear", self)
        self.clear.setObjectName("clearTrace")
        self.clear.setToolTip("Begin the trace anew")
        self.save = QPushButton("Save CSV", self)
        self.save.setObjectName("saveTrace")
        self.save.setToolTip("One line per frame: number, time, means of raw and restored, ROI")
        self.said = WrappedLabel("", self)
        self.said.setObjectName("said")
        self.said.setVisible(False)
        self.camera_roi = CameraRoi(self)
        self._trace_row = QHBoxLayout()
        self._trace_row.addWidget(self.points, 1)
        self._trace_row.addWidget(self.clear)
        self._trace_row.addWidget(self.save)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self.buttons)
        for widget in (self.area, self.table, self.plot):
            self._column.addWidget(widget)
        self._column.addLayout(self._trace_row)
        self._column.addWidget(self.said)
        self._column.addWidget(self.camera_roi)
        self.clear.clicked.connect(self._clear)
        self.save.clicked.connect(self._save)
        self.show_roi(None, None)
        self.show_trace()

    def show_roi(self, rect: Rect | None, pixel_size_um: float | None) -> None:
        """Say where the ROI lies and how large it is."""
        if rect is None:
            self.buttons.where.setText("")
            self.area.setText("drag on an image to draw an ROI")
            self.table.clear()
            return
        self.buttons.where.setText(f"{rect.width} x {rect.height} px")
        text = f"x {rect.x}  y {rect.y}    {rect.area_px:,} px".replace(",", "\u202f")
        if pixel_size_um is not None:
            text += f"    {_short(rect.area_px * pixel_size_um**2)} µm²"
        step = row_step(rect)
        if step > 1:
            text += f"\nnumbers from 1 in {step} rows"
        self.area.setText(text)

    def show_stats(self, raw: RoiStats | None, restored: RoiStats | None) -> None:
        """Show the numbers of both images."""
        self.table.show_numbers(self._texts(raw), self._texts(restored))

    def show_frames(self, raw: int | None, restored: int | None) -> None:
        """Name the frames of the numbers where they are not the same one."""
        self.table.show_frames(raw, restored)

    def show_trace(self) -> None:
        """Draw the trace as it is now."""
        columns = self._trace.columns()
        self.plot.show_curves(columns.time_s, columns.raw, columns.restored, columns.joined)
        n = len(self._trace)
        self.points.setText(f"{n} frame{'' if n == 1 else 's'}")
        self.save.setEnabled(n > 0)
        self.clear.setEnabled(n > 0)

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        for row in (self._column, self._trace_row, self.buttons):
            row.setSpacing(round(5 * scale))
        self.table.rescale(scale)
        self.plot.rescale(scale)
        self.camera_roi.rescale(scale)

    def _texts(self, stats: RoiStats | None) -> list[list[str]]:
        if stats is None:
            return [[_NONE] * (2 if self._electrons else 1)] * len(_ROWS)
        values = (stats.mean, stats.sd, stats.low, stats.high, stats.median)
        texts = [
            [_fixed(value) if name in ("mean", "SD") else f"{value:.6g}"]
            for name, value in zip(_ROWS, values, strict=True)
        ]
        if self._electrons:
            for row, name, value in zip(texts, _ROWS, values, strict=True):
                electrons = photoelectrons(value, self._camera)
                nothing = photoelectrons(0.0, self._camera)
                if electrons is not None and nothing is not None:
                    # A spread has no offset.
                    row.append(_fixed(electrons - nothing if name == "SD" else electrons))
        return texts

    def _clear(self) -> None:
        self._trace.clear()
        self._say("")
        self.show_trace()

    def _save(self) -> None:
        path = self.choose_file()
        if path is None:
            return
        try:
            path.write_text(self._trace.csv(), encoding="utf-8", newline="")
        except OSError as error:
            self._say(f"cannot write {path}: {error.strerror or error}")
            return
        self._say(f"saved {path}")
        self.csv_saved.emit(str(path))

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.setVisible(bool(text))

    def _ask_file(self) -> Path | None:
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save the trace", "trace.csv", "Comma-separated values (*.csv)"
        )
        return Path(chosen) if chosen else None


def _fixed(value: float) -> str:
    """As many decimals as a column has room for; a dash for what is not a number."""
    if math.isnan(value):
        return _NONE
    size = abs(value)
    return f"{value:.{2 if size < 1e3 else 1 if size < 1e5 else 0}f}"


def _short(value: float) -> str:
    """Five digits, or all before the point."""
    return f"{value:.0f}" if abs(value) >= 1e5 else f"{value:.5g}"
