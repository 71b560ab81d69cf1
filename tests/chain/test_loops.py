"""Capture and engine as threads of one process, over real sockets, with faults on request."""

import threading

import msgspec
import numpy as np
import pytest

from liverestore.camera.clock import SteppedClock
from liverestore.camera.simulated import Faults, SimulatedSource
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.restore import restore
from liverestore.rig import load_rig
from liverestore.runtime.table import open_runtime
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.engine import CameraKnowledge, EngineLoop
from liverestore.service.recorder import Recorder
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End
from liverestore.writer.names import free_pair


def small_rig(**camera):
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(rig.specimen, shape=(64, 96))
    numbers = msgspec.structs.replace(rig.camera, exposure_ms=5.0, **camera)
    return msgspec.structs.replace(rig, specimen=specimen, camera=numbers)


def open_engine(name):
    return open_runtime(find_engine(name))


class Bench:
    """One capture loop, one engine loop, one consumer of results."""

    def __init__(self, tmp_path, *, rig=None, faults=None, frames=40, engine="mean5", **options):
        self.rig = rig or small_rig()
        self.endpoints = PrivateEndpoints()
        raw, restored = self.endpoints("raw"), self.endpoints("restored")
        self.path = tmp_path / "raw.ome.zarr"
        self.raw_outlet = Outlet(raw, roles=("engine",))
        self.restored_outlet = Outlet(restored, roles=("view",))
        self.inlet = Inlet(raw.for_client(), "engine")
        self.view = Inlet(restored.for_client(), "view")
        source = SimulatedSource(self.rig, clock=SteppedClock(), faults=faults or Faults())
        self.capture = CaptureLoop(
            source,
            self.raw_outlet,
            recorder=Recorder(
                lambda: free_pair(tmp_path, "ome-zarr"), planned=(self.path, None), **options
            ),
            frames=frames,
        )
        self.engine = EngineLoop(
            self.inlet, self.restored_outlet, CameraKnowledge(self.rig.camera), open_engine
        )
        self.engine.use(engine)
        self.results = []

    def run(self, before_step=lambda _count: None):
        def consume():
            while not isinstance(body := self.view.receive(20.0), End):
                assert body is not None, "no result came"
                self.results.append(body)

        def serve():
            count = 0
            while self.engine.step(20.0):
                count += 1
                before_step(count)
            self.restored_outlet.finish("over", timeout_s=20.0)

        threads = [threading.Thread(target=target) for target in (serve, consume)]
        for thread in threads:
            thread.start()
        self.capture.prepare()
        self.capture.run()
        self.raw_outlet.finish("over", timeout_s=20.0)
        for thread in threads:
            thread.join()
        return self.capture.report("ended")

    def close(self):
        self.inlet.close()
        self.view.close()
        self.raw_outlet.close()
        self.restored_outlet.close()
        self.endpoints.close()


@pytest.fixture
def bench(tmp_path):
    made = []

    def make(**options):
        made.append(Bench(tmp_path, **options))
        return made[-1]

    yield make
    for item in made:
        item.close()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"outlet", "writer", "closer", "camera"}, "a thread was left running"


def test_every_frame_is_written_and_accounted_for(bench):
    run = bench(engine="denoise-live")
    report = run.run()
    assert (report.captured, report.written, report.lost) == (40, 40, 0)
    assert report.restored + report.dropped == 40
    assert report.restored == run.engine.report().restored > 0
    last = run.results[-1]
    # the newest frame always gets through
    assert last.source.header.number == 39
    with open_movie(run.path) as movie:
        np.testing.assert_array_equal(movie[39], last.source.pixels)


def test_a_result_is_what_restore_makes_of_its_frame(bench):
    run = bench(engine="denoise-live", frames=10)
    run.run()
    result = run.results[-1]
    runtime = open_engine("denoise-live")
    camera = CameraKnowledge(run.rig.camera).model_for(result.source)
    again = restore(result.source, runtime.spec, runtime.infer, camera)
    np.testing.assert_array_equal(result.pixels, again.pixels)
    assert result.provenance.sha256 == runtime.spec.sha256
    assert len(result.provenance.sha256) == 64
    assert result.provenance.parameters["gain_e_per_count"] == run.rig.camera.gain_e_per_count
    runtime.close()


