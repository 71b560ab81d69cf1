"""What a run reports of its light, and what it can be told about it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from liverestore.trust.verdict import Level

__all__ = ["HoldReport", "LightReport", "NewSample", "SetBudget", "SetHold", "TrustSeen"]


class HoldReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds the light of the structure as the sample bleaches, at one moment."""

    on: bool
    target_e: float | None = None
    """Photoelectrons of the structure in a frame that are held; None while they are learnt."""
    light_e: float | None = None
    """Those of the frame that was looked at last."""
    exposure_ms: float | None = None
    """Of that frame."""
    began_ms: float | None = None
    """When it was switched on."""
    shortest_ms: float | None = None
    longest_ms: float | None = None
    """Within which it may expose."""
    held_back: str = ""
    """Why the target is not reached, in words."""


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
    hold: HoldReport | None = None
    """None where no light can be held: the camera's numbers are not known, or channels come in
    turn."""


class SetBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Allow another dose from now on; None: no limit."""

    field_j_cm2: Annotated[float, Meta(gt=0)] | None = None
    session_j_cm2: Annotated[float, Meta(gt=0)] | None = None


class NewSample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Begin the account at zero: another sample lies on the stage."""


class SetHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """Hold the light of the structure by changing the exposure, or no longer."""

    on: bool
    longest_ms: Annotated[float, Meta(gt=0, le=600_000)] | None = None
    """The longest exposure allowed; None: as before, or twice that of now."""
    target_e: Annotated[float, Meta(gt=0)] | None = None
    """Photoelectrons of the structure in a frame; None: those of the next frames."""


class TrustSeen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=True):
    """What the data say about the restored images has become this, of the worst channel."""

    level: Level
