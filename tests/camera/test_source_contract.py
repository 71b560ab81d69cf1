"""What every frame source promises, checked on every one of them."""

import threading
import time

import msgspec
import numpy as np
import pytest
import tifffile

from liverestore.camera.open import open_source
from liverestore.camera.simulated import SimulatedSource
from liverestore.errors import Failure, UserError
from liverestore.rig import load_rig


def small_demo(exposure_ms=8.0):
    rig = load_rig("demo")
    camera = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    specimen = msgspec.structs.replace(rig.specimen, shape=(96, 128))
    source = msgspec.structs.replace(rig.source, buffer_size_mb=16)
    return msgspec.structs.replace(rig, camera=camera, specimen=specimen, source=source)


def small_demo_camera(exposure_ms=8.0, **properties):
    rig = load_rig("mmcore_demo")
    changed = {"OnCameraCCDXSize": "128", "OnCameraCCDYSize": "96", **properties}
    camera = {**rig.source.properties["Camera"], **changed}
    source = msgspec.structs.replace(rig.source, properties={"Camera": camera}, buffer_size_mb=16)
    camera_numbers = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    return msgspec.structs.replace(rig, source=source, camera=camera_numbers)


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "noise.ome.tif"
    pixels = np.random.default_rng(1).integers(90, 400, (30, 96, 128), dtype=np.uint16)
    tifffile.imwrite(path, pixels, metadata={"axes": "TYX"}, photometric="minisblack")
    return path


KINDS = ["simulated", "behind core", "DemoCamera", "replay"]


def make(kind, movie, period_ms):
    if kind == "simulated":
        return SimulatedSource(small_demo(period_ms))
    if kind == "behind core":
        return open_source(small_demo(period_ms))
    if kind == "DemoCamera":
        return open_source(small_demo_camera(period_ms))
    return open_source(replay_rig(movie, rate_fps=1e3 / period_ms))


@pytest.fixture(params=KINDS)
def source(request, movie):
    made = make(request.param, movie, 8.0)
    yield made
    made.stop()


@pytest.fixture(params=KINDS)
def slow_source(request, movie):
    made = make(request.param, movie, 400.0)
    yield made
    made.stop()


def replay_rig(path, **changes):
    rig = load_rig("replay")
    changes = {"path": str(path), "rate_fps": 100.0, "loop": True, **changes}
    return msgspec.structs.replace(rig, source=msgspec.structs.replace(rig.source, **changes))


def take(source, count):
    frames = []
    while len(frames) < count:
        frame = source.next_frame(5.0)
        assert frame is not None, "no frame within 5 s"
        frames.append(frame)
    return frames


def is_replay(source):
    return type(source).__name__ == "ReplaySource"


def test_frames_are_what_start_promised(source):
    info = source.start()
    assert info.name
    assert info.shape == (96, 128)
    assert info.dtype == "uint16"
    assert info.frame_count is None
    for frame in take(source, 5):
        assert frame.header.shape == info.shape
        assert frame.header.dtype == info.dtype
        assert frame.header.exposure_ms == info.exposure_ms
        assert frame.header.pixel_size_um == info.pixel_size_um
        assert frame.header.bit_depth == 16
        assert not frame.pixels.flags.writeable
        assert frame.pixels.flags.c_contiguous
        assert frame.pixels.std() > 0


def test_frames_come_in_order_each_one_once(source):
    source.start()
    headers = [frame.header for frame in take(source, 25)]
    assert [header.number for header in headers] == list(range(25))
    assert {header.lost_before for header in headers} == {0}
    assert len({header.run_id for header in headers}) == 1
    times = [header.captured_ns for header in headers]
    assert times == sorted(times)
    assert times[-1] <= time.perf_counter_ns()
    assert headers[0].captured_utc.endswith("+00:00")


def test_frames_differ(source):
    source.start()
    first, second = take(source, 2)
    assert (first.pixels != second.pixels).mean() > 0.5


def test_no_frame_yet_is_none(slow_source):
    slow_source.start()
    take(slow_source, 1)
    assert slow_source.next_frame(0.0) is None
    assert take(slow_source, 1)[0].header.number == 1


def test_knobs(source):
    source.start()
    take(source, 3)
    if is_replay(source):
        with pytest.raises(UserError, match="exposure and z"):
            source.configure(exposure_ms=20.0, z_um=1.5)
        return
    source.configure(exposure_ms=16.0)
    source.configure(z_um=1.5)
    for delivered, frame in enumerate(take(source, 40), start=3):
        header = frame.header
        assert header.number - header.lost_before == delivered
        if header.exposure_ms == 16.0 and header.z_um == 1.5:
            break
        assert header.exposure_ms in {8.0, 16.0}
        assert header.z_um in {0.0, 1.5}
    else:
        pytest.fail("40 frames later the knobs have not moved")
    assert take(source, 1)[0].header.exposure_ms == 16.0


@pytest.mark.parametrize("source", KINDS[:3], indirect=True)
def test_knobs_turn_from_another_thread_while_frames_come(source):
    source.start()
    errors = []

    def turn():
        try:
            for step in range(6):
                source.configure(exposure_ms=8.0 + step % 2, z_um=0.5 * step)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=turn)
    thread.start()
    frames = take(source, 20)
    while thread.is_alive():
        frames += take(source, 1)
    thread.join()
    assert not errors
    numbers = [frame.header.number for frame in frames]
    assert numbers == sorted(set(numbers))
    for delivered, frame in enumerate(frames):
        assert frame.header.lost_before == frame.header.number - delivered


def test_stop_and_start_again(source):
    threads = threading.active_count()
    with pytest.raises(Failure, match="start"):
        source.next_frame(0.1)
    runs = set()
    for _ in range(3):
        source.start()
        frames = take(source, 2)
        assert [frame.header.number for frame in frames] == [0, 1]
        runs.add(frames[0].header.run_id)
        source.stop()
        source.stop()
        with pytest.raises(Failure, match="start"):
            source.next_frame(0.1)
    assert len(runs) == 3
    assert threading.active_count() == threads
