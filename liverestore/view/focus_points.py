"""Places that the user found in focus, and the marks of them over the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from liverestore.dpm_points import Points
from liverestore.errors import UserError
from liverestore.view.surface_handles import write_label
from liverestore.view.theme import COLOURS

if TYPE_CHECKING:
    from liverestore.view.drawing import Point
    from liverestore.view.panes import ImageView

__all__ = ["FitState", "FocusMarks", "fit_of"]

_ARM_PX = 7.0


@dataclass(frozen=True, slots=True)
class FitState:
    """What a fit through the points gives."""

    points: Points | None
    """None where they fix no surface yet."""
    residuals_um: tuple[float, ...]
    words: str
    """The residual, or what is missing."""


def fit_of(points_um: tuple[tuple[float, float, float], ...], fit: str) -> FitState:
    """The surface of kind `fit` through (x, y, z) in um."""
    least = {"quadratic": 6}.get(fit, 3)
    try:
        points = Points(points_um, fit)
    except UserError as error:
        missing = least - len(points_um)
        if missing > 0:
            return FitState(None, (), f"{missing} more for a {fit} surface")
        return FitState(None, (), str(error).removeprefix("DPM: "))
    residuals = points.residuals_um
    rms = float(np.sqrt(np.mean(np.square(residuals))))
    if len(points_um) == least:
        # However wrong they are, it goes through all of them.
        return FitState(points, (), f"{least} points are met exactly; one more says how good")
    return FitState(points, tuple(float(r) for r in residuals), f"residual {rms:.2f} µm rms")


class FocusMarks:
    """A layer of `MarkLayers` that shows the points; nothing of it can be dragged."""

    def __init__(self) -> None:
        self.shown = False
        self.armed = False
        """Whether a click adds a point."""
        self.places: tuple[tuple[Point, float], ...] = ()
        """((x, y) in image pixels, z in um) of each."""

    def press(self, view: ImageView, at: Point) -> bool:
        """Leave the mouse to the image: a drag pans while points are picked."""
        return False

    def drag(self, at: Point) -> None:
        """Never asked."""

    def release(self) -> None:
        """Never asked."""

    def cursor(self, view: ImageView, at: Point) -> Qt.CursorShape | None:
        """A cross while a click adds a point."""
        return Qt.CursorShape.CrossCursor if self.armed and self.shown else None

    def paint(self, painter: QPainter, view: ImageView) -> None:
        """Draw each point with its number and distance."""
        if not self.shown or view.overlay.waiting:
            return
        scale = view.overlay.scale
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPixelSize(round(12 * scale))
        painter.setFont(font)
        arm = _ARM_PX * scale
        for n, (place, z_um) in enumerate(self.places, 1):
            at = view.on_screen(place)
            for colour, width in ((QColor(0, 0, 0, 200), 4.0), (QColor(COLOURS["accent"]), 1.8)):
                painter.setPen(QPen(colour, width * scale))
                for way in (QPointF(arm, 0), QPointF(0, arm)):
                    painter.drawLine(at - way, at + way)
            text = f"{n}: {z_um:+.2f} µm".replace("-", "\u2212")
            box = QRectF(painter.fontMetrics().boundingRect(text)).adjusted(-4, -1, 4, 1)
            box.moveTopLeft(at + QPointF(arm * 0.6, arm * 0.6))
            write_label(painter, view, box, text)
