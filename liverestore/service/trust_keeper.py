"""Judges results beside the engine, for a small share of the time that restoring takes."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable

import msgspec

from liverestore.camera_model import CameraModel
from liverestore.errors import LiverestoreError, UserError
from liverestore.frame import Restored
from liverestore.optics import Optics
from liverestore.service.low_priority import lower_priority
from liverestore.trust.trust_map import MapKind, TrustMap, trust_map
from liverestore.trust.verdict import Verdict, kind_of
from liverestore.trust.watch import TrustWatch

__all__ = ["SHARE", "TrustKeeper"]

log = logging.getLogger(__name__)

SHARE = 0.15
"""Of the time spent restoring, at most this much is spent judging, over some seconds."""
_SAVED_UP_NS = 200_000_000
_GLANCE_DEBT_NS = 100_000_000
"""A glance at every second frame is taken on credit up to this."""
_NICE = 10
_ENDED = Verdict(level="amber", reason="no longer tested: judging ended by a fault, see the log")


class TrustKeeper:
    """One `TrustWatch` for each channel, in a thread that takes the newest result only.

    It measures its own processor time. Where restoring is quick it looks at fewer frames, and
    then takes longer to fill its pools; at every second frame it at least glances, as long as it
    is not far over its share.
    """

    def __init__(
        self,
        find_optics: Callable[[str | None], Optics] | None = None,
        *,
        objective: str | None = None,
        share: float = SHARE,
        threaded: bool = True,
    ) -> None:
        """`find_optics` of a channel may raise `UserError` where a rig states none; `objective` is
        the label in the turret that these optics are of.

        Without the thread, `work` is the caller's to call.
        """
        self._find_optics = find_optics
        self._objective = objective
        self._share = share
        self._watches: dict[str, TrustWatch] = {}
        self._waiting: dict[str, tuple[Restored, CameraModel, bool, bool]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._credit_ns = 0.0
        self._seen = 0
        self._verdicts: dict[str, Verdict] = {}
        self._map_kind: MapKind | None = None
        self._map: TrustMap | None = None
        self._process_ns = time.process_time_ns()
        self.restoring_ns = 0
        self.judging_ns = 0
        """Processor time spent, beside the time that restoring took."""
        self.looks = 0
        self._thread: threading.Thread | None = None
        if threaded:
            self._thread = threading.Thread(target=self._in_thread, name="trust", daemon=True)
            self._thread.start()

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """Channel ("" where frames name none) -> verdict of now."""
        with self._changed:
            return dict(self._verdicts)

    @property
    def map(self) -> TrustMap | None:
        """Of the newest test; None while none is asked for or there was none."""
        with self._changed:
            return self._map

    def show_map(self, kind: MapKind | None) -> None:
        """Make this map with each test; None: none."""
        with self._changed:
            self._map_kind, self._map = kind, None
            for channel, watch in self._watches.items():
                if kind is not None and watch.last_test is not None:
                    self._map = trust_map(watch.last_test, kind, channel)

    def see(self, result: Restored, camera: CameraModel, *, sharpened: bool = False) -> None:
        """Take note of a result; returns at once. `sharpened` as in `TrustWatch.look`."""
        made = result.provenance
        wall_ns, now_ns = max(0, made.finished_ns - made.started_ns), time.process_time_ns()
        with self._changed:
            # On a busy machine restoring waits for a processor, which gives judging no more of it.
            used_ns = max(0, now_ns - self._process_ns - self.judging_ns)
            self._process_ns = now_ns - self.judging_ns
            spent_ns = min(wall_ns, used_ns)
            self.restoring_ns += spent_ns
            self._credit_ns = min(self._credit_ns + self._share * spent_ns, _SAVED_UP_NS)
            self._seen += 1
            look = self._credit_ns >= 0
            if not look and (self._seen % 2 or self._credit_ns < -_GLANCE_DEBT_NS):
                return
            channel = result.source.header.channel or ""
            waiting = self._waiting.get(channel)
            look = look or (waiting is not None and waiting[2])
            self._waiting[channel] = (result, camera, look, sharpened)
            self._changed.notify()

    def mark(self, result: Restored) -> Restored:
        """`result` with the verdict of its channel in its provenance, for the screen and files.

        The verdict is that of the frames before: this one is not judged yet.
        """
        verdict = self._verdicts.get(result.source.header.channel or "")
        if verdict is None:
            return result
        made = result.provenance
        parameters = {**made.parameters, "trust": verdict.level, "trust_reason": verdict.reason}
        parameters.update({f"trust_{name}": value for name, value in verdict.numbers.items()})
        words: tuple[str, ...] = ()
        if verdict.level in ("amber", "red"):
            own = {kind_of(word) for word in made.warnings}
            words = tuple(
                word for word in (verdict.reason, *verdict.others) if kind_of(word) not in own
            )
        return dataclasses.replace(
            result,
            provenance=msgspec.structs.replace(
                made, parameters=parameters, warnings=words + made.warnings
            ),
        )

    def work(self) -> bool:
        """Judge one result that waits; False where none does."""
        with self._changed:
            if not self._waiting:
                return False
            channel = next(iter(self._waiting))
            result, camera, look, sharpened = self._waiting.pop(channel)
        began_ns = time.thread_time_ns()
        watch = self._watch(channel, result)
        tested = watch.last_test
        if look:
            watch.look(result, camera, sharpened=sharpened)
        else:
            watch.glance(result, camera)
        verdict, made = watch.verdict, None
        kind = self._map_kind
        if kind is not None and watch.last_test is not None and watch.last_test is not tested:
            made = trust_map(watch.last_test, kind, channel)
        spent_ns = time.thread_time_ns() - began_ns
        with self._changed:
            self.judging_ns += spent_ns
            self._credit_ns -= spent_ns
            self.looks += look
            self._verdicts[channel] = verdict
            if watch.foreign and self._map is not None and self._map.channel == channel:
                self._map = None
            elif made is not None and made.kind == self._map_kind:
                self._map = made
        return True

    def close(self) -> None:
        """End the thread; what waits is not judged."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self, channel: str, result: Restored) -> TrustWatch:
        if channel not in self._watches:
            optics = None
            if self._find_optics is not None:
                with contextlib.suppress(UserError):  # a rig without optics: the stated default
                    optics = self._find_optics(result.source.header.channel)
            self._watches[channel] = TrustWatch(optics, self._objective)
        return self._watches[channel]

    def _in_thread(self) -> None:
        # Of the keeper's own thread only: a priority cannot be raised again.
        lower_priority(_NICE)
        self._run()

    def _run(self) -> None:
        try:
            self._judge()
        finally:
            with self._changed:
                if not self._closed:
                    # A fault of ours: a light that stays green would be a lie.
                    self._verdicts = dict.fromkeys(self._verdicts or ("",), _ENDED)

    def _judge(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
            try:
                self.work()
            except LiverestoreError as error:
                # A frame that cannot be judged is no reason to stop judging.
                log.warning("a result could not be judged: %s", error)
