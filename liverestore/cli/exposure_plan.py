"""A series for the exposure within the light that is allowed for it."""

from __future__ import annotations

from liverestore.dose import Lamp
from liverestore.errors import UserError
from liverestore.exposure_series import LEAST_ROUNDS, SeriesPlan

__all__ = ["plan_within"]


def plan_within(
    plan: SeriesPlan, lamp: Lamp, most_j_cm2: float | None, left_j_cm2: float | None
) -> SeriesPlan:
    """`plan` with as many rounds as the light allows.

    `most_j_cm2`: what the user allows for the series; `left_j_cm2`: what the budget of light
    still holds; None: any. Without an irradiance no light is held back. Raises `UserError`
    where the light is not enough for the fewest rounds, so that none is spent for nothing.
    """
    irradiance = lamp.irradiance_mw_cm2
    allowed = [one for one in (most_j_cm2, left_j_cm2) if one is not None]
    if irradiance is None or not allowed:
        return plan
    most = max(0.0, min(allowed))
    fitting = plan.within(irradiance, most)
    if fitting is not None:
        return fitting
    needed = plan.light_ms(LEAST_ROUNDS) * irradiance * 1e-6
    takes = f"a series from {plan.reference_ms:g} ms takes {needed:.3g} J/cm2 at least"
    if most_j_cm2 is not None and most_j_cm2 <= most:
        raise UserError(
            f"--max-dose: got {most_j_cm2:g} J/cm2, but {takes}; allow that, or begin lower: "
            "--from MS"
        )
    raise UserError(
        f"exposure: the light budget holds {most:.3g} J/cm2 more here, but {takes}; raise "
        "budget_j_cm2 or session_budget_j_cm2 in the rig file, or begin lower: --from MS"
    )
