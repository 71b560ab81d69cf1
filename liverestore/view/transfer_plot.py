"""The photon-transfer plot of a calibration as a PNG: variance against signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEventLoop

from liverestore.errors import Failure
from liverestore.view.offscreen import offscreen_application
from liverestore.view.theme import COLOURS
from liverestore.view.themed import dress_plot

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from liverestore.camera_calibration import CameraCalibration, TransferPoint

__all__ = ["save_transfer_plot"]

_SIZE = (900, 640)
_SCALE = 1.3


def save_transfer_plot(found: CameraCalibration, path: Path, *, title: str) -> None:
    """Paint levels, their uncertainty and the straight line of the gain to the PNG `path`.

    Both axes are logarithmic, counts above the offset and counts squared. Saturated levels are
    hollow. Must run in the main thread. Raises `Failure` where the file cannot be written or
    Qt has no font.
    """
    app = offscreen_application()
    plot = pg.PlotWidget()
    try:
        plot.setLogMode(x=True, y=True)
        plot.setTitle(f"{title}: photon transfer", color=COLOURS["text"], size="13pt")
        plot.setLabel("bottom", "signal above the offset (counts)")
        plot.setLabel("left", "temporal variance of the light (counts squared)")
        for name in ("left", "bottom"):
            plot.getAxis(name).enableAutoSIPrefix(False)
        plot.showGrid(x=True, y=True, alpha=0.18)
        _legend(plot)
        _fill(plot, found)
        dress_plot(plot, _SCALE)
        plot.getPlotItem().layout.setContentsMargins(12, 8, 24, 10)
        plot.resize(*_SIZE)
        plot.show()
        _settle(app)
        _name_ticks(plot)
        _settle(app)
        if not plot.grab().save(str(path.expanduser()), "PNG"):
            raise Failure(f"cannot write {path}: is the folder there, writable and not full?")
    finally:
        plot.close()
        plot.deleteLater()


def _settle(app: QApplication) -> None:
    for _ in range(3):
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)


def _legend(plot: pg.PlotWidget) -> None:
    plot.addLegend(offset=(70, 20), labelTextColor=COLOURS["text"], labelTextSize="11pt")


def _fill(plot: pg.PlotWidget, found: CameraCalibration) -> None:
    lit = [point for point in found.points if point.signal_counts > 0]
    signal = np.array([point.signal_counts for point in lit])
    ends = np.array([signal.min() / 1.6, signal.max() * 1.6])
    gain = found.gain_e_per_count
    plot.plot(
        ends,
        ends / gain.value,
        pen=pg.mkPen(COLOURS["restored"], width=2),
        name=f"gain {gain} e/count",
    )
    read = (found.read_noise_e.value / gain.value) ** 2
    plot.plot(
        ends,
        np.full(2, read),
        pen=pg.mkPen(COLOURS["muted"], width=1.5, dash=[5, 4]),
        name=f"read noise {found.read_noise_e} e",
    )
    for used, name in ((True, "levels used"), (False, "saturated, not used")):
        some = [p for p in lit if p.used == used and p.variance_counts.value > 0]
        if some:
            _levels(plot, some, name, filled=used)


def _name_ticks(plot: pg.PlotWidget) -> None:
    """Plain numbers at 1, 2 and 5 of every decade; pyqtgraph's own run into each other."""
    for name, (low, high) in zip(("bottom", "left"), plot.viewRange(), strict=True):
        decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
        values = [m * 10.0**decade for decade in decades for m in (1, 2, 5)]
        plot.getAxis(name).setTicks([[(float(np.log10(v)), f"{v:,.10g}") for v in values]])


def _levels(plot: pg.PlotWidget, points: list[TransferPoint], name: str, *, filled: bool) -> None:
    x = np.array([p.signal_counts for p in points])
    y = np.array([p.variance_counts.value for p in points])
    off = np.array([p.variance_counts.uncertainty for p in points])
    low = np.maximum(y - off, 1e-3 * y)
    plot.plot(
        np.repeat(x, 2),
        np.stack([low, y + off], axis=1).ravel(),
        connect="pairs",
        pen=pg.mkPen(COLOURS["raw"], width=1.5),
    )
    plot.plot(
        x,
        y,
        pen=None,
        symbol="o",
        symbolSize=10,
        symbolPen=pg.mkPen(COLOURS["raw"], width=2),
        symbolBrush=COLOURS["raw"] if filled else None,
        name=name,
    )
