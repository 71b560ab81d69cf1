"""The curve of an exposure series on a plot: quality against exposure, and what is advised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liverestore.status_exposure import ExposureResult

__all__ = ["fill_exposure_plot", "tick_values"]

_APART = 1.3
"""Factor between two exposures whose numbers do not run into each other."""


def fill_exposure_plot(
    plot: pg.PlotWidget, found: ExposureResult, colours: Mapping[str, str], scale: float = 1.0
) -> None:
    """What `found` says, on an empty plot; lines and signs are `scale` times the normal size."""
    plot.setLogMode(x=True, y=False)
    plot.setLabel("bottom", "exposure (ms)")
    plot.setLabel("left", "affine PSNR (dB)")
    for name in ("left", "bottom"):
        plot.getAxis(name).enableAutoSIPrefix(False)
    plot.showGrid(x=True, y=True, alpha=0.18)
    x = np.array([level.exposure_ms for level in found.levels])
    y = np.array([level.psnr_db for level in found.levels])
    off = np.array([level.doubt_db for level in found.levels])
    plot.plot(
        np.array(found.curve_ms),
        np.array(found.curve_db),
        pen=pg.mkPen(colours["restored"], width=2 * scale),
        antialias=True,
        name="restored",
    )
    plot.plot(
        np.repeat(x, 2),
        np.stack([y - off, y + off], axis=1).ravel(),
        connect="pairs",
        pen=pg.mkPen(colours["restored"], width=1.5 * scale),
    )
    for allowed, name in ((True, ""), (False, "dimmer than the engine was trained for")):
        some = np.array([level.allowed == allowed for level in found.levels])
        if some.any():
            plot.plot(
                x[some],
                y[some],
                pen=None,
                symbol="o",
                symbolSize=9 * scale,
                symbolPen=pg.mkPen(colours["restored"], width=2 * scale),
                symbolBrush=colours["restored"] if allowed else None,
                **({"name": name} if name else {}),
            )
    plot.plot(
        [found.present_ms],
        [found.raw_psnr_db],
        pen=None,
        symbol="s",
        symbolSize=10 * scale,
        symbolPen=None,
        symbolBrush=colours["raw"],
        name="raw, at the present exposure",
    )
    plot.plot(
        np.array([x.min(), x.max()]),
        np.full(2, found.target_db),
        pen=pg.mkPen(colours["muted"], width=1.5 * scale, dash=[5, 4]),
        name=f"asked: {found.target_db:.1f} dB",
    )
    if found.exposure_ms is not None and found.interval_ms is not None:
        _advised(plot, found, found.exposure_ms, found.interval_ms, colours, scale)
    ticks = tick_values(float(x.min()), float(x.max()))
    plot.getAxis("bottom").setTicks([[(float(np.log10(v)), f"{v:.3g}") for v in ticks]])


def tick_values(shortest_ms: float, longest_ms: float) -> list[float]:
    """Both ends of the series, and 1, 2 and 5 of every decade where there is room between them.

    >>> tick_values(0.931, 40.0)
    [0.931, 2.0, 5.0, 10.0, 20.0, 40.0]
    """
    decades = range(int(np.floor(np.log10(shortest_ms))), int(np.ceil(np.log10(longest_ms))) + 1)
    round_ones = [float(f"{m}e{decade}") for decade in decades for m in (1, 2, 5)]
    between = [v for v in round_ones if shortest_ms * _APART < v < longest_ms / _APART]
    return [shortest_ms, *between, longest_ms]


def _advised(
    plot: pg.PlotWidget,
    found: ExposureResult,
    exposure_ms: float,
    interval_ms: tuple[float, float],
    colours: Mapping[str, str],
    scale: float,
) -> None:
    height = float(np.interp(exposure_ms, found.curve_ms, found.curve_db))
    pen = pg.mkPen(colours["text"], width=2 * scale)
    plot.plot(np.array(interval_ms), np.full(2, height), pen=pen)
    plot.plot(
        [exposure_ms],
        [height],
        pen=None,
        symbol="d",
        symbolSize=14 * scale,
        symbolPen=pen,
        symbolBrush=colours["accent"],
        name=f"advised: {exposure_ms:g} ms",
    )
