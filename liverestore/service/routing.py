"""Which words of the window, or of whoever else gives orders, are for which process."""

from __future__ import annotations

from liverestore.status import (
    MeasureExposure,
    NewSample,
    SetBudget,
    SetDpm,
    SetEngine,
    SetExposure,
    SetHold,
    SetLive,
    SetRecording,
    SetRival,
    SetRoi,
    SetTrustMap,
    SetZ,
    SetZStack,
    Snap,
    Stop,
    StopMeasuring,
)

__all__ = ["FOR_CAPTURE", "FOR_ENGINE"]

FOR_CAPTURE = (
    SetExposure
    | SetZ
    | SetLive
    | Snap
    | SetRecording
    | SetRoi
    | SetBudget
    | NewSample
    | MeasureExposure
    | StopMeasuring
    | SetHold
    | Stop
)
FOR_ENGINE = SetEngine | SetRival | SetDpm | SetZStack | SetTrustMap | SetLive
