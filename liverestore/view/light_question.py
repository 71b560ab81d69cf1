"""What the window asks about light: when the budget is used up, and before a new account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QWidget

from liverestore.status_light import NewSample, SetBudget
from liverestore.view.light_text import dose_text
from liverestore.view.number_box import NumberBox
from liverestore.view.question import Question

if TYPE_CHECKING:
    from liverestore.status_light import LightReport

__all__ = ["BudgetQuestion", "SampleQuestion"]

_RAISE_BY = 0.25
"""Of the budget: what the question offers, until another number is typed."""


class BudgetQuestion(Question):
    """Asks whether more light is allowed, now that the budget has ended Live."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("The light budget is used up", parent)
        self._light: LightReport | None = None
        self._session = False
        self.more = NumberBox(
            "lightMore", low=0.0, high=1e6, decimals=4, suffix=" J/cm²",
            tip="The new budget", parent=self,
        )  # fmt: skip
        self.allow = QPushButton("Raise the budget to this", self)
        self.keep_dark = QPushButton("Stay dark", self)
        for widget in (self.more, self.allow, self.keep_dark):
            self.row.addWidget(widget)
        self.allow.clicked.connect(self._raise)
        self.keep_dark.clicked.connect(self.put_away)

    def ask(self, light: LightReport) -> None:
        """Ask about the tighter budget of `light`."""
        self._light = light
        of_field = (light.field_j_cm2 or 0.0, light.budget_j_cm2)
        of_session = (light.session_j_cm2 or 0.0, light.session_budget_j_cm2)
        self._session = _share(of_session) > _share(of_field)
        spent, budget = of_session if self._session else of_field
        if budget is None:
            return
        place = "this session" if self._session else f"field {light.field}"
        # A shutter that stays open may have lit beyond it, by less than a frame.
        exceed = ", and the next frame would exceed it" if spent < budget else ""
        lines = [
            f"{dose_text(spent)} of {dose_text(budget)} for {place} are spent{exceed}. Live has "
            "stopped."
        ]
        if light.shutter is not None:
            lines.append(
                f"The shutter {light.shutter} did NOT close: switch the light off by hand."
                if light.shutter_open
                else f"The shutter ({light.shutter}) is closed."
            )
        if not self._session:
            lines.append("Another field of view has a budget of its own.")
        self.text.setText("\n".join(lines))
        self.more.show_value((1 + _RAISE_BY) * budget)
        self.more.setMinimum(budget)
        self.setVisible(True)
        self.place()
        self.keep_dark.setFocus()

    def put_away(self) -> None:
        """Leave the budget as it is."""
        self.hide()

    def _raise(self) -> None:
        light, to = self._light, self.more.value()
        if light is None:
            return
        field, session = light.budget_j_cm2, light.session_budget_j_cm2
        if self._session:
            session = to
        else:
            field = to
        self.hide()
        self.command.emit(SetBudget(field_j_cm2=field, session_j_cm2=session))


class SampleQuestion(Question):
    """Asks whether the account is to begin at zero."""

    command = Signal(object)
    """A `Command` that the user asked for."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("Another sample?", parent)
        self.begin = QPushButton("New sample: begin at zero", self)
        self.cancel = QPushButton("Cancel", self)
        for widget in (self.begin, self.cancel):
            self.row.addWidget(widget)
        self.begin.clicked.connect(self._begin)
        self.cancel.clicked.connect(self.put_away)

    def ask(self, light: LightReport) -> None:
        """Ask, telling what the account holds."""
        spent = dose_text(light.session_j_cm2) if light.session_j_cm2 is not None else "a time"
        self.text.setText(
            f"The account of this sample holds {spent}. It is kept under another name"
            + (f" beside\n{light.account}" if light.account else "")
            + "\nand the next frame begins a new one, with the whole budget."
        )
        self.setVisible(True)
        self.place()
        self.cancel.setFocus()

    def put_away(self) -> None:
        """Go on with the account."""
        self.hide()

    def _begin(self) -> None:
        self.hide()
        self.command.emit(NewSample())


def _share(of: tuple[float, float | None]) -> float:
    spent, budget = of
    return 0.0 if budget is None else spent / budget
