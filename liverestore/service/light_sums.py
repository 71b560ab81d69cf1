"""A meter's sums, as a report and in words."""

from __future__ import annotations

from liverestore.dose_meter import WARN_SHARE, DoseBudget, DoseMeter
from liverestore.status_light import LightReport

__all__ = ["BudgetWarning", "budget_spent", "light_report"]


def light_report(meter: DoseMeter) -> LightReport:
    """The sums and the budget of `meter` at this moment."""
    field, session, budget = meter.here, meter.session, meter.budget
    return LightReport(
        field=field.number,
        fields=len(meter.fields),
        field_j_cm2=field.light.dose_j_cm2 if field.light.measured else None,
        field_on_s=field.light.light_on_s,
        session_j_cm2=session.dose_j_cm2 if session.measured else None,
        session_on_s=session.light_on_s,
        unmeasured_s=session.unmeasured_s,
        began_utc=meter.began_utc,
        exposures=session.count(),
        budget_j_cm2=budget.field_j_cm2,
        session_budget_j_cm2=budget.session_j_cm2,
        spent_share=meter.spent_share,
    )


def budget_spent(meter: DoseMeter) -> str:
    """That the budget does not hold another frame, and what to do."""
    budget, here = meter.budget, meter.here
    of_field, of_session = here.light.dose_j_cm2, meter.session.dose_j_cm2
    field_left = None if budget.field_j_cm2 is None else budget.field_j_cm2 - of_field
    session_left = None if budget.session_j_cm2 is None else budget.session_j_cm2 - of_session
    if session_left is None or (field_left is not None and field_left <= session_left):
        what, got = f"of {budget.field_j_cm2:g} J/cm2 for field {here.number}", of_field
        left = field_left
    else:
        what, got = f"of {budget.session_j_cm2:g} J/cm2 for the session", of_session
        left = session_left
    # A shutter that stays open may have lit beyond it, by less than a frame.
    next_one = ", the next frame would exceed it" if left is not None and left > 0 else ""
    return (
        f"the light budget {what} is used up ({got:.4g} J/cm2 spent{next_one}); raise it in Light, "
        "with --dose-budget, or in the rig file"
    )


class BudgetWarning:
    """Says once of each field, and of each budget, that it runs out."""

    def __init__(self) -> None:
        self._said: tuple[int, DoseBudget] | None = None

    def line(self, meter: DoseMeter) -> str | None:
        """What to say of `meter` now, if anything."""
        share = meter.spent_share
        at = meter.here.number, meter.budget
        if share is None or share < WARN_SHARE or self._said == at:
            return None
        self._said = at
        return (
            f"{100 * share:.0f} % of the light budget is used up; at 100 % no more light is given"
        )
