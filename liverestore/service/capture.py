"""The capture process: the camera thread, its orders and its reports."""

from __future__ import annotations

import math
import threading
import time
from functools import partial
from typing import Literal

import msgspec

from liverestore.camera.open import open_source
from liverestore.camera.source import FrameSource
from liverestore.errors import LiverestoreError
from liverestore.paths import user_documents
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.child import orphaned, run_child
from liverestore.service.exposure_measure import ExposureMeasure
from liverestore.service.latest_orders import latest
from liverestore.service.light_hold import open_hold
from liverestore.service.light_open import open_light
from liverestore.service.orders import Order
from liverestore.service.plan import RunPlan
from liverestore.service.recorder import Pair, Recorder
from liverestore.service.reference_shots import REFERENCES, ReferenceShots
from liverestore.status import (
    CaptureReport,
    Go,
    MeasureExposure,
    Notice,
    RecordingReport,
    SetLive,
    Stop,
    StopMeasuring,
    Word,
)
from liverestore.transport.control import ControlLink
from liverestore.transport.outlet import Outlet
from liverestore.writer.layout import recording_of
from liverestore.writer.names import free_pair
from liverestore.writer.ome import OmeSink

__all__ = ["capture_process"]

_REPORT_EVERY_S = 0.2
_READY_EVERY_S = 2.0
_DRAIN_S = 5.0
_SAVE_LIGHT_EVERY_S = 1.0
"""What a process that is killed forgets of the light at most."""


def capture_process(plan: RunPlan) -> None:
    """Entry point of the process; ends with an exit code."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        _capture(plan, link, stop)

    run_child("capture", plan.endpoints.control, body)


def _recorder(plan: RunPlan, source: FrameSource) -> Recorder:
    planned: Pair | None = None
    if plan.raw_path is not None:
        planned = plan.raw_path, plan.restored_path
    return Recorder(
        partial(free_pair, plan.record_folder or user_documents(), plan.save_format),
        planned=planned,
        stop_on_write_error=plan.stop_on_write_error,
        open_file=partial(OmeSink, layout=recording_of(len(plan.rig.channels))),
        source=source,
    )


def _capture(plan: RunPlan, link: ControlLink, stop: threading.Event) -> None:
    light = open_light(plan)
    source = open_source(plan.rig)
    outlet = Outlet(plan.endpoints.raw, roles=("engine",), aside=REFERENCES)
    loop = CaptureLoop(
        source,
        outlet,
        recorder=_recorder(plan, source),
        frames=plan.frames,
        light=light,
        hold=open_hold(plan.rig, plan.hold_light_ms, plan.interval_s),
        references=ReferenceShots(plan.references, save_format=plan.save_format)
        if plan.references is not None
        else None,
        interval_s=plan.interval_s,
        end_at_budget=plan.end_at_budget,
        camera_patience_s=plan.camera_patience_s,
    )
    measure = None
    if light is not None:
        measure = ExposureMeasure(
            plan.rig, light, threads=plan.engine_threads, paced=plan.interval_s is not None
        )
    news = _News(loop, link)
    try:
        loop.prepare()
        link.send(loop.report("ready"))
        if _wait_for_go(loop, link, stop):
            _attend(loop, link, stop, news, plan.seconds, measure)
            news.tell(all_counts=True)
        else:
            source.stop()
        # What the engine has in hand may still be finished and counted.
        outlet.finish("the run has ended", timeout_s=0.0 if stop.is_set() else _DRAIN_S)
        news.tell(all_counts=True)
        link.send(_with_search(loop, measure, "ended"))
    finally:
        outlet.close()
        if light is not None:
            light.save()
    if loop.error is not None:
        raise loop.error


def _wait_for_go(loop: CaptureLoop, link: ControlLink, stop: threading.Event) -> bool:
    next_report = time.monotonic() + _READY_EVERY_S
    while not stop.is_set() and not orphaned():
        if time.monotonic() >= next_report:
            next_report = time.monotonic() + _READY_EVERY_S
            link.send(loop.report("ready"))
        for word in link.receive(0.1):
            if isinstance(word, Go):
                return True
            if isinstance(word, Stop):
                return False
    return False


class _News:
    """What the supervisor is to hear at once: recordings that begin, end or fail, notices."""

    def __init__(self, loop: CaptureLoop, link: ControlLink) -> None:
        self._loop = loop
        self._link = link
        self._told: dict[int, RecordingReport] = {}

    def tell(self, *, all_counts: bool = False) -> None:
        """Send what is new; with `all_counts` also how many frames each file has."""
        for report in self._loop.recorder.reports():
            before = self._told.get(report.index)
            if before == report or not (all_counts or before is None or _changed(before, report)):
                continue
            self._told[report.index] = report
            self._link.send(report)
            if report.error is not None and (before is None or before.error is None):
                self._link.send(Notice(text=f"recording stopped: {report.error}"))
        if (refusal := self._loop.outlet.refusal()) is not None:
            self._link.send(Notice(text=refusal))
        while self._loop.notices:
            self._link.send(Notice(text=self._loop.notices.popleft()))
        while self._loop.events:
            self._link.send(Notice(text=self._loop.events.popleft(), ordinary=True))


def _changed(before: RecordingReport, now: RecordingReport) -> bool:
    return (before.state, before.first, before.error) != (now.state, now.first, now.error)


def _attend(
    loop: CaptureLoop,
    link: ControlLink,
    stop: threading.Event,
    news: _News,
    seconds: float | None,
    measure: ExposureMeasure | None,
) -> None:
    camera = threading.Thread(target=loop.run, name="camera")
    camera.start()
    try:
        next_report = next_saving = 0.0
        ends_at = math.inf if seconds is None else time.monotonic() + seconds
        while camera.is_alive():
            if time.monotonic() > ends_at or stop.is_set() or orphaned():
                loop.stop()
            for word in latest(link.receive(0.02)):
                _obey(loop, link, word, stop, measure)
            now = time.monotonic()
            due = now >= next_report
            news.tell(all_counts=due)
            if now >= next_saving and loop.light is not None:
                next_saving = now + _SAVE_LIGHT_EVERY_S
                loop.light.save()
            if due:
                next_report = now + _REPORT_EVERY_S
                link.send(_with_search(loop, measure, "running"))
    finally:
        # Whatever happens here, frames in the writer's queue go to the disk first.
        loop.stop()
        camera.join()
        if measure is not None:
            measure.close()


def _with_search(
    loop: CaptureLoop, measure: ExposureMeasure | None, phase: Literal["running", "ended"]
) -> CaptureReport:
    report = loop.report(phase)
    if measure is None:
        return report
    search = measure.report(loop.source, report.light)
    return msgspec.structs.replace(report, exposure=search)


def _obey(
    loop: CaptureLoop,
    link: ControlLink,
    word: Word,
    stop: threading.Event,
    measure: ExposureMeasure | None,
) -> None:
    if measure is not None and isinstance(word, StopMeasuring | SetLive | Stop):
        # Who stops or starts Live does not want to wait for a series.
        measure.stop()
    try:
        if isinstance(word, Stop):
            stop.set()
        elif isinstance(word, MeasureExposure) and measure is not None:
            measure.ask(word, loop.order)
        elif isinstance(word, Order):
            loop.order(word)
    except LiverestoreError as error:
        # A knob that the source does not have is no reason to end a run.
        link.send(Notice(text=str(error)))
