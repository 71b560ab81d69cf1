"""The tool "Exposure" of the drawer: quality, what a measure costs, the curve, what is advised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from liverestore.view.exposure_chart import ExposureChart
from liverestore.view.exposure_text import CHOICES, quality_of, result_texts
from liverestore.view.number_box import NumberBox
from liverestore.view.widgets import ChoiceBox, WrappedLabel, bring_into_view, set_tone

if TYPE_CHECKING:
    from liverestore.exposure_quality import Quality
    from liverestore.status_exposure import ExposureResult

__all__ = ["ExposureTool"]

_SHARE, _PSNR = 80.0, 36.0
"""What the box offers, until another number is typed."""
_KEY = "● restored (hollow: dimmer than trained for)\n■ raw now   - - asked   ◆ advised"


class ExposureTool(QWidget):
    """Shows what it is told and says what the user wants; decides nothing."""

    measure_asked = Signal()
    stop_asked = Signal()
    set_asked = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.choice = ChoiceBox(
            "exposureQuality", tuple(CHOICES), "What restored pictures must keep", self
        )
        self.amount = NumberBox(
            "exposureAmount", low=1.0, high=200.0, decimals=1, suffix=" %",
            tip="How much of it", parent=self,
        )  # fmt: skip
        self.meaning = self._label("name")
        self.cost = self._label()
        self.refused = self._label()
        set_tone(self.refused, "warn")
        self.measure = self._button("Measure…", "exposureMeasure")
        self.measure.setToolTip("Spend this light on asking; you are asked once more")
        self.stop = self._button("Stop", "exposureStop")
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.said = self._label()
        self.chart = ExposureChart(self)
        self.key = self._label("name")
        self.key.setText(_KEY)
        self.advice = self._label()
        self.rest = self._label("name")
        self.set_button = self._button("", "exposureSet")
        self.outdated = self._label()
        set_tone(self.outdated, "warn")
        self.allow_set("")
        self._arrange()
        self.choice.currentTextChanged.connect(self._choose)
        self.amount.valueChanged.connect(self._show_meaning)
        self.measure.clicked.connect(self.measure_asked)
        self.stop.clicked.connect(self.stop_asked)
        self.set_button.clicked.connect(self.set_asked)
        self._choose(self.choice.currentText())
        self.show_idle("", "", "")
        self.show_result(None)

    @property
    def quality(self) -> Quality:
        """The quality that is asked for."""
        return quality_of(self.choice.currentText(), self.amount.value())

    def show_idle(self, cost: str, refused: str, failed: str) -> None:
        """Nothing is under way: what a measure costs, or why there can be none.

        `failed`: why the last one has no result.
        """
        self._show_running(False)
        self._put(self.cost, cost)
        self._put(self.refused, refused)
        self._put(self.said, failed)
        set_tone(self.said, "warn" if failed else "")
        self.measure.setEnabled(bool(cost) and not refused)

    def show_progress(self, done: int, total: int, text: str) -> None:
        """A measure is under way; `total` 0: nobody knows how far it is."""
        self._show_running(True)
        self.progress.setRange(0, total)
        self.progress.setValue(min(done, total))
        for label in (self.cost, self.refused):
            self._put(label, "")
        self._put(self.said, text)
        set_tone(self.said, "")

    def show_result(self, found: ExposureResult | None) -> None:
        """Show another series, or none."""
        for widget in (self.chart, self.key, self.advice, self.rest, self.set_button):
            widget.setVisible(found is not None)
        if found is None:
            return
        texts = result_texts(found)
        self.chart.show_result(found)
        self.advice.setText(texts.advice)
        set_tone(self.advice, "" if texts.good else "warn")
        self.rest.setText(texts.rest)
        self.set_button.setText(texts.button)
        self.set_button.setVisible(bool(texts.button))
        bring_into_view(self.chart)

    def allow_set(self, why_not: str, outdated: str = "") -> None:
        """Whether the advice can be set; empty: it can. `outdated`: it is of another time."""
        self._put(self.outdated, outdated)
        why_not = why_not or outdated
        self.set_button.setEnabled(not why_not)
        self.set_button.setToolTip(
            why_not or "Expose like this from the next frame on; Undo goes back"
        )

    def rescale(self, scale: float) -> None:
        """Fit to a text that is `scale` times the normal size."""
        self._column.setSpacing(round(6 * scale))
        for row in (self._ask, self._do):
            row.setSpacing(round(5 * scale))
        self.amount.setFixedWidth(round(76 * scale))
        self.progress.setFixedHeight(round(8 * scale))
        self.chart.rescale(scale)

    def _choose(self, choice: str) -> None:
        kind = CHOICES[choice]
        self.amount.setVisible(kind != "raw")
        self.amount.setSuffix(" %" if kind == "share" else " dB")
        self.amount.setMaximum(100.0 if kind == "share" else 200.0)
        self.amount.show_value(_SHARE if kind == "share" else _PSNR)
        self._show_meaning()

    def _show_meaning(self) -> None:
        words = self.quality.words
        self.meaning.setText(words[:1].upper() + words[1:])

    def _show_running(self, running: bool) -> None:
        for widget in (self.progress, self.stop):
            widget.setVisible(running)
        self.measure.setVisible(not running)
        for box in (self.choice, self.amount):
            box.setEnabled(not running)

    def _put(self, label: WrappedLabel, text: str) -> None:
        label.setText(text)
        label.setVisible(bool(text))

    def _label(self, role: str = "") -> WrappedLabel:
        label = WrappedLabel("", self)
        if role:
            label.setProperty("role", role)
        return label

    def _button(self, text: str, name: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        return button

    def _arrange(self) -> None:
        self._ask, self._do = QHBoxLayout(), QHBoxLayout()
        self._ask.addWidget(self.choice, 1)
        self._ask.addWidget(self.amount)
        for widget in (self.measure, self.stop):
            self._do.addWidget(widget)
        self._do.addWidget(self.progress, 1)
        self._do.addStretch(0)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addLayout(self._ask)
        for label in (self.meaning, self.cost, self.refused):
            self._column.addWidget(label)
        self._column.addLayout(self._do)
        for part in (
            self.said, self.advice, self.outdated, self.set_button, self.chart, self.key, self.rest,
        ):  # fmt: skip
            self._column.addWidget(part)
