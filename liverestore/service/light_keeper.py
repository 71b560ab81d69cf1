"""The camera thread's account of light: asked before an exposure, told after it.

How long the light was on for a frame is its exposure where something switches the lamp for
exposures alone: a snap (the core's autoshutter), or a camera that triggers its lamp. While
Live runs without a break the autoshutter stays open, and a frame costs the time since the
one before. When such a sequence ends, the exposure that was under way shows on no frame and
is charged all the same.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from liverestore.camera.channel_cycle import ChannelCycle
from liverestore.camera.light import LimitedSource, limited_source
from liverestore.camera.source import FrameSource, SourceInfo
from liverestore.dose import Kind, Lamp, dose_j_cm2
from liverestore.dose_account import account_text, open_account, save_account
from liverestore.dose_meter import DoseBudget, DoseMeter
from liverestore.errors import Failure, LiverestoreError
from liverestore.frame import Frame
from liverestore.rig import RigConfig
from liverestore.rig_light import lamp_of
from liverestore.service.light_rate import LightRate
from liverestore.service.light_sums import BudgetWarning, budget_spent, light_report
from liverestore.status_light import LightReport, SetBudget

__all__ = ["LightKeeper"]

_ASK_STAGE_EVERY_NS = 500_000_000
"""A stage on a serial line takes some ms to answer; the camera's ring keeps frames meanwhile."""


