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


def small_two_channels(exposure_ms=8.0):
    rig = load_rig("demo_two_channels")
    channels = tuple(
        msgspec.structs.replace(channel, exposure_ms=exposure_ms) for channel in rig.channels
    )
    specimen = msgspec.structs.replace(rig.specimen, shape=(96, 128))
    source = msgspec.structs.replace(rig.source, buffer_size_mb=16)
    return msgspec.structs.replace(rig, channels=channels, specimen=specimen, source=source)


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


KINDS = ["simulated", "behind core", "DemoCamera", "two channels", "replay"]


def make(kind, movie, period_ms):
    if kind == "simulated":
        return SimulatedSource(small_demo(period_ms))
    if kind == "behind core":
        return open_source(small_demo(period_ms))
    if kind == "two channels":
        return open_source(small_two_channels(period_ms))
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


def ready(source):
    """The frames of a pause, which may find one or several on their way."""
    frames = source.pause()
    assert source.pause() == []
    return frames


def test_a_pause_delivers_what_was_taken_and_numbers_go_on(source):
    source.start()
    assert source.pause() == []
    frames = []
    for _ in range(3):
        frames += take(source, 3)
        if not is_replay(source):
            time.sleep(0.03)  # frames gather in the ring
        frames += ready(source)
    frames += take(source, 2)
    assert [frame.header.number for frame in frames] == list(range(len(frames)))
    assert {frame.header.lost_before for frame in frames} == {0}
    assert len({frame.header.run_id for frame in frames}) == 1


def test_snap_takes_one_frame_while_paused_and_only_then(source):
    source.start()
    first = source.snap()  # before the sequence has begun
    frames = [first, *take(source, 3)]
    with pytest.raises(UserError, match="pause it before"):
        source.snap()
    frames += ready(source)
    frames += [source.snap(), source.snap()]
    frames += take(source, 2)
    assert [frame.header.number for frame in frames] == list(range(len(frames)))
    assert {frame.header.lost_before for frame in frames} == {0}
    for field in ("shape", "dtype", "exposure_ms", "z_um", "pixel_size_um", "binning", "roi",
                  "bit_depth", "camera", "run_id"):  # fmt: skip
        assert getattr(first.header, field) == getattr(frames[1].header, field), field
    assert (first.pixels != frames[-3].pixels).any()
    assert not first.pixels.flags.writeable


@pytest.mark.parametrize("source", KINDS[:3], indirect=True)
def test_a_roi_is_counted_from_the_chip_whatever_was_set_before(source):
    source.start()
    frames = take(source, 2)
    source.set_roi((16, 8, 64, 32))
    frames += take_until(source, (32, 64))
    source.set_roi((0, 40, 96, 48))
    frames += take_until(source, (48, 96))
    assert frames[-1].header.roi == (0, 40, 96, 48)
    frames += ready(source)
    source.set_roi((16, 8, 64, 32))
    snapped = source.snap()
    assert snapped.header.roi == (16, 8, 64, 32)
    assert snapped.pixels.shape == (32, 64)
    frames.append(snapped)
    source.set_roi(None)
    frames += take_until(source, (96, 128))
    assert frames[-1].header.roi == (0, 0, 128, 96)
    assert [frame.header.number for frame in frames] == list(range(len(frames)))
    assert {frame.header.lost_before for frame in frames} == {0}


def take_until(source, shape):
    frames = take(source, 1)
    while frames[-1].pixels.shape != shape:
        frames += take(source, 1)
        assert len(frames) < 40, "the frames keep their size"
    return frames


@pytest.mark.parametrize("roi", [(100, 0, 64, 32), (-1, 0, 8, 8), (0, 0, 129, 96), (0, 0, 0, 5)])
@pytest.mark.parametrize("source", KINDS[:3], indirect=True)
def test_a_roi_beside_the_chip_is_refused_and_changes_nothing(source, roi):
    source.start()
    source.set_roi((16, 8, 64, 32))
    take(source, 1)
    with pytest.raises(UserError, match="128 x 96 pixels; choose one inside"):
        source.set_roi(roi)
    assert take(source, 2)[-1].header.roi == (16, 8, 64, 32)


@pytest.mark.parametrize("source", ["replay"], indirect=True)
def test_a_movie_has_no_roi(source):
    source.start()
    for roi in ((0, 0, 8, 8), None):
        with pytest.raises(UserError, match="cannot be read out again"):
            source.set_roi(roi)


@pytest.mark.parametrize("source", KINDS[:2], indirect=True)
def test_paused_spends_no_exposure_and_a_snap_exactly_one(source):
    source.start()
    assert source.exposures == 0
    take(source, 3)
    source.pause()
    spent = source.exposures
    time.sleep(0.05)  # six exposures long
    assert source.exposures == spent
    source.snap()
    assert source.exposures == spent + 1
    source.set_roi((16, 8, 64, 32))
    source.configure(exposure_ms=9.0, z_um=1.0)
    time.sleep(0.05)
    assert source.exposures == spent + 1
    frame = source.snap()
    assert source.exposures == spent + 2
    assert (frame.header.exposure_ms, frame.header.z_um) == (9.0, 1.0)


@pytest.mark.parametrize("source", KINDS[:2], indirect=True)
def test_a_roi_shows_its_part_of_the_specimen(source):
    source.start()
    take(source, 1)
    source.pause()
    source.set_roi((40, 24, 64, 32))
    frame = source.snap()
    number = int(frame.header.metadata.get("SimulatedFrame", frame.header.number))
    np.testing.assert_array_equal(frame.pixels, source.microscope.counts(number)[24:56, 40:104])


def test_fifty_pauses_leave_nothing_behind(source):
    source.start()
    threads = threading.active_count()
    frames = []
    for _ in range(50):
        frames += take(source, 1)
        frames += source.pause()
    # The camera's own thread is there only while a sequence runs.
    assert threading.active_count() <= threads
    assert [frame.header.number for frame in frames] == list(range(len(frames)))
