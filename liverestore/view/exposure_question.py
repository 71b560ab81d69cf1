"""What the window asks before it spends light on a search for the exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QWidget

from liverestore.view.exposure_text import cost_text
from liverestore.view.question import Question

if TYPE_CHECKING:
    from liverestore.status_exposure import ExposureOffer, MeasureExposure

__all__ = ["ExposureQuestion"]


class ExposureQuestion(Question):
    """Asks whether the light may be spent that an offer states."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Spend light on asking?", parent)
        self._word: MeasureExposure | None = None
        self.go = QPushButton("Measure", self)
        self.cancel = QPushButton("Cancel", self)
        for widget in (self.go, self.cancel):
            self.row.addWidget(widget)
        self.go.clicked.connect(self._send)
        self.cancel.clicked.connect(self.put_away)

    def ask(self, offer: ExposureOffer, word: MeasureExposure) -> None:
        """Ask whether to send `word`, whose light `offer` states."""
        self._word = word
        self.text.setText(
            f"{cost_text(offer)}\nIt goes to the account. Live pauses meanwhile, nothing is "
            "recorded, and none of these frames is kept. Leave the sample and the focus where they "
            "are: a focus, a ROI or an exposure that you set meanwhile holds afterwards, and else "
            "the exposure of before."
        )
        self.setVisible(True)
        self.place()
        self.cancel.setFocus()

    def put_away(self) -> None:
        """Spend no light."""
        self._word = None
        self.hide()

    def _send(self) -> None:
        word, self._word = self._word, None
        self.hide()
        if word is not None:
            self.command.emit(word)
