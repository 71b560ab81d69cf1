"""An advice on the exposure as sentences, and as numbers for a file."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from liverestore.dose import Lamp, dose_j_cm2, nanoseconds
from liverestore.exposure_advice import Advice
from liverestore.exposure_fidelity import Fidelity
from liverestore.status_exposure import ExposureLevel, ExposureResult

__all__ = ["Spent", "advice_lines", "advice_record", "advice_result", "doubt_text"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What the series cost, and with what light."""

    lamp: Lamp
    light_ms: float
    shots: int
    rounds: int
    light_stays_on: bool
    """Whether the lamp is on between the frames of Live."""

    def dose(self, light_ms: float) -> float | None:
        """In J/cm2; None where nobody measured the irradiance."""
        irradiance = self.lamp.irradiance_mw_cm2
        return None if irradiance is None else dose_j_cm2(irradiance, nanoseconds(light_ms))

    def words(self, light_ms: float) -> str:
        """`light_ms` as a time, and as a dose where that is known."""
        dose = self.dose(light_ms)
        return f"{_digits(light_ms / 1e3)} s of light" + (
            "" if dose is None else f" ({_digits(dose)} J/cm2)"
        )

    def saved_ms_per_hour(self, advice: Advice) -> float | None:
        """Light saved in an hour of frames as frequent as now; None without an advice."""
        if advice.exposure_ms is None:
            return None
        return 3.6e6 * (1 - advice.exposure_ms / advice.present_ms)


def advice_lines(advice: Advice, spent: Spent) -> list[str]:
    """What to tell a person, most important first; without the refusal, which is an error."""
    lines = []
    if advice.exposure_ms is not None and advice.interval_ms is not None:
        low, high = advice.interval_ms
        less = advice.present_ms / advice.exposure_ms
        lines.append(
            f"advice: {advice.exposure_ms:g} ms instead of {advice.present_ms:g} ms, {less:.3g} "
            f"times less light, for {advice.quality.words}"
        )
        if advice.limited_by is None:
            lines.append(f"how sure: 95 % between {low:.3g} and {high:.3g} ms")
        else:
            lines.append(f"held there because {advice.limited_by}")
        lines.append(_tenth(advice))
        saved_ms = spent.saved_ms_per_hour(advice)
        assert saved_ms is not None
        lines.append(
            f"saved: {spent.words(saved_ms)} in an hour of frames as frequent as now"
            + (
                "; only if the light is off between frames (--interval, or a lamp that the camera "
                "switches)"
                if spent.light_stays_on
                else ""
            )
        )
    if advice.moving:
        lines.append("the sample moves: each frame was compared with its neighbours in time")
    if abs(advice.bleached) > 0.03:
        word = "lost" if advice.bleached > 0 else "gained"
        lines.append(
            f"the sample {word} {100 * abs(advice.bleached):.2g} % of its light meanwhile; frames "
            "were taken in an order that takes this out"
        )
    lines.append(
        f"spent on asking: {spent.shots} exposures, {spent.words(spent.light_ms)}, which is "
        f"{spent.light_ms / advice.present_ms:.0f} frames of now"
    )
    return lines


def _tenth(advice: Advice) -> str:
    if advice.supports(10):
        return "a tenth of the light: enough"
    return f"a tenth of the light ({advice.present_ms / 10:.3g} ms): not enough" + (
        f", or not known to be: {advice.limited_by}" if advice.limited_by else ""
    )


