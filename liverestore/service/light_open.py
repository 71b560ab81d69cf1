"""The account of light that something goes on with."""

from __future__ import annotations

from pathlib import Path

import msgspec

from liverestore.dose_account import account_file, open_account
from liverestore.dose_meter import DoseBudget
from liverestore.rig import RigConfig
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.plan import RunPlan

__all__ = ["open_light", "open_light_of"]


def open_light(plan: RunPlan) -> LightKeeper | None:
    """The account that this run goes on with; None for a replayed movie, which costs no light,
    and for a Micro-Manager that is followed, whose light is on for images nobody sees here too.

    It lies in the folder of `--save`, else in the user's data by the name of the rig. Raises
    `UserError` where it cannot be read.
    """
    if plan.rig.source.kind in ("replay", "bridge"):
        return None
    folder = plan.raw_path.parent if plan.raw_path is not None else None
    return open_light_of(
        plan.rig, folder, budget_j_cm2=plan.dose_budget_j_cm2, new_sample=plan.new_sample
    )


def open_light_of(
    rig: RigConfig,
    folder: Path | None = None,
    *,
    budget_j_cm2: float | None = None,
    new_sample: bool = False,
    measured: bool = True,
) -> LightKeeper:
    """The account in `folder`, else that of the rig in the user's data, which lasts for a night.

    `budget_j_cm2` for each field, instead of the rig's. Not `measured`: the light is of another
    strength than the rig says, and its time alone is counted. Raises `UserError` where the account
    cannot be read.
    """
    path = account_file(rig.name, folder)
    if not measured:
        rig = _without_irradiance(rig)
    light = rig.illumination
    budget = DoseBudget(budget_j_cm2 or light.budget_j_cm2, light.session_budget_j_cm2)
    meter = open_account(path, budget=budget, expires=folder is None, anew=new_sample)
    return LightKeeper(meter, rig, account=path)


def _without_irradiance(rig: RigConfig) -> RigConfig:
    channels = tuple(
        msgspec.structs.replace(channel, irradiance_mw_cm2=None) for channel in rig.channels
    )
    light = msgspec.structs.replace(
        rig.illumination, irradiance_mw_cm2=None, budget_j_cm2=None, session_budget_j_cm2=None
    )
    return msgspec.structs.replace(rig, channels=channels, illumination=light)
