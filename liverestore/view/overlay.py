"""What is drawn over an image, never into it: scale bar, cursor mark, words."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen

from liverestore.view.geometry import scale_bar
from liverestore.view.rival import A_MARK, B_MARK
from liverestore.view.theme import COLOURS

__all__ = ["Overlay", "draw_overlay"]

_MARGIN = 10
_PAD = 7
_MARKED = {
    A_MARK: (QColor(COLOURS["accent"]), QColor(COLOURS["on_accent"])),
    B_MARK: (QColor(COLOURS["rival"]), QColor(COLOURS["on_accent"])),
}
_SCALE_BAR_SHARE = 0.22
"""Longest scale bar as a share of the pane's width."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """The content of one pane's overlay."""

    waiting: str = ""
    """Stands alone in the middle where there is no image."""
    banner: str = ""
    cautions: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    marker: tuple[float, float] | None = None
    """(x, y) in image pixels of the cursor in the other pane."""
    badge: str = ""
    """Names the image that is shown, in the upper left corner."""
    depth: str = ""
    """Says to where the image was refocused, beside the badge."""
    edge: float | None = None
    """Of the curtain, as a share of the width."""
    edge_names: tuple[str, str] = ("RESTORED", "RAW")
    """Of the images left and right of the curtain's edge."""
    scale: float = 1.0


