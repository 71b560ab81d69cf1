"""The tool "Histogram" of the drawer: the plot, its switches and what it says in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from liverestore.frame import Frame
from liverestore.view.histogram import HistogramMeter
from liverestore.view.histogram_plot import HistogramPlot
from liverestore.view.key_tips import set_key_tip
from liverestore.view.level_keeper import Side
from liverestore.view.theme import plot_colours
from liverestore.view.themed import theme_of
from liverestore.view.widgets import ElidedLabel, TickBox

if TYPE_CHECKING:
    from liverestore.view.display import DisplayState
    from liverestore.view.histogram import Curve

__all__ = ["HistogramTool"]

_HEADS = ("", "lowest", "highest", "< black", "> white")


class HistogramTool(QWidget):
    """Histograms of the raw and the restored image that are shown, at most 5 times a second.

    While it is hidden nothing is measured.
    """

    levels_dragged = Signal(float, float)
    """(black, white) in counts."""
    autostretch_asked = Signal()
    mark_toggled = Signal(bool)
    """Whether saturated pixels of the raw image are to be marked."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.plot = HistogramPlot(self)
        self.log = TickBox("Log", self)
        self.log.setChecked(True)
        self.log.setToolTip("Numbers of pixels on a logarithmic axis")
        self.whole_range = TickBox("Whole range", self)
        self.whole_range.setToolTip("The axis shows all counts that the camera can give")
        self.mark = TickBox("Mark saturated", self)
        set_key_tip(
            self.mark,
            "Raw image: pixels at the camera's highest count red, at zero blue ({mark_saturated})",
        )
        self.levels_label = ElidedLabel(self)
        self.sampling_label = ElidedLabel(self)
        self.sampling_label.setProperty("role", "name")
        self._switches = QHBoxLayout()
        for box in (self.log, self.whole_range, self.mark):
            self._switches.addWidget(box)
        self._switches.addStretch(1)
        self._numbers = QGridLayout()
        for column, text in enumerate(_HEADS):
            head = ElidedLabel(self)
            head.setText(text)
            head.setProperty("role", "name")
            self._numbers.addWidget(head, 0, column)
        self._names: dict[Side, QLabel] = {}
        self.numbers = {side: self._row(side, i + 1) for i, side in enumerate(Side)}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.plot)
        self._column.addWidget(self.levels_label)
        self._column.addLayout(self._numbers)
        self._column.addLayout(self._switches)
        self._column.addWidget(self.sampling_label)
        self._meter = HistogramMeter()
        self._state: DisplayState | None = None
        self._edited: Side | None = None
        self._now_s = 0.0
        self._hovered: float | None = None
        self._coloured_for = ""
        self.plot.levels_dragged.connect(self.levels_dragged)
        self.plot.autostretch_asked.connect(self.autostretch_asked)
        self.plot.hovered.connect(self._hover)
        self.log.toggled.connect(self._show)
        self.whole_range.toggled.connect(self._set_whole_range)
        self.mark.toggled.connect(self.mark_toggled)

    @property
    def meter(self) -> HistogramMeter:
        """What measures; it holds the last picture."""
        return self._meter

    def show_state(self, state: DisplayState, edited: Side | None, now_s: float) -> None:
        """Show the images of `state` at `now_s`, unless hidden.

        `edited` is the image whose own levels the lines are; None: both have the same.
        """
        self._state, self._edited, self._now_s = state, edited, now_s
        if not self.isVisible():
            return
        raw, restored = state.raw.image, state.restored.image
        self._meter.update(
            raw if isinstance(raw, Frame) else None,
            restored,
            (state.raw_levels, state.levels),
            now_s,
            hold_axis=self.plot.dragging,
        )
        self._show()

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        gap = round(6 * scale)
        self._column.setSpacing(gap)
        self._numbers.setHorizontalSpacing(round(5 * scale))
        self._numbers.setVerticalSpacing(round(2 * scale))
        self._numbers.setColumnMinimumWidth(0, round(64 * scale))
        self._switches.setSpacing(round(10 * scale))
        self.plot.rescale(scale)

    def _row(self, side: Side, row: int) -> tuple[ElidedLabel, ...]:
        # They give way: numbers that grow must not widen the drawer.
        name = QLabel(side.value, self)
        labels = tuple(ElidedLabel(self) for _ in _HEADS[1:])
        self._names[side] = name
        self._numbers.addWidget(name, row, 0)
        for column, label in enumerate(labels, 1):
            self._numbers.addWidget(label, row, column)
            self._numbers.setColumnStretch(column, 1)
        return labels

    def _show(self) -> None:
        state, picture = self._state, self._meter.picture
        if state is None:
            return
        self.plot.show_picture(picture, log=self.log.isChecked())
        self.plot.show_levels(state.raw_levels, state.levels, self._edited)
        self._show_levels(state)
        for side, word in zip(Side, state.measured_words, strict=True):
            self._names[side].setText(word)
        self._colour_names()
        for side, curve in (
            (Side.RAW, picture.raw if picture else None),
            (Side.RESTORED, picture.restored if picture else None),
        ):
            for label, text in zip(self.numbers[side], _row_texts(curve), strict=True):
                label.setText(text)
        every = picture.every if picture else 1
        nth = {1: "", 2: "2nd ", 3: "3rd "}.get(every, f"{every}th ")
        self.sampling_label.setText(f"read: every {nth}row and column")

    def _show_levels(self, state: DisplayState) -> None:
        levels = state.raw_levels if self._edited is Side.RAW else state.levels
        whose = "both images" if self._edited is None else self._edited.value
        picture = self._meter.picture
        text = "" if levels is None else f"black {levels[0]:.6g}   white {levels[1]:.6g}   {whose}"
        if self._hovered is not None and picture is not None:
            at = int((self._hovered - picture.bins.low) / picture.bins.width)
            at = min(max(at, 0), picture.bins.number - 1)
            start = picture.bins.low + at * picture.bins.width
            parts = [_bin_text(start, picture.bins.width, picture.whole)]
            for word, curve in zip(
                state.measured_words, (picture.raw, picture.restored), strict=True
            ):
                if curve is not None:
                    share = 100.0 * curve.counts[at] / max(1, curve.read)
                    parts.append(f"{word} {share:.3g} %")
            text = "   ".join(parts)
        self.levels_label.setText(text)

    def _colour_names(self) -> None:
        theme = theme_of(self)
        if theme == self._coloured_for:
            return
        self._coloured_for = theme
        colours = plot_colours(theme)
        for side, colour in ((Side.RAW, colours.raw), (Side.RESTORED, colours.restored)):
            self._names[side].setStyleSheet(f"color: {colour}; font-weight: 600")

    def _hover(self, counts: float | None) -> None:
        self._hovered = counts
        self._show()

    def _set_whole_range(self, on: bool) -> None:
        self._meter.whole_range = on
        self._meter.reset()
        if self._state is not None:
            self.show_state(self._state, self._edited, self._now_s)


def _row_texts(curve: Curve | None) -> tuple[str, ...]:
    """Lowest and highest count, shares outside of the levels."""
    if curve is None:
        return ("\u2013",) * 4
    return (
        f"{curve.lowest:.6g}",
        f"{curve.highest:.6g}",
        _percent_text(curve.below),
        _percent_text(curve.above),
    )


def _percent_text(share: float) -> str:
    percent = 100.0 * share
    return f"{percent:.1f} %" if percent >= 9.995 else f"{percent:.2f} %"


def _bin_text(start: float, width: float, whole: bool) -> str:
    if not whole:
        return f"{start:.5g} \u2013 {start + width:.5g}"
    first, last = round(start + 0.5), round(start + width - 0.5)
    return f"{first}" if first == last else f"{first} \u2013 {last}"
