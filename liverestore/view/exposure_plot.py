"""The curve of an exposure series as a PNG: quality against exposure, and what is advised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEventLoop

from liverestore.errors import Failure
from liverestore.exposure_advice import Advice
from liverestore.view.offscreen import offscreen_application
from liverestore.view.theme import COLOURS
from liverestore.view.themed import dress_plot

__all__ = ["fill_exposure_plot", "save_exposure_plot"]

_SIZE = (900, 640)
_SCALE = 1.3


def save_exposure_plot(advice: Advice, path: Path, *, title: str) -> None:
    """Paint levels, their uncertainty, curve, target and advice to the PNG `path`.

    The exposure is logarithmic. Must run in the main thread. Raises `Failure` where the file
    cannot be written or Qt has no font.
    """
    app = offscreen_application()
    plot = pg.PlotWidget()
    try:
        plot.setTitle(f"{title}: quality against exposure", color=COLOURS["text"], size="13pt")
        plot.addLegend(offset=(-24, -24), labelTextColor=COLOURS["text"], labelTextSize="11pt")
        fill_exposure_plot(plot, advice)
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


def fill_exposure_plot(plot: pg.PlotWidget, advice: Advice) -> None:
    """What `advice` says, on an empty plot."""
    plot.setLogMode(x=True, y=False)
    plot.setLabel("bottom", "exposure (ms)")
    plot.setLabel("left", "affine PSNR (dB)")
    for name in ("left", "bottom"):
        plot.getAxis(name).enableAutoSIPrefix(False)
    plot.showGrid(x=True, y=True, alpha=0.18)
    x = np.array([level.exposure_ms for level in advice.levels])
    y = np.array([level.psnr_db for level in advice.levels])
    off = np.array([level.doubt_db for level in advice.levels])
    plot.plot(
        advice.curve_ms,
        advice.curve_db,
        pen=pg.mkPen(COLOURS["restored"], width=2),
        name="restored",
    )
    plot.plot(
        np.repeat(x, 2),
        np.stack([y - off, y + off], axis=1).ravel(),
        connect="pairs",
        pen=pg.mkPen(COLOURS["restored"], width=1.5),
    )
    for allowed, name in ((True, ""), (False, "dimmer than the engine was trained for")):
        some = np.array([level.allowed == allowed for level in advice.levels])
        if some.any():
            plot.plot(
                x[some],
                y[some],
                pen=None,
                symbol="o",
                symbolSize=9,
                symbolPen=pg.mkPen(COLOURS["restored"], width=2),
                symbolBrush=COLOURS["restored"] if allowed else None,
                **({"name": name} if name else {}),
            )
    plot.plot(
        [advice.present_ms],
        [advice.raw_psnr_db],
        pen=None,
        symbol="s",
        symbolSize=10,
        symbolPen=None,
        symbolBrush=COLOURS["raw"],
        name="raw, at the present exposure",
    )
    ends = np.array([x.min(), x.max()])
    plot.plot(
        ends,
        np.full(2, advice.target_db),
        pen=pg.mkPen(COLOURS["muted"], width=1.5, dash=[5, 4]),
        name=f"asked: {advice.target_db:.1f} dB",
    )
    if advice.exposure_ms is not None and advice.interval_ms is not None:
        _advised(plot, advice, advice.exposure_ms, advice.interval_ms)
    ticks = [
        m * 10.0**decade
        for decade in range(int(np.floor(np.log10(ends[0]))), int(np.log10(ends[1])) + 2)
        for m in (1, 2, 5)
    ]
    plot.getAxis("bottom").setTicks([[(float(np.log10(v)), f"{v:,.10g}") for v in ticks]])


def _advised(
    plot: pg.PlotWidget, advice: Advice, exposure_ms: float, interval_ms: tuple[float, float]
) -> None:
    height = float(np.interp(exposure_ms, advice.curve_ms, advice.curve_db))
    pen = pg.mkPen(COLOURS["text"], width=2)
    plot.plot(np.array(interval_ms), np.full(2, height), pen=pen)
    plot.plot(
        [exposure_ms],
        [height],
        pen=None,
        symbol="d",
        symbolSize=14,
        symbolPen=pen,
        symbolBrush=COLOURS["accent"],
        name=f"advised: {exposure_ms:g} ms",
    )
