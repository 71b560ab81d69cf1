"""What holds the light of the structure, in words; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liverestore.status_light import HoldReport

__all__ = ["HoldSetting", "hold_words", "setting_words"]


@dataclass(frozen=True, slots=True)
class HoldSetting:
    """What a person chose."""

    on: bool
    longest_ms: float | None = None
    target_e: float | None = None
    """None: the light of the frames at which it is switched on."""
    exposure_ms: float | None = None
    """That goes with it, where it is off."""


def setting_words(setting: HoldSetting) -> str:
    """For the list of what can be undone.

    >>> setting_words(HoldSetting(True, 80.0, None)), setting_words(HoldSetting(False))
    ('on, up to 80 ms', 'off')
    """
    if not setting.on:
        return "off"
    target = "" if setting.target_e is None else f"{setting.target_e:.3g} e, "
    return f"on, {target}up to {setting.longest_ms:g} ms" if setting.longest_ms else "on"


def hold_words(hold: HoldReport | None) -> str:
    """What it does now, and within which limits."""
    if hold is None:
        return (
            "Light can be held for a rig that knows its camera (liverestore calibrate) and has one "
            "channel."
        )
    if not hold.on:
        return (
            "Off. Switched on, it keeps the photoelectrons that the structure gives in a frame "
            "(the brightest tenth of the field above the dimmest) as the sample bleaches, by "
            "exposing longer, in steps of 10 % at most."
        )
    if hold.target_e is None:
        return "Learning from the next frames how much light the structure gives."
    now = ""
    if hold.light_e is not None and hold.exposure_ms is not None:
        now = f", now {hold.light_e:.3g} e in {hold.exposure_ms:.4g} ms"
    began = "" if hold.began_ms is None else f" It began at {hold.began_ms:.4g} ms."
    limits = ""
    if hold.shortest_ms is not None and hold.longest_ms is not None:
        limits = f" Allowed: {hold.shortest_ms:.3g} to {hold.longest_ms:.4g} ms."
    stuck = f" Not held: {hold.held_back}." if hold.held_back else ""
    return f"Holds {hold.target_e:.3g} e of the structure in a frame{now}.{began}{limits}{stuck}"