def draw_overlay(
    painter: QPainter, area: QRectF, overlay: Overlay, *, zoom: float, marker_at: QPointF | None
) -> None:
    """Draw `overlay` into `area` (screen pixels).

    `zoom` is screen pixels per image pixel, `marker_at` the marker in screen pixels.
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    font = QFont(painter.font())
    font.setPixelSize(round(13 * overlay.scale))
    painter.setFont(font)
    if overlay.waiting:
        _draw_waiting(painter, area, overlay)
        return
    if marker_at is not None:
        _draw_marker(painter, marker_at, overlay.scale)
    _draw_scale_bar(painter, area, overlay, zoom)
    if overlay.cautions:
        _draw_cautions(painter, area, overlay)
    top = area.top() + _MARGIN * overlay.scale
    if overlay.banner:
        top = _draw_banner(painter, area, overlay) + _MARGIN * overlay.scale
    if overlay.edge is not None:
        _draw_edge(painter, area, overlay, overlay.edge, top)
    left = area.left() + _MARGIN * overlay.scale
    for text in (overlay.badge, overlay.depth):
        if text:
            _draw_badge(painter, QPointF(left, top), text, overlay.scale)
            left += _badge_width(painter, text, overlay.scale) + _PAD * overlay.scale


def _draw_waiting(painter: QPainter, area: QRectF, overlay: Overlay) -> None:
    margin = 24 * overlay.scale
    painter.setPen(QColor(COLOURS["muted"]))
    painter.drawText(
        area.adjusted(margin, margin, -margin, -margin),
        Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
        overlay.waiting,
    )


def _draw_banner(painter: QPainter, area: QRectF, overlay: Overlay) -> float:
    """Draw it; the height at which it ends."""
    margin, pad = _MARGIN * overlay.scale, _PAD * overlay.scale
    flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter
    size = _text_size(painter, area.width() - 2 * (margin + pad), int(flags), overlay.banner)
    box = QRectF(0, 0, size.width() + 2 * pad, size.height() + 2 * pad)
    box.moveCenter(QPointF(area.center().x(), 0))
    box.moveTop(area.top() + margin)
    _draw_boxed(painter, box, pad, int(flags), overlay.banner)
    return float(box.bottom())


def _draw_edge(painter: QPainter, area: QRectF, overlay: Overlay, edge: float, top: float) -> None:
    scale = overlay.scale
    x = area.left() + edge * area.width()
    painter.setPen(QPen(QColor(0, 0, 0, 170), 4 * scale))
    painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
    painter.setPen(QPen(QColor(COLOURS["accent"]), 1.6 * scale))
    painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom()))
    y, half = area.center().y(), 11 * scale
    painter.setBrush(QColor(10, 12, 14, 230))
    painter.drawEllipse(QPointF(x, y), half, half)
    for side in (-1.0, 1.0):
        tip = QPointF(x + side * 0.66 * half, y)
        for end in (-1.0, 1.0):
            painter.drawLine(tip, QPointF(x + side * 0.28 * half, y + end * 0.38 * half))
    gap = _MARGIN * scale
    for text, side in zip(overlay.edge_names, (-1, 1), strict=True):
        width = _badge_width(painter, text, scale)
        left = x - gap - width if side < 0 else x + gap
        if left >= area.left() and left + width <= area.right():
            _draw_badge(painter, QPointF(left, top), text, scale)


def _badge_width(painter: QPainter, text: str, scale: float) -> float:
    return painter.fontMetrics().horizontalAdvance(text) + 2 * _PAD * scale


def _draw_badge(painter: QPainter, at: QPointF, text: str, scale: float) -> None:
    height = painter.fontMetrics().height() + _PAD * scale
    box = QRectF(at.x(), at.y(), _badge_width(painter, text, scale), height)
    # The two engines of a comparison are told apart without reading.
    ground, ink = next(
        (
            colours
            for mark, colours in _MARKED.items()
            if text.startswith(mark) or text == mark.removesuffix(" \u00b7 ")
        ),
        (QColor(10, 12, 14, 220), QColor("white")),
    )
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(box, _PAD * scale / 2, _PAD * scale / 2)
    painter.setPen(ink)
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def _draw_cautions(painter: QPainter, area: QRectF, overlay: Overlay) -> None:
    margin, pad = _MARGIN * overlay.scale, _PAD * overlay.scale
    flags = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft
    point = "\u2022 " if len(overlay.cautions) > 1 else ""
    text = "\n".join(f"{point}{caution}" for caution in overlay.cautions)
    # The scale bar stands to the right of it.
    width = area.width() * (1 - _SCALE_BAR_SHARE) - 3 * margin - 4 * pad
    size = _text_size(painter, width, int(flags), text)
    box = QRectF(0, 0, size.width() + 2 * pad, size.height() + 2 * pad)
    box.moveBottomLeft(QPointF(area.left() + margin, area.bottom() - margin))
    _draw_boxed(painter, box, pad, int(flags), text)


def _text_size(painter: QPainter, width: float, flags: int, text: str) -> QRectF:
    return painter.boundingRect(QRectF(0, 0, max(width, 40.0), 4000.0), flags, text)


def _draw_boxed(painter: QPainter, box: QRectF, pad: float, flags: int, text: str) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(10, 12, 14, 220))
    painter.drawRoundedRect(box, pad / 2, pad / 2)
    painter.setPen(QColor(COLOURS["warn"]))
    painter.drawText(box.adjusted(pad, pad, -pad + 1, -pad + 1), flags, text)


def _draw_marker(painter: QPainter, at: QPointF, scale: float) -> None:
    arm, gap = 9 * scale, 3 * scale
    for colour, width in ((QColor(0, 0, 0, 190), 3.0), (QColor(COLOURS["accent"]), 1.2)):
        painter.setPen(QPen(colour, width * scale))
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            painter.drawLine(
                QPointF(at.x() + gap * dx, at.y() + gap * dy),
                QPointF(at.x() + arm * dx, at.y() + arm * dy),
            )


def _draw_scale_bar(painter: QPainter, area: QRectF, overlay: Overlay, zoom: float) -> None:
    bar = scale_bar(overlay.pixel_size_um, zoom, _SCALE_BAR_SHARE * area.width())
    if bar is None:
        return
    scale = overlay.scale
    metrics = painter.fontMetrics()
    width = max(bar.length_px, float(metrics.horizontalAdvance(bar.text)))
    ground = QRectF(0, 0, width + 16 * scale, metrics.height() + 17 * scale)
    ground.moveBottomRight(area.bottomRight() - QPointF(_MARGIN, _MARGIN) * scale)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(0, 0, 0, 140))
    painter.drawRoundedRect(ground, 3 * scale, 3 * scale)
    painter.setBrush(QColor("white"))
    thick = round(3 * scale)
    left = ground.center().x() - bar.length_px / 2
    painter.drawRect(QRectF(left, ground.bottom() - 7 * scale - thick, bar.length_px, thick))
    painter.setPen(QColor("white"))
    painter.drawText(
        ground.adjusted(0, 4 * scale, 0, 0),
        Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop,
        bar.text,
    )
