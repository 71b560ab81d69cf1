"""A camera that is away in mid-run: when it is tried again, for how long, and what is told."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from liverestore.camera.absence import CameraGone, ReturningSource
from liverestore.camera.light import limited_source
from liverestore.camera.source import FrameSource
from liverestore.errors import Failure, UserError
from liverestore.frame import FrameHeader
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.status_camera import Absence
from liverestore.status_commands import SetExposure, SetLive, SetRoi, Snap

__all__ = ["CameraAbsence"]

_FIRST_S, _LONGEST_S = 1.0, 10.0
"""Between two attempts; the time doubles from one to the next."""
_KEPT = 100
"""Absences that are reported; a loose contact may make thousands."""

_GOES_ON = (
    f"it is tried again every {_FIRST_S:.0f} to {_LONGEST_S:.0f} s, and Live goes on by itself"
)
_WITH_SNAP = "it is tried again with the next Snap or Live"

log = logging.getLogger(__name__)


@dataclass
class _Open:
    reason: str
    since_s: float
    since: datetime
    after: int
    interval_s: float = _FIRST_S
    next_try_s: float = 0.0


class CameraAbsence:
    """The absences of the camera of `source`; `tell` gets one line for each that begins or ends.

    While one lasts, `try_again` makes the camera ready at growing intervals of 1 to 10 s. It is
    over with the first frame that comes. After `patience_s` (None: never) the run is to end.
    Methods but `report` belong to the camera thread. Time is handed in, in seconds of a clock
    that runs evenly.
    """

    def __init__(
        self,
        source: FrameSource,
        tell: Callable[[str], None],
        *,
        patience_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._source = source
        self._tell = tell
        self.patience_s = math.inf if patience_s is None else patience_s
        self._now_s, self._wall = now_s, wall
        self._open: _Open | None = None
        self._ready = True
        self._past: list[Absence] = []

    @property
    def lasts(self) -> bool:
        """Whether no frame has come since the camera went away."""
        return self._open is not None

    def begins(
        self,
        error: CameraGone,
        last: FrameHeader | None,
        recorder: Recorder | None = None,
        light: LightKeeper | None = None,
        *,
        live: bool = True,
    ) -> bool:
        """The camera is gone after the frame `last`.

        The file of `recorder` is closed, and `light` charged with what was broken off; no light
        falls meanwhile. False where it cannot come back: the source knows no way, or never had a
        frame.
        """
        if last is None or not isinstance(self._way_back, ReturningSource):
            return False
        self._ready = False
        away = self._open
        if away is None:
            file = recorder.path if recorder is not None else None
            away = self._open = _Open(str(error), self._now_s(), self._wall(), last.number)
            kept = "" if file is None else f"; {file} is closed with frame {last.number}"
            self._tell(
                f"no camera since {self._clock(away.since)}, after frame {last.number}: "
                f"{error}{kept}; {_GOES_ON if live else _WITH_SNAP}"
            )
            self._shut()
        if recorder is not None:
            recorder.interrupt()
        if light is not None:
            light.camera_gone()
        self._later(away, str(error))
        return True

    @property
    def _way_back(self) -> object:
        # Of channels in turn the camera is that of the source inside.
        return getattr(self._source, "source", self._source)

    def _shut(self) -> None:
        """A camera that went away has left the core's autoshutter open."""
        limited = limited_source(self._source)
        light = limited.light if limited is not None else None
        if light is None:
            return
        wrong = light.shut()
        if wrong is None and light.is_open():
            wrong = f"shutter {light.shutter}: was opened by hand and stays open; close it"
        if wrong is not None:
            self._tell(wrong)

    def wait_s(self) -> float:
        """Until the next attempt is due; 0 where none is to be waited for."""
        if self._open is None or self._ready:
            return 0.0
        until_s = min(self._open.next_try_s, self._open.since_s + self.patience_s)
        return max(0.0, until_s - self._now_s())

    def hurry(self) -> None:
        """Somebody asks for a frame: the next attempt is due now."""
        if self._open is not None:
            self._open.next_try_s = self._now_s()

    def answer(self, word: object) -> None:
        """What an order does while the camera is away; nothing where it is not.

        Raises `UserError` for one that needs the camera. A Snap tries it again at once.
        """
        if not self.lasts:
            return
        if isinstance(word, SetLive) and word.on:
            self.hurry()
        elif isinstance(word, Snap):
            self.hurry()
            if not self.ready():
                raise UserError("no picture: the camera is still away; check its cable and power")
        elif isinstance(word, SetExposure | SetRoi):
            raise UserError(
                "the camera is away: exposure and ROI stay; change them when it is back"
            )

    def ready(self) -> bool:
        """Whether to ask for a frame; an attempt is made where it is due.

        Raises `Failure` when the patience is at its end.
        """
        away = self._open
        if away is None or self._ready:
            return True
        now_s = self._now_s()
        if now_s - away.since_s >= self.patience_s:
            raise Failure(
                f"the camera did not come back within {self.patience_s:g} s ({away.reason}); all "
                f"frames up to {away.after} are kept; start the run again when it is there, or "
                "give --camera-patience more seconds"
            )
        if now_s < away.next_try_s:
            return False
        way_back = self._way_back
        assert isinstance(way_back, ReturningSource)
        try:
            way_back.come_back()
        except (CameraGone, UserError) as error:
            log.info("the camera is still away: %s", error)
            self._later(away, str(error))
            return False
        self._ready = True
        return True

    def _later(self, away: _Open, reason: str) -> None:
        if away.reason != reason:
            away.reason = reason
            self._tell(f"still no camera: {reason}")
        away.next_try_s = self._now_s() + away.interval_s
        away.interval_s = min(2 * away.interval_s, _LONGEST_S)

    def came(self, header: FrameHeader, file: Path | None) -> None:
        """A frame came, and goes to `file`."""
        away, self._open = self._open, None
        if away is None:
            return
        now, lasted_s = self._wall(), self._now_s() - away.since_s
        self._keep(away, lasted_s, to=now, until=header.number)
        on = "" if file is None else f"; recording goes on in {file}"
        self._tell(
            f"the camera is back: no camera from {self._clock(away.since)} to {self._clock(now)} "
            f"({lasted_s:.1f} s), between the frames {away.after} and {header.number}{on}"
        )

    def _keep(self, away: _Open, lasted_s: float, *, to: datetime, until: int) -> None:
        self._past.append(_absence(away, lasted_s, to=to, until=until))
        del self._past[:-_KEPT]

    @staticmethod
    def _clock(when: datetime) -> str:
        """On the wall of this computer."""
        return f"{when.astimezone():%H:%M:%S}"

    def report(self) -> tuple[Absence, ...]:
        """All of the run, oldest first; the last one may not be over. From any thread."""
        away = self._open
        past = tuple(self._past)
        if away is None:
            return past
        now_s = self._now_s()
        wait_s = None if self._ready else max(0.0, away.next_try_s - now_s)
        return (*past, _absence(away, now_s - away.since_s, next_try_s=wait_s))


def _absence(
    away: _Open,
    lasted_s: float,
    *,
    to: datetime | None = None,
    until: int | None = None,
    next_try_s: float | None = None,
) -> Absence:
    return Absence(
        reason=away.reason,
        from_utc=away.since.isoformat(timespec="milliseconds"),
        to_utc=None if to is None else to.isoformat(timespec="milliseconds"),
        seconds=round(lasted_s, 3),
        after=away.after,
        until=until,
        next_try_s=next_try_s,
    )