def test_frames_lost_at_the_camera_are_counted_and_the_gap_is_in_the_file(bench):
    run = bench(faults=Faults(lost=frozenset({3, 4, 11})), frames=20)
    report = run.run()
    assert (report.captured, report.lost, report.written) == (20, 3, 20)
    with open_movie(run.path) as movie:
        numbers = [movie.header(index).number for index in range(len(movie))]
    assert numbers == [n for n in range(23) if n not in (3, 4, 11)]


@pytest.mark.parametrize("stop", [True, False])
def test_a_frame_of_another_size_ends_the_recording_in_one_line(bench, stop):
    run = bench(faults=Faults(resizes_at=12), frames=300, stop_on_write_error=stop)
    report = run.run()
    assert report.written == 12
    assert "frame 12" in report.write_error
    assert "\n" not in report.write_error
    with open_movie(run.path) as movie:
        assert len(movie) == 12
    # a headless run ends, so that no light is spent for nothing; a live view goes on
    assert (report.captured < 300) == stop
    assert report.restored + report.dropped == report.captured
    assert (run.capture.error is not None) == stop
    if not stop:
        assert run.results[-1].pixels.shape == (63, 95)


def test_a_camera_that_breaks_ends_the_run_with_its_reason(bench):
    run = bench(faults=Faults(fails_at=7), frames=20)
    report = run.run()
    assert report.captured == report.written == 7
    assert run.capture.error is not None
    assert report.restored + report.dropped == 7


def test_every_result_names_the_engine_that_made_it(bench):
    run = bench(engine="mean5", frames=60)
    swaps = {10: "median5", 20: "mean5"}
    in_use = ["mean5"]

    def swap(count):
        if count in swaps:
            run.engine.use(swaps[count])
            in_use.append(swaps[count])

    run.run(swap)
    for result in run.results:
        runtime = open_engine(result.provenance.engine)
        camera = CameraKnowledge(run.rig.camera).model_for(result.source)
        again = restore(result.source, runtime.spec, runtime.infer, camera)
        np.testing.assert_array_equal(result.pixels, again.pixels)
        runtime.close()


def test_an_unknown_engine_leaves_the_one_in_use(bench):
    run = bench(frames=5)
    with pytest.raises(Exception, match="not installed"):
        run.engine.use("magic")
    run.run()
    assert run.results[-1].provenance.engine == "mean5"


def test_without_camera_numbers_they_are_estimated_once_and_stay(bench):
    run = bench(frames=30)
    unknown = msgspec.structs.replace(
        run.rig.camera, offset_counts=None, gain_e_per_count=None, read_noise_e=None
    )
    told = []
    knowledge = CameraKnowledge(unknown, told.append)
    assert knowledge.estimated
    source = SimulatedSource(run.rig, clock=SteppedClock())
    source.start()
    models = [knowledge.model_for(source.next_frame(1.0)) for _ in range(30)]
    source.stop()
    assert all(model is models[0] for model in models[:15])
    assert models[15] is not models[0]
    assert all(model is models[15] for model in models[15:])
    assert len(told) == 1
    assert f"gain {models[15].gain_e_per_count:.3f} e/count" in told[0]


def test_a_bug_in_a_source_is_reported_not_swallowed(bench, monkeypatch):
    run = bench(frames=20)

    def broken(_timeout_s):
        raise ValueError("a bug")

    monkeypatch.setattr(run.capture.source, "next_frame", broken)
    run.run()
    assert "ValueError" in str(run.capture.error)


def test_a_camera_that_fails_to_stop_does_not_keep_the_file_open(bench, monkeypatch):
    run = bench(frames=12)

    def unplugged():
        raise RuntimeError("device is not connected")

    monkeypatch.setattr(run.capture.source, "stop", unplugged)
    report = run.run()
    assert (report.captured, report.written) == (12, 12)
    assert "not connected" in str(run.capture.error)
    with open_movie(run.path) as movie:
        assert len(movie) == 12
