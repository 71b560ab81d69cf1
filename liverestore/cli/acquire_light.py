"""The light of an acquisition, looked at before its first exposure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from liverestore.acquisition_plan import AcquisitionPlan
from liverestore.dose import dose_j_cm2, nanoseconds
from liverestore.errors import UserError
from liverestore.rig import RigConfig
from liverestore.rig_light import lamp_of
from liverestore.service.light_keeper import LightKeeper

__all__ = ["refuse_acquisition"]


def refuse_acquisition(
    light: LightKeeper,
    plan: AcquisitionPlan,
    done: Sequence[int],
    rig: RigConfig,
    exposure_ms: float | None,
) -> None:
    """Raises `UserError` where the budget cannot hold what `plan` still takes.

    `done`: time points of each position that were taken before. Of a position it is not known
    yet which field of the account it is: what the account holds of it counts when it is there.
    `exposure_ms` is that of a rig without channels.
    Light of unknown irradiance has no dose, and no budget holds it.
    """
    each = [
        (lamp_of(rig.illumination, rig.channels, channel.name), channel.exposure_ms)
        for channel in plan.channels
    ] or [(lamp_of(rig.illumination, (), None), exposure_ms)]
    visit = math.fsum(
        dose_j_cm2(lamp.irradiance_mw_cm2, nanoseconds(lasts_ms))
        for lamp, lasts_ms in each
        if lamp.irradiance_mw_cm2 is not None and lasts_ms is not None
    )
    visits = [len(plan.times_s) - before for before in done]
    budget = light.meter.budget
    spent = light.meter.session.dose_j_cm2
    for allowed, needed, place in (
        (budget.field_j_cm2, max(visits) * visit, "on a position"),
        (
            None if budget.session_j_cm2 is None else budget.session_j_cm2 - spent,
            sum(visits) * visit,
            "in all",
        ),
    ):
        if allowed is not None and needed > allowed * (1 + 1e-9):
            raise UserError(
                f"acquire: takes {needed:.3g} J/cm2 {place}, but the light budget allows "
                f"{max(allowed, 0.0):.3g} J/cm2; take fewer time points or shorter exposures, or "
                "allow more light: --dose-budget, or the rig file"
            )
