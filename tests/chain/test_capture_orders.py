"""The camera thread between live and paused: what each order brings, and what it costs."""

import threading
import time
from pathlib import Path

import msgspec
import pytest

from liverestore.camera.simulated import Faults, SimulatedSource
from liverestore.errors import Failure
from liverestore.movie import open_movie
from liverestore.rig import load_rig
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.recorder import Recorder
from liverestore.status import SetExposure, SetLive, SetRecording, SetRoi, SetZ, Snap
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.writer.names import free_pair


def small_rig(exposure_ms=2.0):
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(rig.specimen, shape=(48, 64))
    camera = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    return msgspec.structs.replace(rig, specimen=specimen, camera=camera)


class Run:
    """A capture loop in a thread of its own; `until` waits for what its report shows."""

    def __init__(self, folder, endpoint, *, faults=None, frames=None):
        self.source = SimulatedSource(small_rig(), faults=faults)
        self.outlet = Outlet(endpoint, roles=("engine",))
        self.recorder = Recorder(lambda: free_pair(folder, "ome-tiff"))
        self.loop = CaptureLoop(self.source, self.outlet, recorder=self.recorder, frames=frames)
        self.loop.prepare()
        self.thread = threading.Thread(target=self.loop.run, name="camera")

    def order(self, word, wanted):
        self.loop.order(word)
        return self.until(wanted)

    def until(self, wanted):
        deadline = time.monotonic() + 20
        while not wanted(report := self.loop.report("running")):
            assert time.monotonic() < deadline, report
            time.sleep(0.002)
        return report

    def end(self):
        self.loop.stop()
        self.thread.join()
        self.outlet.finish("over", timeout_s=0.0)
        self.outlet.close()


@pytest.fixture
def run(tmp_path):
    made = []
    with PrivateEndpoints() as endpoint:

        def make(**options):
            made.append(Run(tmp_path, endpoint("raw"), **options))
            made[-1].thread.start()
            return made[-1]

        yield make
        for item in made:
            item.end()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"outlet", "writer", "closer", "camera"}


def more_than(count, name):
    return lambda report: getattr(report, name) > count


def open_handles():
    return len(list(Path("/proc/self/fd").iterdir()))


def numbers_in(path):
    with open_movie(path) as movie:
        return [movie.header(index).number for index in range(len(movie))]


def test_paused_spends_no_light_and_a_snap_one_exposure(run):
    run = run()
    run.until(lambda r: r.captured > 3)
    report = run.order(SetLive(on=False), lambda r: not r.live)
    assert report.fps is None
    spent = run.source.exposures
    time.sleep(0.1)  # fifty exposures long
    assert run.source.exposures == spent
    captured = run.loop.report("running").captured
    for count in (1, 2, 3):
        run.order(Snap(), lambda r, wanted=captured + count: r.captured == wanted)
    assert run.source.exposures == spent + 3
    assert run.order(SetLive(on=True), lambda r: r.captured > captured + 10).live


def test_a_paused_thread_sleeps(run, monkeypatch):
    run = run()
    run.order(SetLive(on=False), lambda r: not r.live)
    looked, over = [], run.loop._over
    monkeypatch.setattr(run.loop, "_over", lambda: looked.append(1) or over())
    time.sleep(0.2)
    # It may have been on its way to sleep, once.
    assert len(looked) <= 1


def test_snap_while_live_says_what_to_do(run):
    run = run()
    run.order(Snap(), lambda r: r.captured > 2)
    deadline = time.monotonic() + 10
    while not run.loop.notices and time.monotonic() < deadline:
        time.sleep(0.002)
    assert "switch Live off first" in run.loop.notices[0]


@pytest.mark.parametrize("fault", [None, Faults(lost=frozenset({12, 13, 40}))])
def test_recordings_hold_exactly_the_frames_between_on_and_off(run, tmp_path, fault):
    run = run(faults=fault)
    for count in range(3):
        run.order(SetRecording(on=True), lambda r: r.recording is not None)
        run.until(lambda r, wanted=10 * (count + 1): r.recorded >= wanted)
        run.order(SetRecording(on=False), lambda r: r.recording is None)
        run.until(more_than(run.loop.report("running").captured + 2, "captured"))
    run.end()
    reports = run.loop.recorder.reports()
    assert len(reports) == 3
    lost = set() if fault is None else fault.lost
    for report in reports:
        kept = [n for n in range(report.first, report.last + 1) if n not in lost]
        assert numbers_in(report.raw) == kept
        assert (report.frames, report.lost) == (len(kept), 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "raw.ome.tif", "raw_002.ome.tif", "raw_003.ome.tif"
    ]  # fmt: skip
    ended = run.loop.report("ended")
    assert ended.recorded == ended.written == sum(report.frames for report in reports)


