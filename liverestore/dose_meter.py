"""The account of a session's light, its budget, and what still fits into it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from liverestore.dose import (
    Field,
    Kind,
    Lamp,
    LightSum,
    dose_j_cm2,
    frames_within,
    nanoseconds,
    nearest_field,
)
from liverestore.frame import FrameLight

__all__ = ["WARN_SHARE", "DoseBudget", "DoseMeter"]

WARN_SHARE = 0.8
"""Of a budget: from there on it is said that it runs out."""


@dataclass(frozen=True, slots=True)
class DoseBudget:
    """The most light that is allowed, in J/cm2; None: no limit."""

    field_j_cm2: float | None = None
    """For each field of view."""
    session_j_cm2: float | None = None
    """For all fields of a session together."""

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.field_j_cm2 is not None or self.session_j_cm2 is not None


class DoseMeter:
    """Charges light to the field of view it falls on, and to the session.

    Whatever spends light (frames, snaps, a reference shot, a series that looks for the
    exposure) calls `charge` once for it. `size_um` (x, y) is the field of view on the sample;
    `now` gives the time of day. Not safe to use from two threads at a time.

    >>> meter = DoseMeter(DoseBudget(field_j_cm2=0.03))
    >>> lamp = Lamp("GFP", 250.0)
    >>> meter.charge(lamp, 40.0, kind="reference").field_dose_j_cm2
    0.01
    >>> meter.frames_left(lamp, 40.0)
    2
    """

    def __init__(
        self,
        budget: DoseBudget | None = None,
        *,
        size_um: tuple[float, float] | None = None,
        fields: list[Field] | None = None,
        began_utc: str | None = None,
    ) -> None:
        self.budget = budget or DoseBudget()
        self.size_um = size_um
        self.fields = fields or []
        """Every field of the session, in the order in which they were first lit."""
        self.began_utc = began_utc or _now()
        """When the session began, ISO 8601."""
        self.last_light_utc: str | None = None
        """When the last light was charged here."""
        self.session = LightSum()
        """Of all fields together."""
        for one in self.fields:
            for lamp, kind, frames, ns in one.light.lines():
                self.session.add(lamp, ns, kind, frames)
        self._here: Field | None = None

    @property
    def here(self) -> Field:
        """The field that is looked at; before the first call of `look_at` the first one."""
        if self._here is None:
            self.look_at(None)
        assert self._here is not None
        return self._here

    def look_at(self, xy_um: tuple[float, float] | None) -> bool:
        """Charge to the field at stage position `xy_um` from now on; whether it is another."""
        before = self._here
        found = nearest_field(self.fields, xy_um, self.size_um)
        if found is None:
            found = Field(len(self.fields) + 1, xy_um)
            self.fields.append(found)
        self._here = found
        return before is not None and before is not found

    def charge(
        self,
        lamp: Lamp,
        light_on_ms: float,
        *,
        kind: Kind = "frame",
        exposures: int = 1,
    ) -> FrameLight:
        """Count `exposures` of `light_on_ms` each on the present field.

        What it says of the frame is the dose of one exposure, and the sums after all.
        """
        each_ns = nanoseconds(light_on_ms)
        field = self.here
        for account in (field.light, self.session):
            account.add(lamp, exposures * each_ns, kind, exposures)
        self.last_light_utc = _now()
        known = lamp.irradiance_mw_cm2
        return FrameLight(
            on_ms=each_ns * 1e-6,
            irradiance_mw_cm2=known,
            dose_j_cm2=dose_j_cm2(known, each_ns) if known is not None else None,
            field=field.number,
            field_dose_j_cm2=field.light.dose_j_cm2 if field.light.measured else None,
            session_dose_j_cm2=self.session.dose_j_cm2 if self.session.measured else None,
            session_began_utc=self.began_utc,
        )

    @property
    def left_j_cm2(self) -> float | None:
        """What the budget still allows here, the tighter of the two; None without one."""
        budget = self.budget
        left = [
            allowed - spent
            for allowed, spent in (
                (budget.field_j_cm2, self.here.light.dose_j_cm2),
                (budget.session_j_cm2, self.session.dose_j_cm2),
            )
            if allowed is not None
        ]
        return min(left, default=None)

    def frames_left(self, lamp: Lamp, exposure_ms: float) -> int | None:
        """How many exposures the budget still allows here; None: any number.

        Light of unknown irradiance has no dose, and no budget holds it.
        """
        left = self.left_j_cm2
        if left is None or lamp.irradiance_mw_cm2 is None:
            return None
        return frames_within(left, dose_j_cm2(lamp.irradiance_mw_cm2, nanoseconds(exposure_ms)))

    @property
    def spent_share(self) -> float | None:
        """How much of the budget is spent here (1: all), of the tighter one; None without."""
        budget = self.budget
        shares = [
            spent / allowed
            for allowed, spent in (
                (budget.field_j_cm2, self.here.light.dose_j_cm2),
                (budget.session_j_cm2, self.session.dose_j_cm2),
            )
            if allowed is not None
        ]
        return max(shares, default=None)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
