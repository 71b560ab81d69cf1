"""An image of pyqtgraph as Qt paints it fastest: counts with levels and LUT, or colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QImage, QPainter

from liverestore.view.saturation_marks import paint_marks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PaintedImage"]


class PaintedImage(pg.ImageItem):  # type: ignore[misc]
    """An ImageItem in the pixel format that Qt scales fastest.

    Without it Qt looks up the colour of every screen pixel at every paint: 11 instead of
    2 ms for a pane of a 4K screen.
    """

    qimage: QImage | None
    clip: tuple[float, float] | None = None
    """Columns (first, last), in image pixels, outside of which nothing is painted."""
    marks: NDArray[np.uint8] | None = None
    """(Y, X) as the image: what `saturation_marks` colours in the picture, not in the data."""

    def paint(self, painter: QPainter, *args: object) -> None:
        """Paint what `clip` leaves."""
        if self.clip is not None:
            left, right = self.clip
            tall = QRectF(left, -1e6, right - left, 2e6)
            painter.setClipRect(self.mapRectFromParent(tall), Qt.ClipOperation.IntersectClip)
        super().paint(painter, *args)

    def render(self) -> None:
        """Convert once per frame instead of at every paint."""
        if self.image is not None and self.image.dtype == np.uint32 and self.image.size:
            # Colours already, 0xffRRGGBB each: Qt's own format, which is not copied.
            height, width = self.image.shape
            self.qimage = QImage(
                self.image.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied
            )
            self._unrenderable = self._renderRequired = False
            return
        super().render()
        if self.qimage is not None:
            self.qimage = self.qimage.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        if self.qimage is not None and self.marks is not None:
            rows = np.frombuffer(self.qimage.bits(), np.uint32).reshape(self.qimage.height(), -1)
            paint_marks(rows[:, : self.qimage.width()], self.marks)