def advice_record(advice: Advice, scores: tuple[Fidelity, ...], spent: Spent) -> dict[str, object]:
    """All numbers, for JSON; what is not known is None."""
    saved_ms = spent.saved_ms_per_hour(advice)
    return {
        "asked": advice.quality.words,
        "present_ms": advice.present_ms,
        "advised_ms": advice.exposure_ms,
        "interval_95_ms": advice.interval_ms,
        "relative_uncertainty": _known(advice.doubt),
        "refusal": advice.refusal,
        "limited_by": advice.limited_by,
        "a_tenth_is_enough": advice.supports(10),
        "target_psnr_db": _known(advice.target_db),
        "raw_psnr_db_now": _known(advice.raw_psnr_db),
        "levels": [
            {
                "exposure_ms": level.exposure_ms,
                "frames": level.frames,
                "psnr_db": _known(level.psnr_db),
                "psnr_uncertainty_db": _known(level.doubt_db),
                "ssim": _known(score.ssim),
                "frc_px": _known(score.frc_px),
                "engine_was_trained_for_it": level.allowed,
            }
            for level, score in zip(advice.levels, scores, strict=True)
        ],
        "sample_moved": advice.moving,
        "bleached_share": advice.bleached,
        "spent": {
            "exposures": spent.shots,
            "rounds": spent.rounds,
            "light_ms": spent.light_ms,
            "dose_j_cm2": spent.dose(spent.light_ms),
        },
        "saved_an_hour": {
            "light_ms": saved_ms,
            "dose_j_cm2": None if saved_ms is None else spent.dose(saved_ms),
            "only_with_light_off_between_frames": spent.light_stays_on,
        },
    }


_CURVE_EVERY = 4
"""Of the points of a curve, those that are sent and painted."""


def advice_result(
    advice: Advice,
    spent: Spent,
    scores: tuple[Fidelity, ...],
    *,
    engine: str,
    channel: str | None = None,
    number: int = 1,
) -> ExposureResult:
    """What the window and a plot show of it; one of `scores` for each level.

    `number`: of the series in its run.
    """
    return ExposureResult(
        number=number,
        channel=channel,
        engine=engine,
        asked=advice.quality.words,
        present_ms=advice.present_ms,
        exposure_ms=advice.exposure_ms,
        interval_ms=advice.interval_ms,
        raw_psnr_db=advice.raw_psnr_db,
        target_db=advice.target_db,
        levels=tuple(
            ExposureLevel(
                exposure_ms=level.exposure_ms,
                psnr_db=level.psnr_db,
                doubt_db=level.doubt_db,
                frames=level.frames,
                allowed=level.allowed,
            )
            for level in advice.levels
        ),
        curve_ms=tuple(_thinned(advice.curve_ms)),
        curve_db=tuple(_thinned(advice.curve_db)),
        lines=(*advice_lines(advice, spent), *_fidelity_lines(advice, scores)),
        refusal=advice.refusal,
    )


def _fidelity_lines(advice: Advice, scores: tuple[Fidelity, ...]) -> list[str]:
    """SSIM and detail where the advice lies, beside those of now; none without an advice."""
    if advice.exposure_ms is None:
        return []
    advised = math.log(advice.exposure_ms)
    levels = [level.exposure_ms for level in advice.levels]
    near = min(range(len(levels)), key=lambda n: abs(math.log(levels[n]) - advised))
    there, now = scores[near], scores[0]
    return [
        f"restored pictures of {levels[near]:.3g} ms: SSIM {there.ssim:.3f}, detail down to "
        f"{there.frc_px:.1f} px (FRC); of {levels[0]:.3g} ms: {now.ssim:.3f}, {now.frc_px:.1f} px"
    ]


def _thinned(values: NDArray[np.float64]) -> list[float]:
    """Every fourth of (N,) and the last one."""
    return [*values[:-1:_CURVE_EVERY].tolist(), float(values[-1])]


def doubt_text(doubt_db: float) -> str:
    """An uncertainty with two decimals, rounded up: none is ever said to be nothing.

    >>> doubt_text(0.004), doubt_text(0.231)
    ('0.01', '0.24')
    """
    return f"{math.ceil(100 * doubt_db) / 100:.2f}" if math.isfinite(doubt_db) else "?"


def _digits(value: float) -> str:
    """Three digits, and no powers of ten where a number is large."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