class LightKeeper:
    """Charges every exposure of a source to `meter` and says when no more is allowed.

    `account` is the file that it is kept in. All methods but `report` and `save` belong to
    the camera thread.
    """

    def __init__(
        self,
        meter: DoseMeter,
        rig: RigConfig,
        *,
        account: Path | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.meter = meter
        self._rig = rig
        self._account = account
        self._saved = b""
        self._clock_ns = clock_ns
        self._lock = threading.Lock()
        """Over the meter, which the reporting thread reads."""
        self._source: FrameSource | None = None
        self._limited: LimitedSource | None = None
        self._exposure_ms: float | None = None
        self._channel: str | None = rig.channels[0].name if rig.channels else None
        self._lost = 0
        self._xy_um: tuple[float, float] | None = None
        self._asked_stage_ns: int | None = None
        self._lit_since_ns: int | None = None
        """Up to where the light of the running sequence is charged; None: none runs."""
        self._period_ns = 0
        self._allowed: int | None = None
        """Exposures that are left to the running sequence."""
        self._broken_off_ns: int | None = None
        self._rate = LightRate()
        self._frame_j_cm2: float | None = None
        self._frame_on_ms: float | None = None
        self._warning = BudgetWarning()
        self._shutter: str | None = None
        self._shutter_open: bool | None = None
        self.stopped = False
        """Whether the budget has ended Live."""
        self.notices: deque[str] = deque()
        """Lines for the person, taken away by whoever reads them."""

    def begin(self, source: FrameSource, info: SourceInfo) -> None:
        """Account for `source`, which has just been started."""
        self._source, self._limited = source, limited_source(source)
        self._exposure_ms = info.exposure_ms
        if info.pixel_size_um is not None:
            height, width = info.shape
            self.meter.size_um = (width * info.pixel_size_um, height * info.pixel_size_um)
        self._look(force=True)
        self._ask_shutter()

    # -- before an exposure -----------------------------------------------------------

    def before_next(self, frames: int | None = None) -> Literal["go", "renew", "stop"]:
        """Whether to ask for the next frame of Live, of which `frames` are wanted at most.

        "renew": pause first, because what is allowed has changed with the field of view.
        "stop": the budget does not hold one more frame.
        """
        moved = self._look()
        if self._exposing():
            if moved and self.meter.budget.limited:
                return "renew"
            return "stop" if self._overrun() else "go"
        allowed = self._frames_left()
        if allowed == 0:
            return "stop"
        if not isinstance(self._source, ChannelCycle):
            wanted = [n for n in (allowed, frames) if n is not None]
            self._allowed = min(wanted, default=None)
            if self._limited is not None:
                self._limited.limit(self._allowed)
                self._lit_since_ns = self._clock_ns()
        return "go"

    def patience_s(self, most_s: float) -> float:
        """How long to wait for a frame at most, before `before_next` is to be asked again."""
        left, lit = self.meter.left_j_cm2, self._lit_since_ns
        irradiance = self._lamp(self._channel).irradiance_mw_cm2
        if left is None or lit is None or irradiance is None or not self._stays_on():
            return most_s
        lasts_s = left / irradiance * 1e3 - (self._clock_ns() - lit) * 1e-9
        return min(most_s, max(lasts_s, 0.001))

    def refusal(self, upcoming: tuple[float, str | None] | None = None) -> str | None:
        """Why the next exposure, or `upcoming` (ms, channel), is not allowed; None where it is."""
        self._look(force=True)
        if not self.holds(*upcoming) if upcoming is not None else self._frames_left() == 0:
            return self.spent()
        self.stopped = False
        return None

    def holds(self, exposure_ms: float, channel: str | None = None) -> bool:
        """Whether the budget holds one exposure of `exposure_ms` on this field."""
        return self.meter.frames_left(self._lamp(channel or self._channel), exposure_ms) != 0

    def spent(self) -> str:
        """That the budget does not hold another frame, and what to do."""
        return budget_spent(self.meter)

    def next_channel(self, name: str) -> None:
        """The next exposure is of the channel `name`."""
        self._channel = name

    def _upcoming(self) -> tuple[float | None, str | None]:
        """Exposure in ms, where the camera tells one, and channel of the next frame."""
        if isinstance(self._source, ChannelCycle):
            channel, exposure_ms = self._source.upcoming
            return exposure_ms, channel
        own = self._exposure_ms if self._limited is None else self._limited.exposure_ms
        return own, self._channel

    def _frames_left(self) -> int | None:
        exposure_ms, channel = self._upcoming()
        if exposure_ms is None:
            return None
        return self.meter.frames_left(self._lamp(channel), exposure_ms)

    def _exposing(self) -> bool:
        if isinstance(self._source, ChannelCycle):
            return self._source.under_way
        return self._limited is not None and self._limited.running

    def _overrun(self) -> bool:
        """Whether light that stays on would exceed the budget before the next frame ends."""
        left, lit = self.meter.left_j_cm2, self._lit_since_ns
        irradiance = self._lamp(self._channel).irradiance_mw_cm2
        if left is None or lit is None or irradiance is None or not self._stays_on():
            return False
        period_ns = max(self._period_ns, round((self._exposure_ms or 0.0) * 1e6))
        until_ns = max(period_ns, self._clock_ns() - lit)
        return dose_j_cm2(irradiance, until_ns) > left * (1 + 1e-9)

    def _stays_on(self) -> bool:
        """Whether the light is on between the frames of Live."""
        return (
            self._rig.illumination.light_on == "live"
            and self._limited is not None
            and not isinstance(self._source, ChannelCycle)
        )

    def _lamp(self, channel: str | None) -> Lamp:
        return lamp_of(self._rig.illumination, self._rig.channels, channel)

    # -- after it ---------------------------------------------------------------------

    def took(self, frame: Frame, *, kind: Kind = "frame") -> Frame:
        """Charge `frame` and those lost before it; the same frame with its light."""
        header = frame.header
        lamp = self._lamp(header.channel)
        if self._channel != header.channel and not isinstance(self._source, ChannelCycle):
            self._channel = header.channel
        lost = header.lost_before - self._lost
        self._lost = header.lost_before
        if kind != "reference":  # those that follow are exposed as before
            self._exposure_ms = header.exposure_ms
        on_ms = header.exposure_ms or 0.0
        in_sequence = self._lit_since_ns is not None and kind != "snap"
        lost_ms = on_ms
        if in_sequence and self._stays_on():
            assert self._lit_since_ns is not None
            self._period_ns = max(0, header.captured_ns - self._lit_since_ns)
            self._lit_since_ns = max(header.captured_ns, self._lit_since_ns)
            # The time of a lost frame is in that of the next one.
            on_ms, lost_ms = self._period_ns * 1e-6, 0.0
        if in_sequence and self._allowed is not None:
            self._allowed -= 1 + lost
        with self._lock:
            if lost > 0:
                self.meter.charge(lamp, lost_ms, kind="unseen", exposures=lost)
            light = self.meter.charge(lamp, on_ms, kind=kind)
            self._frame_j_cm2, self._frame_on_ms = light.dose_j_cm2, light.on_ms
            self._rate.add(header.captured_ns, light.on_ms, light.dose_j_cm2)
        warning = self._warning.line(self.meter)
        if warning is not None:
            self.notices.append(warning)
        x_um, y_um = self._xy_um or (None, None)
        return Frame(
            frame.pixels, msgspec.structs.replace(header, x_um=x_um, y_um=y_um, light=light)
        )

    def failed(self, upcoming: tuple[float, str | None] | None = None) -> None:
        """Charge the next exposure, or `upcoming` (ms, channel), of which no frame came."""
        exposure_ms, channel = upcoming or self._upcoming()
        if exposure_ms is not None:
            with self._lock:
                self.meter.charge(self._lamp(channel or self._channel), exposure_ms, kind="unseen")

    def pause(self) -> list[Frame]:
        """Pause the source; `took` its frames, and then call `paused`."""
        assert self._source is not None
        exposing = self._exposing()
        try:
            return self._source.pause()
        finally:
            self._broken_off_ns = self._clock_ns() if exposing else None

    def paused(self) -> None:
        """Charge the exposure that was broken off, and see that the shutter is closed."""
        ended_ns, self._broken_off_ns = self._broken_off_ns, None
        lit, self._lit_since_ns = self._lit_since_ns, None
        # A sequence that has delivered all that it was allowed exposes no more.
        if (
            ended_ns is not None
            and lit is not None
            and (self._allowed is None or self._allowed > 0)
        ):
            on_ms = max(0, ended_ns - lit) * 1e-6 if self._stays_on() else self._exposure_ms or 0.0
            with self._lock:
                self.meter.charge(self._lamp(self._channel), on_ms, kind="unseen")
        self._allowed = None
        self._rate.pause()
        light = self._limited.light if self._limited is not None else None
        if light is not None:
            wrong = light.shut(by_hand=self.stopped)
            if wrong is not None and wrong not in self.notices:
                self.notices.append(wrong)
        self._ask_shutter()

    def camera_gone(self) -> None:
        """The camera went away: charge the exposure that it was at, and close the shutter."""
        self._broken_off_ns = None if self._lit_since_ns is None else self._clock_ns()
        self.paused()

    def end(self) -> None:
        """Charge what the source still holds; frames of it that nobody gets are not shown."""
        if self._source is None:
            return
        try:
            for frame in self.pause():
                self.took(frame, kind="unseen")
        except LiverestoreError:
            # Why the camera fails is told by whoever saw it first; its light has been spent.
            pass
        finally:
            self.paused()

    def set_budget(self, word: SetBudget) -> None:
        """Allow another dose from now on."""
        with self._lock:
            self.meter.budget = DoseBudget(word.field_j_cm2, word.session_j_cm2)
        if self._frames_left() != 0:
            self.stopped = False

    def new_sample(self) -> None:
        """Put the account aside and begin at zero. Raises `UserError` where it cannot."""
        old = self.meter
        if self._account is not None:
            self.save()
            new = open_account(self._account, budget=old.budget, size_um=old.size_um, anew=True)
        else:
            new = DoseMeter(old.budget, size_um=old.size_um)
        with self._lock:
            self.meter = new
        self._warning, self.stopped, self._saved = BudgetWarning(), False, b""
        self._look(force=True)

    def _look(self, *, force: bool = False) -> bool:
        """Ask the stage where it stands, now and then; whether that is another field."""
        now_ns = self._clock_ns()
        asked = self._asked_stage_ns
        if not force and asked is not None and now_ns - asked < _ASK_STAGE_EVERY_NS:
            return False
        self._asked_stage_ns = now_ns
        light = self._limited.light if self._limited is not None else None
        self._xy_um = light.xy_um() if light is not None else None
        with self._lock:
            return self.meter.look_at(self._xy_um)

    def _ask_shutter(self) -> None:
        light = self._limited.light if self._limited is not None else None
        if light is not None:
            self._shutter, self._shutter_open = light.shutter, light.is_open()

    # -- for other threads ------------------------------------------------------------

    def report(self, *, live: bool) -> LightReport:
        """The account of this moment."""
        with self._lock:
            share, per_hour = self._rate.now() if live else (None, None)
            return msgspec.structs.replace(
                light_report(self.meter),
                frame_j_cm2=self._frame_j_cm2,
                frame_on_ms=self._frame_on_ms,
                on_share=share,
                j_cm2_per_hour=per_hour,
                stopped=self.stopped,
                triggered=self._rig.illumination.light_on == "exposure",
                shutter=self._shutter,
                shutter_open=None if live else self._shutter_open,
                account=str(self._account) if self._account is not None else None,
            )

    def save(self) -> None:
        """Write the account where it has changed; a disk that refuses is told in a notice."""
        if self._account is None:
            return
        with self._lock:
            content = account_text(self.meter, self._rig.name)
        if content != self._saved and self.meter.last_light_utc is not None:
            self._saved = content
            try:
                save_account(self._account, content)
            except Failure as error:
                self.notices.append(str(error))
