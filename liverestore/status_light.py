"""What a run reports of its light, and what it can be told about it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["LightReport", "NewSample", "SetBudget"]


class LightReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account of light at one moment; doses in J/cm2, None where no irradiance is known."""

    frame_j_cm2: float | None = None
    """Of the last frame."""
    frame_on_ms: float | None = None
    field: int = 1
    """Number of the field of view that is looked at, from 1."""
    fields: int = 1
    """That the session has lit."""
    field_j_cm2: float | None = None
    field_on_s: float = 0.0
    """How long the light was on for this field."""
    session_j_cm2: float | None = None
    session_on_s: float = 0.0
    unmeasured_s: float = 0.0
    """Light of the session whose irradiance is not known: it is in no dose."""
    began_utc: str | None = None
    """When the session began, ISO 8601."""
    exposures: int = 0
    """Of the session, those included that no frame shows."""
    on_share: float | None = None
    """Of the time (0..1), over the last frames; None while paused."""
    j_cm2_per_hour: float | None = None
    """At this rate."""
    budget_j_cm2: float | None = None
    """For each field."""
    session_budget_j_cm2: float | None = None
    spent_share: float | None = None
    """Of the tighter budget (1: all of it)."""
    stopped: bool = False
    """Whether the budget has ended Live; it goes on when the budget is raised."""
    triggered: bool = False
    """Whether the camera switches the lamp by itself, for exposures alone."""
    shutter: str | None = None
    """Label of the shutter; None: the core has none."""
    shutter_open: bool | None = None
    """As the core said when it was last asked; None: not asked yet, or no shutter."""
    account: str | None = None
    """File of the account."""


class SetBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Allow another dose from now on; None: no limit."""

    field_j_cm2: Annotated[float, Meta(gt=0)] | None = None
    session_j_cm2: Annotated[float, Meta(gt=0)] | None = None


class NewSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Begin the account at zero: another sample lies on the stage."""
