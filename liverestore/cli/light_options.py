"""What the command line says about light, and the account of it at the end."""

from __future__ import annotations

from dataclasses import dataclass

from liverestore.errors import UserError
from liverestore.reference_schedule import ReferencePlan, reference_plan
from liverestore.rig import RigConfig
from liverestore.rig_camera import missing_camera_numbers
from liverestore.rig_channels import takes_turns
from liverestore.rig_light import unmeasured_channel
from liverestore.status_light import LightReport

__all__ = ["LightAsked", "light_asked", "light_line"]

_LONGEST_INTERVAL_S = 86_400.0


@dataclass(frozen=True, slots=True)
class LightAsked:
    """What is asked of a run's light."""

    budget_j_cm2: float | None = None
    interval_s: float | None = None
    new_sample: bool = False
    hold_light_ms: float | None = None
    references: ReferencePlan | None = None


def light_asked(
    rig: RigConfig,
    budget_j_cm2: float | None,
    interval_s: float | None,
    *,
    new_sample: bool,
    hold_light_ms: float | None = None,
    reference_every: str | None = None,
    reference_exposure: str | None = None,
) -> LightAsked:
    """The options, checked. Raises `UserError` for one that does not fit `rig`."""
    reasons = {
        "replay": "a replayed movie costs no light; use a rig with a camera",
        "bridge": "Micro-Manager drives the camera and the light, and frames of it that are not "
        "seen here cost light too; use a rig with a configuration file",
    }
    reason = reasons.get(rig.source.kind)
    for option, given in (
        ("--dose-budget", budget_j_cm2 is not None),
        ("--interval", interval_s is not None),
        ("--new-sample", new_sample),
        ("--hold-light", hold_light_ms is not None),
        ("--reference-every", reference_every is not None),
    ):
        if given and reason is not None:
            raise UserError(f"{option}: {reason}")
    if budget_j_cm2 is not None:
        if not budget_j_cm2 > 0:
            raise UserError(f"--dose-budget: got {budget_j_cm2:g}, allowed is more than 0 J/cm2")
        missing = unmeasured_channel(rig.illumination, rig.channels)
        if missing is not None:
            raise UserError(
                f"--dose-budget: got {budget_j_cm2:g} J/cm2, but the rig {rig.name} has no "
                f"{missing}: no dose is known; measure the irradiance at the sample and write it "
                "into the rig file"
            )
    if interval_s is not None and not 0 < interval_s <= _LONGEST_INTERVAL_S:
        raise UserError(
            f"--interval: got {interval_s:g}, allowed is more than 0 to {_LONGEST_INTERVAL_S:g} s"
        )
    if hold_light_ms is not None:
        _check_hold(rig, hold_light_ms)
    references = _references(rig, reference_every, reference_exposure)
    return LightAsked(budget_j_cm2, interval_s, new_sample, hold_light_ms, references)


def _references(rig: RigConfig, every: str | None, exposure: str | None) -> ReferencePlan | None:
    own = rig.illumination
    if every is None and own.reference_every is None:
        if exposure is not None:
            raise UserError("--reference-exposure: got no --reference-every; give both")
        return None
    if takes_turns(rig.channels):
        raise UserError(
            f"--reference-every: the rig {rig.name} takes its channels in turn, each with its own "
            "exposure; use a rig with one channel"
        )
    return reference_plan(
        every or own.reference_every or "",
        exposure or own.reference_exposure,
        places=("--reference-every", "--reference-exposure"),
    )


def _check_hold(rig: RigConfig, longest_ms: float) -> None:
    missing = missing_camera_numbers(rig.camera)
    if missing:
        raise UserError(
            f"--hold-light: the rig {rig.name} leaves out camera.{missing[0]}, without which no "
            "light is known; measure the camera: liverestore calibrate --rig"
        )
    if takes_turns(rig.channels):
        raise UserError(
            f"--hold-light: the rig {rig.name} takes its channels in turn, each with its own "
            "exposure; use a rig with one channel"
        )
    first_ms = rig.camera.exposure_ms
    if not longest_ms > 0 or (first_ms is not None and longest_ms < first_ms):
        raise UserError(
            f"--hold-light: got {longest_ms:g} ms, allowed is the exposure of the rig "
            f"({first_ms or 0:g} ms) or more: it is the longest one"
        )


def light_line(light: LightReport) -> str:
    """The light of a run in one line."""
    if light.session_j_cm2 is None:
        return (
            f"light: on for {light.session_on_s:.4g} s in this session; its dose is not known, "
            "the rig has no irradiance_mw_cm2"
        )
    rest = f", and {light.unmeasured_s:.4g} s of unknown irradiance" if light.unmeasured_s else ""
    budget = f" of {light.budget_j_cm2:g}" if light.budget_j_cm2 is not None else ""
    return (
        f"light: {light.field_j_cm2 or 0:.4g}{budget} J/cm2 on field {light.field}, "
        f"{light.session_j_cm2:.4g} J/cm2 in this session ({light.exposures} exposures){rest}"
    )
