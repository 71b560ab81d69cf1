"""What a run reports of a search for the exposure, and what it can be told about one."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "ExposureLevel",
    "ExposureOffer",
    "ExposureReport",
    "ExposureResult",
    "MeasureExposure",
    "StopMeasuring",
]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ExposureOffer(_Part, frozen=True, kw_only=True):
    """What a measure of one channel would cost now."""

    channel: str | None = None
    present_ms: float | None = None
    """Exposure of now, which the references would have; None: the camera tells none."""
    shortest_ms: float = 0.0
    rounds: int = 0
    """At most."""
    least_exposures: int = 0
    most_exposures: int = 0
    least_ms: float = 0.0
    most_ms: float = 0.0
    """Time that the light would be on, at least and at most."""
    least_j_cm2: float | None = None
    most_j_cm2: float | None = None
    """The same as doses; None where nobody measured the irradiance."""
    left_j_cm2: float | None = None
    """What the budget of light holds; None: there is none."""
    refusal: str | None = None
    """Why none can be taken now, and what to do."""


class ExposureLevel(_Part, frozen=True, kw_only=True):
    """One exposure of a series; as `exposure_advice.LevelScore`."""

    exposure_ms: float
    psnr_db: float
    doubt_db: float
    frames: int
    allowed: bool


class ExposureResult(_Part, frozen=True, kw_only=True):
    """What one series said; the numbers are those of `exposure_advice.Advice`."""

    number: int = 1
    """Of the series in this run, from 1."""
    channel: str | None = None
    engine: str
    asked: str
    """The quality, in words."""
    present_ms: float
    exposure_ms: float | None
    """What is advised; None where the series supports no advice."""
    interval_ms: tuple[float, float] | None
    raw_psnr_db: float
    target_db: float
    levels: tuple[ExposureLevel, ...]
    curve_ms: tuple[float, ...]
    curve_db: tuple[float, ...]
    """Same length as `curve_ms`."""
    lines: tuple[str, ...] = ()
    """For a person, most important first."""
    refusal: str | None = None


class ExposureReport(_Part, frozen=True, kw_only=True):
    """The search for the exposure at one moment."""

    state: Literal["idle", "loading", "measuring"] = "idle"
    """Loading: the engine is made ready while Live goes on."""
    channel: str | None = None
    """That is measured."""
    done: int = 0
    total: int = 0
    """Exposures taken, and those of the rounds that are certain so far."""
    spent_ms: float = 0.0
    spent_j_cm2: float | None = None
    """Light of the series that runs, or ran last."""
    failed: str | None = None
    """Why the last one ended without a result, in words."""
    offers: tuple[ExposureOffer, ...] = ()
    """One for each channel."""
    result: ExposureResult | None = None
    """Of the last one that was finished in this run."""


class MeasureExposure(_Part, frozen=True, kw_only=True, tag=True):
    """Take a series for the exposure of one channel; the exposure is as before afterwards."""

    engine: str
    quality: str = "raw"
    """As `exposure_quality.parse_quality` reads it."""
    channel: str | None = None
    present_ms: Annotated[float, Meta(gt=0, le=600_000)]
    """Exposure that the light was stated for; another one is refused."""
    rounds: Annotated[int, Meta(ge=1)]
    """At most; so much light was stated."""


class StopMeasuring(_Part, frozen=True, kw_only=True, tag=True):
    """Break off the series; what it has cost is told."""
