"""What a search for the exposure would cost, or why none can be made, said before any light."""

from __future__ import annotations

from liverestore.camera.channel_cycle import ChannelCycle
from liverestore.camera.light import limited_source
from liverestore.camera.source import FrameSource
from liverestore.dose import Lamp, dose_j_cm2, nanoseconds
from liverestore.errors import UserError
from liverestore.exposure_series import LEAST_ROUNDS, SHORTEST_SHARE, SeriesPlan
from liverestore.rig import RigConfig
from liverestore.rig_camera import camera_of, missing_camera_numbers
from liverestore.rig_light import lamp_of
from liverestore.status_exposure import ExposureOffer
from liverestore.status_light import LightReport

__all__ = ["lamp_at", "offers", "plan_of"]


def offers(
    rig: RigConfig, source: FrameSource, light: LightReport | None
) -> tuple[ExposureOffer, ...]:
    """One for each channel of `source`, from the exposures and the budget of now."""
    left = _left_j_cm2(light)
    return tuple(
        _offer(rig, channel, exposure_ms, left) for channel, exposure_ms in _exposures_ms(source)
    )


def _exposures_ms(source: FrameSource) -> list[tuple[str | None, float | None]]:
    if isinstance(source, ChannelCycle):
        return list(source.exposures_ms.items())
    limited = limited_source(source)
    return [(None, limited.exposure_ms if limited is not None else None)]


def lamp_at(rig: RigConfig, channel: str | None) -> Lamp:
    """The light of `channel`; None: of the only one."""
    if channel is None and rig.channels:
        channel = rig.channels[0].name
    return lamp_of(rig.illumination, rig.channels, channel)


def _left_j_cm2(light: LightReport | None) -> float | None:
    """What the tighter budget still holds; None without one."""
    if light is None:
        return None
    both = (
        (light.budget_j_cm2, light.field_j_cm2),
        (light.session_budget_j_cm2, light.session_j_cm2),
    )
    left = [budget - (spent or 0.0) for budget, spent in both if budget is not None]
    return max(0.0, min(left)) if left else None


def _offer(
    rig: RigConfig, channel: str | None, exposure_ms: float | None, left: float | None
) -> ExposureOffer:
    if exposure_ms is None:
        return ExposureOffer(
            channel=channel, refusal="the camera tells no exposure; set one in its box above"
        )
    lamp = lamp_at(rig, channel)
    whole = SeriesPlan(exposure_ms, SHORTEST_SHARE * exposure_ms)
    plan = whole.within(lamp.irradiance_mw_cm2, left)
    refusal = None
    if camera_of(rig.camera) is None:
        missing = missing_camera_numbers(rig.camera)[0]
        refusal = (
            f"the rig leaves out camera.{missing}: measure the camera first (liverestore calibrate "
            "--rig)"
        )
    elif plan is None:
        needed = _dose(lamp, whole.light_ms(LEAST_ROUNDS))
        refusal = (
            f"the light budget holds {left or 0.0:.3g} J/cm2 more here, and a series from "
            f"{exposure_ms:g} ms takes {needed:.3g} J/cm2 at least: raise the budget in Light, or "
            "set a shorter exposure first"
        )
    told = plan or whole
    least, most = (told.light_ms(rounds) for rounds in (LEAST_ROUNDS, told.rounds))
    return ExposureOffer(
        channel=channel,
        present_ms=exposure_ms,
        shortest_ms=told.exposures_ms[-1],
        rounds=told.rounds,
        least_exposures=told.shots(LEAST_ROUNDS),
        most_exposures=told.shots(told.rounds),
        least_ms=least,
        most_ms=most,
        least_j_cm2=_dose(lamp, least),
        most_j_cm2=_dose(lamp, most),
        left_j_cm2=left,
        refusal=refusal,
    )


def _dose(lamp: Lamp, light_ms: float) -> float | None:
    irradiance = lamp.irradiance_mw_cm2
    return None if irradiance is None else dose_j_cm2(irradiance, nanoseconds(light_ms))


def plan_of(offer: ExposureOffer, most_rounds: int) -> SeriesPlan:
    """The series of `offer`, of no more rounds. Raises `UserError` where it is refused."""
    if offer.refusal is not None or offer.present_ms is None:
        raise UserError(f"exposure: {offer.refusal}")
    rounds = min(offer.rounds, most_rounds)
    return SeriesPlan(offer.present_ms, SHORTEST_SHARE * offer.present_ms, rounds)
