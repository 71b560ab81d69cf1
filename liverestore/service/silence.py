"""A process that lives and says nothing: a driver or a card that does not come back."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from liverestore.service.plan import RunPlan

__all__ = ["CAPTURE_TOLD_S", "ENGINE_MOST_S", "ENGINE_TOLD_S", "SilenceWatch", "Silences"]

CAPTURE_TOLD_S = 30.0
"""A capture process reports five times a second, whatever its camera does; before its first
report it loads the configuration, which takes some devices a minute."""
ENGINE_TOLD_S = 20.0
ENGINE_MOST_S = 120.0
"""An engine says nothing while it is at one picture; one that takes so long hangs."""
_MOST_A_LOOK_S = 1.0


class SilenceWatch:
    """How long one process has said nothing.

    Time is handed in and counts for a second a look at most: a computer that slept, and a
    supervisor that was held up, are no silence of anybody else.
    """

    def __init__(self, told_s: float, most_s: float = math.inf) -> None:
        """After `told_s` it is to be told, after `most_s` the process is to be ended."""
        self._told_s, self._most_s = told_s, most_s
        self._looked_s: float | None = None
        self._told = False
        self.silent_s = 0.0
        """Since it was heard last, or began."""

    def heard(self) -> float | None:
        """It said something, or it begins; how long it was silent, where that was told."""
        lasted_s = self.silent_s if self._told else None
        self.silent_s, self._told = 0.0, False
        return lasted_s

    def look(self, now_s: float) -> bool:
        """Whether the silence is to be told now, once."""
        if self._looked_s is not None:
            self.silent_s += min(now_s - self._looked_s, _MOST_A_LOOK_S)
        self._looked_s = now_s
        if self._told or self.silent_s < self._told_s:
            return False
        self._told = True
        return True

    @property
    def over(self) -> bool:
        """Whether the process is to be ended."""
        return self.silent_s >= self._most_s


class _Tell(Protocol):
    def __call__(self, text: str, *, ordinary: bool = False) -> None: ...


class Silences:
    """Of the processes of a run; `tell` gets one line for each that is told.

    A capture process is ended only where nobody watches (`camera_patience_s`), since frames may
    wait in it for the disk; an engine on another machine never, as its link says what it waits for.
    """

    def __init__(self, plan: RunPlan, tell: _Tell) -> None:
        self._tell = tell
        capture = SilenceWatch(CAPTURE_TOLD_S, plan.camera_patience_s or math.inf)
        self._watches = {"capture": capture}
        if plan.engine_server is None:
            self._watches["engine"] = SilenceWatch(ENGINE_TOLD_S, ENGINE_MOST_S)

    def heard(self, name: str) -> None:
        """Process `name` said something."""
        watch = self._watches.get(name)
        lasted_s = None if watch is None else watch.heard()
        if lasted_s is not None:
            self._tell(f"{name} speaks again, after {lasted_s:.0f} s", ordinary=True)

    def look(self, now_s: float, living: Collection[str]) -> dict[str, str]:
        """Which of the processes `living` are to be ended, and the last word of each."""
        last: dict[str, str] = {}
        for name, watch in self._watches.items():
            if name not in living:
                watch.heard()
            elif watch.look(now_s):
                what = "camera's driver" if name == "capture" else "runtime or the card's driver"
                self._tell(
                    f"{name} has said nothing for {watch.silent_s:.0f} s; if that lasts, the "
                    f"{what} hangs"
                )
            elif watch.over:
                last[name] = f"{name}: said nothing for {watch.silent_s:.0f} s and was ended"
                watch.heard()
        return last
