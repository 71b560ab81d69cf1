"""Processes with the manners of capture, engine and view, and faults on request.

They live in a module of their own because a spawned process imports them by name.
"""

import os
import signal
import sys
import time
from pathlib import Path

from liverestore.errors import Failure, UserError
from liverestore.service.child import orphaned, run_child
from liverestore.status import (
    CaptureReport,
    EngineReport,
    Go,
    RecordingReport,
    RunStatus,
    SaveRestored,
    SetEngine,
    SetExposure,
    SetLive,
    SetRecording,
    SetRoi,
    Snap,
    Stop,
)


def _until_stopped(link, stop, on_word=lambda _word: None, seconds=30.0):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not stop.is_set() and not orphaned():
        for word in link.receive(0.02):
            if isinstance(word, Stop):
                return
            on_word(word)


def capture(plan):
    def body(link, stop):
        recording = str(plan.raw_path) if plan.raw_path else None
        link.send(CaptureReport(phase="ready", recording=recording))
        while not any(isinstance(word, Go) for word in link.receive(0.05)):
            if stop.is_set() or orphaned():
                return
        exposures = []

        def hear(word):
            if isinstance(word, SetExposure):
                exposures.append(word.exposure_ms)
                captured = len(exposures)
                link.send(CaptureReport(phase="running", captured=captured, recording=recording))

        _until_stopped(link, stop, hear, plan.seconds or 30.0)
        link.send(CaptureReport(phase="ended", captured=7, restored=5, dropped=2))

    run_child("capture", plan.endpoints.control, body)


def capture_with_a_slow_disk(plan):
    """Told to stop, it writes for another four seconds, and says so."""

    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        _until_stopped(link, stop)
        ends = time.monotonic() + 4
        while time.monotonic() < ends:
            link.send(CaptureReport(phase="running", captured=9, recorded=9))
            time.sleep(0.1)
        link.send(CaptureReport(phase="ended", captured=9, recorded=9, written=9))

    run_child("capture", plan.endpoints.control, body)


def capture_that_fails(plan):
    def body(link, stop):
        raise Failure("camera 'Cam' is unplugged")

    run_child("capture", plan.endpoints.control, body)


def capture_that_is_killed(plan):
    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        os.kill(os.getpid(), signal.SIGKILL)

    run_child("capture", plan.endpoints.control, body)


def engine(plan):
    def body(link, stop):
        link.send(EngineReport(engine=plan.engine, runtime="fake", ready=True))

        def hear(word):
            if isinstance(word, SetEngine):
                link.send(EngineReport(engine=word.name, runtime="fake", ready=True))

        _until_stopped(link, stop, hear)

    run_child("engine", plan.endpoints.control, body)


def engine_killed_once(plan):
    """The first one is killed, the second one lives; a file tells them apart."""
    mark = Path(plan.raw_path) / "killed"
    if mark.exists():
        engine(plan)
        return
    mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def engine_unknown(plan):
    def body(link, stop):
        raise UserError("engine 'x' is not installed; installed: mean5")

    run_child("engine", plan.endpoints.control, body)


def engine_deaf(plan):
    """Neither words nor SIGTERM reach it."""

    def body(link, stop):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        link.send(EngineReport(engine=plan.engine, runtime="fake", ready=True))
        time.sleep(30)

    run_child("engine", plan.endpoints.control, body)


def view_closed_by_its_user(plan):
    def body(link, stop):
        while not any(getattr(word, "state", "") == "running" for word in link.receive(0.1)):
            if stop.is_set() or orphaned():
                return

    run_child("view", plan.endpoints.control, body)


def view_that_commands(plan):
    def body(link, stop):
        deadline = time.monotonic() + 10
        # The run may not be up yet: the person clicks until something happens.
        while time.monotonic() < deadline:
            link.send(SetExposure(exposure_ms=12.0))
            link.send(SetEngine(name="other"))
            words = link.receive(0.1)
            if any(getattr(w, "captured", 0) > 0 and w.engine == "other" for w in words):
                break
        else:
            sys.exit(1)
        link.send(Stop())
        _until_stopped(link, stop)

    run_child("view", plan.endpoints.control, body)


class Person:
    """Sends words and waits until the run's status shows what became of them."""

    def __init__(self, link, patience_s=60.0):
        self._link = link
        self._patience_s = patience_s
        self.notices = []
        self.status = None

    def wait(self, wanted):
        deadline = time.monotonic() + self._patience_s
        while self.status is None or not wanted(self.status):
            if time.monotonic() > deadline or orphaned():
                raise Failure(f"the person waited in vain; the last status is {self.status}")
            self._hear(0.05)
        return self.status

    def send(self, word, wanted):
        self._link.send(word)
        return self.wait(wanted)

    def look_for(self, seconds):
        """Every status of the next `seconds`."""
        seen = []
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            seen += self._hear(0.05)
        return seen

    def _hear(self, timeout_s):
        heard = [word for word in self._link.receive(timeout_s) if isinstance(word, RunStatus)]
        for status in heard:
            self.status = status
            self.notices += [line for line in status.notices if line not in self.notices]
        return heard