def test_a_roi_while_recording_goes_on_in_a_new_file(run):
    run = run()
    run.order(SetRecording(on=True), lambda r: r.recorded > 3)
    run.order(SetRoi(roi=(8, 4, 32, 16)), lambda r: r.shape == (16, 32))
    run.until(more_than(run.loop.report("running").recorded + 3, "recorded"))
    run.order(
        SetRoi(roi=(40, 0, 32, 16)), lambda r: any("choose one" in n for n in run.loop.notices)
    )
    run.order(SetRoi(roi=None), lambda r: r.shape == (48, 64))
    run.order(SetRecording(on=False), lambda r: r.recording is None)
    run.end()
    reports = run.loop.recorder.reports()
    assert len(reports) == 3
    numbers = [number for report in reports for number in numbers_in(report.raw)]
    assert numbers == list(range(reports[0].first, reports[-1].last + 1))
    assert all(report.error is None for report in reports)
    with open_movie(reports[1].raw) as movie:
        assert movie.shape[1:] == (16, 32)
        assert movie.header(0).roi == (8, 4, 32, 16)


def test_so_many_frames_are_counted_over_pauses_and_snaps(run):
    run = run(frames=30)
    run.until(lambda r: r.captured > 2)
    paused = run.order(SetLive(on=False), lambda r: not r.live)
    if paused.captured < 30:
        run.order(Snap(), lambda r: r.captured > paused.captured)
    run.loop.order(SetLive(on=True))
    run.thread.join(20)
    assert not run.thread.is_alive()
    assert run.loop.report("ended").captured == 30


def test_a_paused_run_ends_when_it_is_told_to(run):
    run = run()
    run.order(SetRecording(on=True), lambda r: r.recorded > 2)
    run.order(SetLive(on=False), lambda r: not r.live)
    run.end()
    (report,) = run.loop.recorder.reports()
    assert numbers_in(report.raw) == list(range(report.first, report.last + 1))
    assert run.loop.error is None


def test_exposure_and_focus_wait_for_a_snap_and_hold_for_the_next(run, monkeypatch):
    run = run()
    run.order(SetLive(on=False), lambda r: not r.live)
    exposing, over, snap = threading.Event(), threading.Event(), run.source.snap

    def long_snap():
        exposing.set()
        assert over.wait(20)
        return snap()

    monkeypatch.setattr(run.source, "snap", long_snap)
    offered = []
    monkeypatch.setattr(run.outlet, "offer", offered.append)
    run.loop.order(Snap())
    assert exposing.wait(20)
    run.loop.order(SetExposure(exposure_ms=3.0))  # returns, although the camera exposes
    run.loop.order(SetZ(z_um=1.5))
    run.loop.order(SetZ(z_um=99.0))
    run.loop.order(Snap())
    over.set()
    run.until(lambda r: len(offered) == 2)
    settings = [(frame.header.exposure_ms, frame.header.z_um) for frame in offered]
    assert settings == [(2.0, 0.0), (3.0, 1.5)]
    assert "z_um 99.0 is out of range" in run.loop.notices[0]


def test_a_camera_that_fails_to_snap_ends_nothing(run, monkeypatch):
    run = run()
    run.order(SetLive(on=False), lambda r: not r.live)

    def busy():
        raise Failure("camera: did not snap (busy)")

    monkeypatch.setattr(run.source, "snap", busy)
    run.order(Snap(), lambda r: "did not snap" in " ".join(run.loop.notices))
    assert run.thread.is_alive()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="/proc of Linux")
def test_fifty_toggles_of_live_and_record_leave_no_thread_and_no_file_open(run):
    run = run()
    run.until(lambda r: r.captured > 1)
    threads, handles = threading.active_count(), open_handles()
    for count in range(50):
        run.order(SetLive(on=False), lambda r: not r.live)
        if count % 5 == 0:
            run.order(SetRecording(on=True), lambda r: r.recording is not None)
            run.loop.order(Snap())
            run.order(SetRecording(on=False), lambda r: r.recording is None)
        run.order(SetLive(on=True), lambda r: r.live)
    deadline = time.monotonic() + 20
    while any(report.state != "closed" for report in run.loop.recorder.reports()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    run.until(lambda r: threading.active_count() <= threads)
    assert open_handles() <= handles
    assert len(run.loop.recorder.reports()) == 10
    numbers = [n for report in run.loop.recorder.reports() for n in numbers_in(report.raw)]
    assert numbers == sorted(set(numbers))
