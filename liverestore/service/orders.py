"""What the camera thread does between two frames, because somebody asks for it."""

from __future__ import annotations

from liverestore.service.exposure_measure import Series
from liverestore.service.light_hold import LightHold
from liverestore.service.light_keeper import LightKeeper
from liverestore.status import (
    NewSample,
    SetBudget,
    SetExposure,
    SetHold,
    SetLive,
    SetRecording,
    SetRoi,
    SetZ,
    Snap,
    TrustSeen,
)

__all__ = ["LightOrder", "Order", "obey_light"]

LightOrder = SetBudget | NewSample | SetHold | TrustSeen
"""To the account of light, or to what holds the light of the structure."""
Order = SetLive | Snap | SetRecording | SetRoi | SetExposure | SetZ | Series | LightOrder


def obey_light(word: LightOrder, light: LightKeeper | None, hold: LightHold | None) -> None:
    """Obey `word`, as far as the one that it is for is there."""
    if isinstance(word, SetHold | TrustSeen):
        if hold is not None:
            hold.obey(word)
    elif light is not None and isinstance(word, SetBudget):
        light.set_budget(word)
    elif light is not None:
        light.new_sample()
