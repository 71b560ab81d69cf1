"""The curve of an exposure series as a PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyqtgraph as pg
from PySide6.QtCore import QEventLoop

from liverestore.errors import Failure
from liverestore.view.exposure_plot import fill_exposure_plot
from liverestore.view.offscreen import offscreen_application
from liverestore.view.theme import COLOURS
from liverestore.view.themed import dress_plot

if TYPE_CHECKING:
    from liverestore.status_exposure import ExposureResult

__all__ = ["save_exposure_plot"]

_SIZE = (900, 640)
_SCALE = 1.3


def save_exposure_plot(found: ExposureResult, path: Path, *, title: str) -> None:
    """Paint levels, their uncertainty, curve, target and advice to the PNG `path`.

    The exposure is logarithmic. Must run in the main thread. Raises `Failure` where the file
    cannot be written or Qt has no font.
    """
    app = offscreen_application()
    plot = pg.PlotWidget()
    try:
        plot.setTitle(f"{title}: quality against exposure", color=COLOURS["text"], size="13pt")
        plot.addLegend(offset=(-24, -24), labelTextColor=COLOURS["text"], labelTextSize="11pt")
        fill_exposure_plot(plot, found, COLOURS)
        dress_plot(plot, _SCALE)
        plot.getPlotItem().layout.setContentsMargins(12, 8, 24, 10)
        plot.resize(*_SIZE)
        plot.show()
        for _ in range(3):
            app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)
        if not plot.grab().save(str(path.expanduser()), "PNG"):
            raise Failure(f"cannot write {path}: is the folder there, writable and not full?")
    finally:
        plot.close()
        plot.deleteLater()
