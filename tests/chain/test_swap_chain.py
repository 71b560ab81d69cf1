"""Engines changed while live, over real sockets and into real files; as the benchmark does it."""

import importlib.util
import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liverestore.camera.simulated import SimulatedSource
from liverestore.frame import Frame, FrameHeader, Provenance
from liverestore.model_spec import find_engine
from liverestore.movie import open_movie
from liverestore.restore import restore
from liverestore.rig import load_rig
from liverestore.rig_camera import camera_of
from liverestore.runtime.table import open_runtime
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.recorder import Recorder
from liverestore.service.restored_files import RestoredFiles
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.transport.outlet import Outlet
from liverestore.wire import End
from liverestore.writer.names import free_pair

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "engine_swap.py"
ORDER = ["mean5", "denoise-live", "median5", "mean5", "denoise-live"]


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("engine_swap_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def open_engine(name):
    return open_runtime(find_engine(name), threads=1)


def fast_small_rig():
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(rig.specimen, shape=(64, 96))
    return msgspec.structs.replace(
        rig, specimen=specimen, camera=msgspec.structs.replace(rig.camera, exposure_ms=5.0)
    )


class Chain:
    """Capture, engine and view as threads; `drive(loop)` is called after each step."""

    def __init__(self, folder, drive):
        self.rig = fast_small_rig()
        self.raw, self.restored = folder / "raw.ome.zarr", folder / "restored.ome.zarr"
        self.drive = drive
        self.seen = []

    def run(self, engine):
        with PrivateEndpoints() as endpoint:
            raw, restored = endpoint("raw"), endpoint("restored")
            outlets = Outlet(raw, roles=("engine",)), Outlet(restored, roles=("view",))
            inlet, view = Inlet(raw.for_client(), "engine"), Inlet(restored.for_client(), "view")
            files = RestoredFiles(self.restored)
            recorder = Recorder(
                lambda: free_pair(self.raw.parent, "ome-zarr"), planned=(self.raw, None)
            )
            capture = CaptureLoop(SimulatedSource(self.rig), outlets[0], recorder=recorder)
            camera = CameraKnowledge(self.rig.camera)
            loop = EngineLoop(inlet, outlets[1], camera, open_engine, files=files)
            loop.use(engine)

            def serve():
                while loop.step(20.0):
                    if self.drive(loop):
                        capture.stop()
                outlets[1].finish("over", timeout_s=20.0)

            def look():
                while not isinstance(body := view.receive(20.0), End):
                    assert body is not None, "no result came"
                    self.seen.append(body)

            threads = [threading.Thread(target=target) for target in (serve, look)]
            for thread in threads:
                thread.start()
            capture.prepare()
            capture.run()
            outlets[0].finish("over", timeout_s=20.0)
            for thread in threads:
                thread.join()
            files.close()
            loop.close()
            for end in (inlet, view, *outlets):
                end.close()
        assert loop.notices == []
        assert capture.error is None
        return capture.report("ended")


def test_five_engines_in_turn_while_live(tmp_path, benchmark):
    asked, frames_since = [ORDER[0]], [0]

    def drive(loop):
        """The next engine a few frames after the one before took over."""
        frames_since[0] += 1
        report = loop.report()
        if report.loading is None and frames_since[0] > 5 and report.restored > 3:
            if len(asked) == len(ORDER):
                return True
            asked.append(ORDER[len(asked)])
            loop.lineup.ask(asked[-1])
            frames_since[0] = 0
        return False

    chain = Chain(tmp_path, drive)
    report = chain.run(ORDER[0])
    assert report.lost == 0
    assert report.restored + report.dropped == report.captured == report.written
    raw = benchmark.records(chain.raw)
    assert [header.number for header, _ in raw] == list(range(report.captured))
    kept = benchmark.restored_records(chain.restored)
    assert len(kept) == report.restored
    swaps = [{"engine": name, "asked_ns": 0, "arrived_ns": 1} for name in ORDER[1:]]
    assert benchmark.label_faults(kept, ORDER, swaps) == []
    # the pixels of each label are what that engine makes of the raw frame
    camera = camera_of(chain.rig.camera)
    around = {0, *(k + d for k in benchmark.changes_of(kept) for d in (-1, 0)), len(kept) - 1}
    runtimes = {name: open_engine(name) for name in set(ORDER)}
    with open_movie(chain.raw) as movie, open_movie(chain.restored) as made:
        for index in sorted(around):
            header, provenance = kept[index]
            runtime = runtimes[provenance.engine]
            frame = Frame(np.ascontiguousarray(movie[header.number]), header)
            again = restore(frame, runtime.spec, runtime.infer, camera)
            np.testing.assert_array_equal(again.pixels, made[index])
    for runtime in runtimes.values():
        runtime.close()


def test_two_engines_on_the_same_frames_reach_the_view(tmp_path, benchmark):
    def drive(loop):
        report = loop.report()
        if report.rival is None and report.loading is None:
            loop.lineup.ask_rival("median5")
        return report.rival is not None and len(chain.seen) > 8 and chain.seen[-1].rival is not None

    chain = Chain(tmp_path, drive)
    chain.run("mean5")
    pairs = [result for result in chain.seen if result.rival is not None]
    assert pairs
    camera = camera_of(chain.rig.camera)
    for pair in (pairs[0], pairs[-1]):
        assert pair.rival.source is pair.source
        for result, name in ((pair, "mean5"), (pair.rival, "median5")):
            assert result.provenance.engine == name
            runtime = open_engine(name)
            again = restore(pair.source, runtime.spec, runtime.infer, camera)
            np.testing.assert_array_equal(result.pixels, again.pixels)
            runtime.close()
    # the file has the first one's alone, each frame once
    kept = benchmark.restored_records(chain.restored)
    assert {made.engine for _, made in kept} == {"mean5"}
    numbers = [header.number for header, _ in kept]
    assert numbers == sorted(set(numbers))


def test_the_benchmark_sees_a_wrong_label(tmp_path, benchmark):
    header, provenance = make_record()
    engines = ["a", "a", "b", "a"]
    kept = [
        (header, msgspec.structs.replace(provenance, engine=name, finished_ns=k * 40_000_000))
        for k, name in enumerate(engines)
    ]
    swaps = [{"engine": "b", "asked_ns": 70_000_000, "arrived_ns": 80_000_000}]
    assert benchmark.label_faults(kept[:3], ["a", "b"], swaps) == []
    assert "asked for" in benchmark.label_faults(kept, ["a", "b"], swaps)[0]
    late = [{**swaps[0], "asked_ns": 90_000_000}]
    assert "before it was asked for" in benchmark.label_faults(kept[:3], ["a", "b"], late)[0]
    table, period = benchmark.pauses(kept[:3], swaps, 40.0)
    assert period == {"a": 40.0, "b": 40.0}
    assert table["change"]["longest_periods"] == 1.0
    assert table["rest"]["pauses"] == 1


def make_record():
    header = FrameHeader(
        run_id="r", number=0, shape=(2, 2), dtype="uint16", captured_ns=0,
        captured_utc="2026-01-01T00:00:00+00:00", camera="c",
    )  # fmt: skip
    provenance = Provenance(
        engine="a", version="1", sha256="", runtime="r", parameters={}, started_ns=0, finished_ns=0
    )
    return header, provenance
