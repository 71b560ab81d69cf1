"""The histogram as a plot, with lines for black and white that the mouse moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from liverestore.view.histogram import heights, round_ticks
from liverestore.view.level_keeper import Side
from liverestore.view.theme import COLOURS, plot_colours
from liverestore.view.themed import theme_of

if TYPE_CHECKING:
    from liverestore.view.histogram import Curve, HistogramPicture
    from liverestore.view.levels import Levels
    from liverestore.view.theme import PlotColours

__all__ = ["HistogramPlot"]

_GRAB_PX = 7
_HEIGHT_PX = 170
_EDGE_PX = 9
_FOOT_PX = 19
"""Below the plot: the numbers of the axis."""


class HistogramPlot(QWidget):
    """Paints what it is told: two curves, the levels of one image or of both."""

    levels_dragged = Signal(float, float)
    """(black, white) in counts, while the mouse moves one of the lines."""
    drag_ended = Signal()
    autostretch_asked = Signal()
    """Double click."""
    hovered = Signal(object)
    """The count under the cursor, or None."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("histogramPlot")
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("Drag the lines: black and white level. Double click: autostretch")
        self._scale = 1.0
        self._picture: HistogramPicture | None = None
        self._levels: dict[Side, Levels | None] = dict.fromkeys(Side)
        self._edited: Side | None = None
        self._log = True
        self._dragged: int | None = None

    @property
    def dragging(self) -> bool:
        """Whether the mouse holds one of the lines."""
        return self._dragged is not None

    def show_picture(self, picture: HistogramPicture | None, *, log: bool) -> None:
        """Show `picture`, on a logarithmic axis of pixels with `log`."""
        if picture is not self._picture or log != self._log:
            self._picture, self._log = picture, log
            self.update()

    def show_levels(self, raw: Levels | None, restored: Levels | None, edited: Side | None) -> None:
        """Show the levels (counts); `edited` has its own ones, None: both have the same."""
        levels = {Side.RAW: raw, Side.RESTORED: restored}
        if levels != self._levels or edited is not self._edited:
            self._levels, self._edited = levels, edited
            self.update()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._scale = scale
        self.setFixedHeight(round(_HEIGHT_PX * scale))

    def x_of(self, counts: float) -> float:
        """Where `counts` is drawn, in px; beyond either end at that end."""
        area = self._area()
        if self._picture is None:
            return area.left()
        low, high = self._picture.axis
        share = (counts - low) / (high - low) if high > low else 0.0
        return area.left() + min(max(share, 0.0), 1.0) * area.width()

    def counts_at(self, x: float) -> float | None:
        """The counts at `x` px; None before the first histogram."""
        if self._picture is None:
            return None
        area = self._area()
        low, high = self._picture.axis
        share = (x - area.left()) / max(1.0, area.width())
        return low + min(max(share, 0.0), 1.0) * (high - low)

    def _area(self) -> QRectF:
        edge = _EDGE_PX * self._scale
        return QRectF(self.rect()).adjusted(edge, edge, -edge, -_FOOT_PX * self._scale)

    def _now(self) -> Levels | None:
        """The levels that the mouse can move."""
        return self._levels[self._edited or Side.RESTORED]

    def _line_at(self, x: float) -> int | None:
        """0 for the black line at `x` px, 1 for the white one."""
        levels = self._now()
        if levels is None or self._picture is None:
            return None
        away = [abs(x - self.x_of(level)) for level in levels]
        # Both at the same place: the side from which one comes says which is meant.
        nearest = 0 if away[0] < away[1] or (away[0] == away[1] and x < self.x_of(levels[0])) else 1
        return nearest if away[nearest] <= _GRAB_PX * self._scale else None

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Take hold of a line."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._dragged = self._line_at(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Move the line, or show that it can be moved."""
        x = event.position().x()
        counts = self.counts_at(x)
        self.hovered.emit(counts)
        levels, picture = self._now(), self._picture
        if self._dragged is None or levels is None or picture is None or counts is None:
            over = self._line_at(x) is not None
            self.setCursor(Qt.CursorShape.SplitHCursor if over else Qt.CursorShape.ArrowCursor)
            return
        least = 1.0 if picture.whole else (picture.axis[1] - picture.axis[0]) / 1000.0
        if picture.whole:
            counts = float(round(counts))
        if self._dragged == 0:
            moved = (min(counts, levels[1] - least), levels[1])
        else:
            moved = (levels[0], max(counts, levels[0] + least))
        if moved != levels:
            self.levels_dragged.emit(*moved)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Let go of the line."""
        if self._dragged is not None:
            self._dragged = None
            self.drag_ended.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        """Ask for autostretch."""
        self._dragged = None
        self.autostretch_asked.emit()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """No count is read any more."""
        super().leaveEvent(event)
        self.hovered.emit(None)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw curves, axis and lines."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = plot_colours(theme_of(self))
        painter.fillRect(self.rect(), QColor(colours.ground))
        font = QFont(self.font())
        font.setPixelSize(round(11 * self._scale))
        painter.setFont(font)
        picture, area = self._picture, self._area()
        if picture is None:
            painter.setPen(QColor(colours.axis))
            painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, "waiting for an image")
        else:
            self._draw_axis(painter, area, picture, colours)
            self._draw_curves(painter, area, picture, colours)
            self._draw_lines(painter, area, colours)
        painter.end()

    def _draw_axis(
        self, painter: QPainter, area: QRectF, picture: HistogramPicture, colours: PlotColours
    ) -> None:
        metrics = painter.fontMetrics()
        wide = metrics.horizontalAdvance("00000") * 1.6
        ticks = round_ticks(*picture.axis, wanted=max(2, int(area.width() / wide)))
        for tick in ticks:
            x = self.x_of(tick)
            painter.setPen(QPen(QColor(colours.grid), 1))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            text = f"{tick:g}" if abs(tick) < 1e6 else f"{tick:.2g}"
            width = metrics.horizontalAdvance(text) + 2
            left = min(max(x - width / 2, 0.0), self.width() - width)
            painter.setPen(QColor(colours.axis))
            painter.drawText(
                QRectF(left, area.bottom() + 2, width, self.height() - area.bottom() - 2),
                Qt.AlignmentFlag.AlignCenter,
                text,
            )
        painter.setPen(QPen(QColor(colours.axis), 1))
        painter.drawLine(area.bottomLeft(), area.bottomRight())
        full = picture.saturation
        if full is not None and picture.axis[0] <= full <= picture.axis[1]:
            painter.setPen(QPen(QColor(COLOURS["alarm"]), 1, Qt.PenStyle.DotLine))
            painter.drawLine(
                QPointF(self.x_of(full), area.top()), QPointF(self.x_of(full), area.bottom())
            )

    def _draw_curves(
        self, painter: QPainter, area: QRectF, picture: HistogramPicture, colours: PlotColours
    ) -> None:
        curves = ((picture.raw, colours.raw), (picture.restored, colours.restored))
        top = max((int(c.counts.max()) for c, _ in curves if c is not None), default=0)
        painter.save()
        painter.setClipRect(area.adjusted(-1, -2, 1, 1))
        # Steps are upright lines: smoothing them would only cost time.
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for curve, colour in curves:
            if curve is None:
                continue
            outline = self._outline(area, picture, curve, top)
            fill = QColor(colour)
            fill.setAlpha(45)
            painter.setBrush(fill)
            painter.setPen(QPen(QColor(colour), 1.2 * self._scale))
            painter.drawPolygon(outline)
        painter.restore()

    def _outline(
        self, area: QRectF, picture: HistogramPicture, curve: Curve, top: int
    ) -> QPolygonF:
        low, high = picture.axis
        per_count = area.width() / (high - low)
        high_px = heights(curve.counts, top, log=self._log) * area.height()
        x = area.left() + (picture.bins.low - low) * per_count
        step, bottom = picture.bins.width * per_count, area.bottom()
        points = [QPointF(x, bottom)]
        for height in high_px.tolist():
            points.append(QPointF(x, bottom - height))
            x += step
            points.append(QPointF(x, bottom - height))
        points.append(QPointF(x, bottom))
        return QPolygonF(points)

    def _draw_lines(self, painter: QPainter, area: QRectF, colours: PlotColours) -> None:
        own = {Side.RAW: colours.raw, Side.RESTORED: colours.restored}
        if self._edited is not None:
            other = Side.RAW if self._edited is Side.RESTORED else Side.RESTORED
            for level in self._levels[other] or ():
                painter.setPen(QPen(QColor(own[other]), 1 * self._scale, Qt.PenStyle.DashLine))
                x = self.x_of(level)
                painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
        levels = self._now()
        if levels is None:
            return
        colour = QColor(colours.text if self._edited is None else own[self._edited])
        half = 5.0 * self._scale
        for level, name in zip(levels, ("black", "white"), strict=True):
            x = self.x_of(level)
            painter.setPen(QPen(colour, 1.6 * self._scale))
            painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
            # Filled with what it stands for.
            painter.setBrush(QColor(name))
            tip = QPointF(x, area.bottom() - 1.5 * half)
            foot = area.bottom() + 0.5 * half
            painter.drawPolygon(QPolygonF([tip, QPointF(x + half, foot), QPointF(x - half, foot)]))
