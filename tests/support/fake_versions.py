"""Processes of a run that are of another version of liverestore, or say nothing."""

import os
import signal
import time
from unittest import mock

import fake_processes as fake

from liverestore.service.child import run_child
from liverestore.status import CaptureReport, EngineReport, Go, Stop

OTHER = "9.9.9"


def _as_another_version(target, plan):
    with mock.patch("liverestore.service.child.__version__", OTHER):
        target(plan)


def capture_of_another_version(plan):
    _as_another_version(fake.capture, plan)


def engine_of_another_version(plan):
    _as_another_version(fake.engine, plan)


def capture_that_says_more(plan):
    """Of the same version by its name, with a field in its report that nobody knows."""

    def body(link, stop):
        link.socket.send(b'{"type":"CaptureReport","phase":"ready","temperature_c":-20.0}')
        fake._until_stopped(link, stop)

    run_child("capture", plan.endpoints.control, body)


def capture_for_long(plan):
    """Live until it is told to stop, or for so long as the plan says."""

    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        ends = time.monotonic() + 30
        while not any(isinstance(word, Go) for word in link.receive(0.05)):
            if stop.is_set() or time.monotonic() > ends:
                return
        (plan.record_folder / "live").touch()
        ends = time.monotonic() + plan.seconds
        while time.monotonic() < ends and not stop.is_set():
            link.send(CaptureReport(phase="running", captured=5))
            if any(isinstance(word, Stop) for word in link.receive(0.1)):
                break
        link.send(CaptureReport(phase="ended", captured=5, dropped=5))

    run_child("capture", plan.endpoints.control, body)


def engine_updated_in_mid_run(plan):
    """The first one is killed while live; the one after it is of another version."""
    mark = plan.record_folder / "killed"
    if mark.exists():
        engine_of_another_version(plan)
        return

    def body(link, stop):
        link.send(EngineReport(engine=plan.engine, runtime="fake", ready=True))
        ends = time.monotonic() + 60
        while not (plan.record_folder / "live").exists() and time.monotonic() < ends:
            time.sleep(0.02)
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    run_child("engine", plan.endpoints.control, body)


def engine_that_hangs_once(plan):
    """The first one says that it is ready and nothing more, and hears no SIGTERM."""
    mark = plan.record_folder / "hung"
    if mark.exists():
        fake.engine(plan)
        return
    mark.touch()
    fake.engine_deaf(plan)


def capture_that_stumbles(plan):
    """One of its reports, in mid-run, has a number that is none."""

    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        fake._until_stopped(link, stop, seconds=0.3)
        link.socket.send(b'{"type":"CaptureReport","phase":"running","captured":null}')
        link.send(CaptureReport(phase="ended", captured=5, dropped=5))

    run_child("capture", plan.endpoints.control, body)


def view_that_never_opens(plan):
    os._exit(3)


def capture_that_hangs(plan):
    """As one whose driver holds everything up."""

    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        time.sleep(60)

    run_child("capture", plan.endpoints.control, body)
