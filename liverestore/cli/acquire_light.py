"""The light of an acquisition, looked at before its first exposure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from liverestore.acquisition_plan import AcquisitionPlan, Position
from liverestore.dose import Field, dose_j_cm2, nanoseconds, nearest_field
from liverestore.dose_meter import DoseMeter
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

    `light` has begun with the camera that takes it. `done`: time points of each position that
    were taken before. Positions within the same field of view share its budget, of which what
    the field has got before is used up. `exposure_ms` is that of a rig without channels.
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
    budget, spent = light.meter.budget, light.meter.session.dose_j_cm2
    if budget.field_j_cm2 is not None:
        for field, names, count in _by_field(light.meter, plan.positions, visits):
            place = " and ".join(f"'{name}'" for name in names if name)
            _refuse_beyond(
                f"on the field of {place}" if place else "on this field",
                count * visit,
                budget.field_j_cm2,
                field.light.dose_j_cm2,
            )
    if budget.session_j_cm2 is not None:
        _refuse_beyond("in all", sum(visits) * visit, budget.session_j_cm2, spent)


def _by_field(
    meter: DoseMeter, positions: Sequence[Position], visits: Sequence[int]
) -> list[tuple[Field, list[str], int]]:
    """Each field that is visited: what it got, the names of its positions, how many visits."""
    fields = list(meter.fields)
    found: dict[int, tuple[Field, list[str], int]] = {}
    for position, count in zip(positions, visits, strict=True):
        field = meter.here
        if position.xy_um is not None:
            near = nearest_field(fields, position.xy_um, meter.size_um)
            field = near or Field(len(fields) + 1, position.xy_um)
            if near is None:
                fields.append(field)
        _, names, before = found.get(field.number, (field, [], 0))
        found[field.number] = field, [*names, position.name], before + count
    return list(found.values())


def _refuse_beyond(place: str, needed: float, allowed: float, spent: float) -> None:
    left = max(allowed - spent, 0.0)
    if needed > left * (1 + 1e-9) and needed > 0:
        raise UserError(
            f"acquire: takes {needed:.3g} J/cm2 {place}, but the light budget has "
            f"{left:.3g} of {allowed:.3g} J/cm2 left there; take fewer time points or shorter "
            "exposures, or allow more light: --dose-budget, or the rig file"
        )
