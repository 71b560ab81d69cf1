"""From the plan of a run to the account of its light."""

from __future__ import annotations

from liverestore.dose_account import account_file, open_account
from liverestore.dose_meter import DoseBudget
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.plan import RunPlan

__all__ = ["open_light"]


def open_light(plan: RunPlan) -> LightKeeper | None:
    """The account that this run goes on with; None for a replayed movie, which costs no light,
    and for a Micro-Manager that is followed, whose light is on for images nobody sees here too.

    It lies in the folder of `--save`, else in the user's data by the name of the rig. Raises
    `UserError` where it cannot be read.
    """
    rig = plan.rig
    if rig.source.kind in ("replay", "bridge"):
        return None
    folder = plan.raw_path.parent if plan.raw_path is not None else None
    path = account_file(rig.name, folder)
    light = rig.illumination
    budget = DoseBudget(plan.dose_budget_j_cm2 or light.budget_j_cm2, light.session_budget_j_cm2)
    meter = open_account(path, budget=budget, expires=folder is None, anew=plan.new_sample)
    return LightKeeper(meter, rig, account=path)
