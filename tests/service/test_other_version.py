"""Processes of a run that do not fit: another version of liverestore, or one that hangs."""

import signal
import sys
import time

import fake_processes as fake
import fake_versions as odd
import pytest

import liverestore.service.restarts as restarts
import liverestore.service.silence as silence
from liverestore.rig import RigConfig, SourceConfig, SpecimenConfig
from liverestore.service.other_version import other_version
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.restarts import MOST_RESTARTS, Restarts
from liverestore.service.silence import SilenceWatch
from liverestore.service.supervisor import Supervisor
from liverestore.status import Go, Hello
from liverestore.transport.control import Unread
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.version import __version__

RIG = RigConfig(name="fake", source=SourceConfig(kind="simulated"), specimen=SpecimenConfig())


@pytest.fixture
def run():
    """Run processes to their end, or until a line is told: (the result, seconds)."""
    with PrivateEndpoints() as endpoint:

        def make(engine, capture, view=None, until=None, **plan):
            def on_status(status):
                if until is not None and any(until in line for line in status.notices):
                    signal.raise_signal(signal.SIGINT)

            ends = RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored"))
            targets = {"engine": engine, "capture": capture}
            supervisor = Supervisor(
                RunPlan(rig=RIG, engine="mean5", endpoints=ends, **plan),
                targets if view is None else {**targets, "view": view},
                on_status=on_status,
                engine_patience_s=40,
            )
            began = time.monotonic()
            return supervisor.run(), time.monotonic() - began

        yield make


@pytest.mark.parametrize(
    ("capture", "said"),
    [
        (odd.capture_of_another_version, f"capture is liverestore {odd.OTHER}"),
        (odd.capture_that_says_more, "unknown field `temperature_c`"),
    ],
)
def test_a_run_whose_capture_is_of_another_version_ends_at_once(run, capture, said):
    """It used to wait in "starting" for ever: no report of it was ever understood."""
    result, seconds = run(fake.engine, capture)
    assert result.exit_code == 1
    assert said in result.failure
    assert f"this run began with {__version__}" in result.failure
    assert result.failure.endswith("start the run again")
    assert "\n" not in result.failure
    assert len(result.notices) == 0
    assert seconds < 60


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_an_engine_that_was_updated_in_mid_run_is_left_out(run, tmp_path):
    result, _ = run(
        odd.engine_updated_in_mid_run,
        odd.capture_for_long,
        until=odd.OTHER,
        seconds=60.0,
        record_folder=tmp_path,
    )
    assert (result.exit_code, result.failure) == (0, None)
    assert (result.capture.phase, result.capture.captured) == ("ended", 5)
    told = [line for line in result.notices if f"engine is liverestore {odd.OTHER}" in line]
    assert len(told) == 1
    assert "raw frames go on without it" in told[0]
    assert sum("started again" in line for line in result.notices) == 1, "and not once more"


def test_a_report_that_is_not_understood_in_mid_run_ends_nothing(run):
    result, _ = run(fake.engine, odd.capture_that_stumbles)
    assert (result.exit_code, result.failure, result.capture.captured) == (0, None, 5)
    (line,) = result.notices
    assert line.startswith("a report of capture is not understood: Expected `int`, got `null`")


def test_only_what_shows_another_version_is_taken_for_one():
    assert other_version("capture", Hello(pid=1, version=__version__)) is None
    assert other_version("capture", Go()) is None
    # The first versions did not say which they were.
    assert "of another version" in other_version("view", Hello(pid=1))
    assert "(why)" in other_version("engine", Unread("why"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM of POSIX")
def test_an_engine_that_hangs_is_told_ended_and_started_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(silence, "ENGINE_TOLD_S", 0.5)
    monkeypatch.setattr(silence, "ENGINE_MOST_S", 1.0)
    result, _ = run(
        odd.engine_that_hangs_once,
        odd.capture_for_long,
        until="started again",
        seconds=60.0,
        record_folder=tmp_path,
    )
    assert (result.exit_code, result.failure) == (0, None)
    first, then = result.notices[:2]
    assert first.startswith("engine has said nothing for 1 s")
    assert then.startswith("engine: said nothing for 1 s and was ended; started again")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM of POSIX")
def test_a_capture_that_hangs_ends_a_run_that_nobody_watches(run, monkeypatch):
    monkeypatch.setattr(silence, "CAPTURE_TOLD_S", 0.5)
    result, seconds = run(fake.engine, odd.capture_that_hangs, camera_patience_s=2.0)
    assert result.exit_code == 1
    assert "capture: said nothing for 2 s and was ended" in result.failure
    assert any("the camera's driver hangs" in line for line in result.notices)
    assert seconds < 50


def test_a_window_that_never_opens_lights_no_sample_for_nothing(run, monkeypatch):
    monkeypatch.setattr(restarts, "MOST_RESTARTS", 1)
    result, _ = run(fake.engine, fake.capture, view=odd.view_that_never_opens)
    assert (result.exit_code, result.failure) == (0, None)
    assert not result.interrupted
    last = result.notices[-1]
    assert last.startswith("view died (exit code 3); given up after")
    assert last.endswith("nothing is recorded, and the run ends")


def test_silence_is_told_once_and_ends():
    watch = SilenceWatch(3.0, 5.0)
    told = [watch.look(float(second)) for second in range(8)]
    assert told == [False, False, False, True, False, False, False, False]
    assert watch.over
    assert watch.heard() == pytest.approx(7.0)
    assert watch.heard() is None
    assert not watch.over
    assert not watch.look(8.0)


def test_a_computer_that_slept_is_no_silence():
    watch = SilenceWatch(3.0, 5.0)
    assert not watch.look(0.0)
    assert not watch.look(3600.0)
    assert not watch.over
    assert watch.silent_s == pytest.approx(1.0)


def test_deaths_of_long_ago_count_no_more():
    restarts = Restarts()
    within = [restarts.after_death("engine", 10.0 * n) for n in range(MOST_RESTARTS + 1)]
    assert within == [0.0, 10.5, 21.0, 31.5, 42.0, None]
    assert restarts.after_death("view", 50.0) == 50.0
    assert restarts.after_death("engine", 700.0) == 700.0
    # One an hour, all night.
    night = Restarts()
    assert all(night.after_death("engine", 3600.0 * n) is not None for n in range(12))
