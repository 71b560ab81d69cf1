"""The light of the frames in one file, and of their sample by then."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from liverestore.frame import FrameHeader

__all__ = ["FileLight"]


_AT_ONCE = 4096


@dataclass(slots=True)
class _Sum:
    """Of any number of values; rounded once in 4096 of them, and kept in the space of those."""

    count: int = 0
    _values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.count += 1
        self._values.append(value)
        if len(self._values) > _AT_ONCE:
            self.condense()

    def condense(self) -> None:
        """Keep the sum alone."""
        self._values = [self.total()]

    def total(self) -> float:
        return math.fsum(self._values)


@dataclass(slots=True)
class FileLight:
    """Filled by `add`, in the order of the frames; planes of one frame count once."""

    _doses_j_cm2: _Sum = field(default_factory=_Sum)
    _on_ms: _Sum = field(default_factory=_Sum)
    _fields: dict[int, float | None] = field(default_factory=dict)
    _session_j_cm2: float | None = None
    _began_utc: str = ""
    _number: int | None = None

    def add(self, header: FrameHeader) -> None:
        """Take in a frame that is on disk."""
        light = header.light
        if light is None or header.number == self._number:
            return
        self._number = header.number
        self._on_ms.add(light.on_ms)
        if light.dose_j_cm2 is not None:
            self._doses_j_cm2.add(light.dose_j_cm2)
        self._fields[light.field] = light.field_dose_j_cm2
        self._session_j_cm2, self._began_utc = light.session_dose_j_cm2, light.session_began_utc

    def condense(self) -> None:
        """Keep the sums alone: the file is closed, and a run keeps the account of all its files."""
        self._doses_j_cm2.condense()
        self._on_ms.condense()

    def told(self) -> dict[str, Any] | None:
        """For the file's summary: the light of its frames alone (`frames_...`), and what each
        field and the session had got when the last of them was taken; None without any.
        """
        if not self._on_ms.count:
            return None
        known = self._doses_j_cm2.count > 0
        return {
            "frames_dose_j_cm2": self._doses_j_cm2.total() if known else None,
            "frames_light_on_s": self._on_ms.total() * 1e-3,
            "frames_of_known_dose": self._doses_j_cm2.count,
            "field_dose_j_cm2": {str(number): dose for number, dose in self._fields.items()},
            "session_dose_j_cm2": self._session_j_cm2,
            "session_began_utc": self._began_utc,
        }

    def words(self) -> str:
        """The same in a few words; empty without any light."""
        told = self.told()
        if told is None:
            return ""
        if told["frames_dose_j_cm2"] is None:
            return f"light on for {told['frames_light_on_s']:.6g} s, dose not known"
        return f"light dose of these frames {told['frames_dose_j_cm2']:.6g} J/cm2"