def view_that_acquires(plan):
    """Live, Snap, Record and ROI as a person would click them; then the window is closed."""

    def body(link, stop):
        person = Person(link)
        person.wait(lambda s: s.state == "running" and s.captured >= 5)
        paused = person.send(SetLive(on=False), lambda s: not s.live)
        person.look_for(0.5)
        quiet = person.status.captured
        if any(status.captured != quiet for status in person.look_for(1.0)):
            raise Failure(f"frames came while paused, after {paused}")
        person.send(Snap(), lambda s: s.captured == quiet + 1)
        person.send(SetRecording(on=True), lambda s: s.recording is not None)
        person.send(Snap(), lambda s: s.written == 1)
        person.send(SetLive(on=True), lambda s: s.live and s.written > 10)
        person.wait(lambda s: s.disk_left_s is not None and s.disk_left_s > 0)
        person.send(Snap(), lambda s: any("Snap does nothing" in line for line in s.notices))
        person.send(SetRoi(roi=(16, 24, 64, 48)), lambda s: "raw_002" in s.recording)
        person.wait(lambda s: s.written > 5)
        person.send(SetRoi(roi=(900, 0, 8, 8)), lambda s: any("ROI" in n for n in s.notices))
        person.send(SetRecording(on=False), lambda s: s.recording is None)
        person.send(SetRecording(on=True), lambda s: s.recording is not None and s.written > 5)
        person.send(SetRecording(on=False), lambda s: s.recording is None)
        person.send(SetRoi(roi=None), lambda s: True)
        person.send(SetLive(on=False), lambda s: not s.live)
        person.look_for(1.5)

    run_child("view", plan.endpoints.control, body)


def capture_with_orders(plan):
    """Believes what it is told: live or paused, recording or not; counts nothing."""

    def body(link, stop):
        state = {"live": True, "recording": None, "stops": 0}

        def told(phase="running"):
            link.send(CaptureReport(phase=phase, captured=3, **{k: state[k] for k in KNOWN}))

        def hear(word):
            if isinstance(word, SetLive):
                state["live"] = word.on
            elif isinstance(word, SetRecording):
                state["recording"] = "/data/raw.ome.zarr" if word.on else None
            told()

        told("ready")
        while not any(isinstance(word, Go) for word in link.receive(0.05)):
            if stop.is_set() or orphaned():
                return
        _until_stopped(link, stop, hear, plan.seconds or 60.0)
        told("ended")

    run_child("capture", plan.endpoints.control, body)


KNOWN = ("live", "recording")


def view_closed_while_paused(plan):
    def body(link, stop):
        person = Person(link)
        person.wait(lambda s: s.state == "running")
        person.send(SetLive(on=False), lambda s: not s.live)

    run_child("view", plan.endpoints.control, body)


def view_closed_while_paused_and_recording(plan):
    def body(link, stop):
        person = Person(link)
        person.wait(lambda s: s.state == "running")
        person.send(SetRecording(on=True), lambda s: s.recording is not None)
        person.send(SetLive(on=False), lambda s: not s.live)

    run_child("view", plan.endpoints.control, body)


def view_closed_after_its_stop_button(plan):
    """The button: camera off, file closed, window open; then everything on again."""

    def body(link, stop):
        person = Person(link)
        person.wait(lambda s: s.state == "running")
        person.send(SetRecording(on=True), lambda s: s.recording is not None)
        link.send(SetRecording(on=False))
        person.send(SetLive(on=False), lambda s: not s.live and s.recording is None)
        if any(s.state != "running" for s in person.look_for(0.6)):
            raise Failure("the run ended although the window is open")
        person.send(SetRecording(on=True), lambda s: s.recording is not None)
        person.send(SetLive(on=True), lambda s: s.live)

    run_child("view", plan.endpoints.control, body)


def view_that_pauses(plan):
    def body(link, stop):
        person = Person(link)
        person.wait(lambda s: s.state == "running")
        person.send(SetLive(on=False), lambda s: not s.live)
        _until_stopped(link, stop)

    run_child("view", plan.endpoints.control, body)


def capture_that_records(plan):
    """From frame 5 on, as after a click on Record."""

    def body(link, stop):
        link.send(CaptureReport(phase="ready"))
        last = 5

        def tell():
            link.send(
                RecordingReport(
                    index=0, raw="/data/raw.ome.zarr", restored="/data/restored.ome.zarr",
                    state="open", first=5, last=last,
                )
            )  # fmt: skip

        ends = time.monotonic() + 40
        while time.monotonic() < ends and not stop.is_set() and not orphaned():
            if any(isinstance(word, Stop) for word in link.receive(0.1)):
                return
            last += 1
            tell()

    run_child("capture", plan.endpoints.control, body)


def engine_killed_while_saving(plan):
    """The first one dies when it is told where to save; the second one notes what it hears."""
    mark = plan.record_folder / "died"

    def body(link, stop):
        link.send(EngineReport(engine=plan.engine, runtime="fake", ready=True))

        def hear(word):
            if not isinstance(word, SaveRestored) or word.path is None:
                return
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            heard = f"{plan.restored_path}\n{word.path}\n{word.first}\n"
            (plan.record_folder / "heard").write_text(heard)
            os.kill(os.getppid(), signal.SIGINT)

        _until_stopped(link, stop, hear)

    run_child("engine", plan.endpoints.control, body)
