import msgspec
import numpy as np
import pytest
import tifffile

from liverestore.camera.clock import SteppedClock
from liverestore.camera.instrument import SimulatedMicroscope
from liverestore.camera.replay import ReplaySource
from liverestore.camera.simulated import SimulatedSource
from liverestore.errors import EndOfStream, UserError
from liverestore.rig import load_rig
from liverestore.writer.ome import OmeSink

PIXELS = np.random.default_rng(2).integers(0, 4000, (5, 20, 30), dtype=np.uint16)


def rig_for(path, **changes):
    rig = load_rig("replay")
    changes = {"path": str(path), "rate_fps": None, "loop": False, **changes}
    return msgspec.structs.replace(rig, source=msgspec.structs.replace(rig.source, **changes))


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "movie.ome.tif"
    metadata = {"axes": "TYX", "TimeIncrement": 0.05, "TimeIncrementUnit": "s"}
    tifffile.imwrite(path, PIXELS, metadata=metadata, photometric="minisblack")
    return path


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.tif"
    tifffile.imwrite(path, PIXELS, photometric="minisblack")
    return path


def test_plays_every_frame_and_ends(movie):
    source = ReplaySource(rig_for(movie), clock=SteppedClock())
    info = source.start()
    assert (info.name, info.frame_count, info.shape) == ("movie.ome.tif", 5, (20, 30))
    for number in range(5):
        frame = source.next_frame(1.0)
        np.testing.assert_array_equal(frame.pixels, PIXELS[number])
        assert frame.header.metadata["ReplayedFrame"] == str(number)
    for _ in range(2):
        with pytest.raises(EndOfStream, match="5 frames"):
            source.next_frame(1.0)
    source.stop()


def test_loop_goes_on_counting(movie):
    source = ReplaySource(rig_for(movie, loop=True), clock=SteppedClock())
    assert source.start().frame_count is None
    frames = [source.next_frame(1.0) for _ in range(12)]
    assert [frame.header.number for frame in frames] == list(range(12))
    np.testing.assert_array_equal(frames[11].pixels, PIXELS[1])
    source.stop()


@pytest.mark.parametrize(
    ("file", "rate_fps", "interval_ms"),
    [("movie", None, 50.0), ("plain", None, 100.0), ("movie", 4.0, 250.0)],
)
def test_rate_is_the_one_given_or_its_own_or_ten(request, file, rate_fps, interval_ms):
    clock = SteppedClock()
    path = request.getfixturevalue(file)
    source = ReplaySource(rig_for(path, rate_fps=rate_fps), clock=clock)
    assert source.start().interval_ms == pytest.approx(interval_ms)
    for number in range(5):
        source.next_frame(1.0)
        assert clock.now() == pytest.approx(number * interval_ms / 1e3)
    source.stop()


def test_frame_that_is_not_due_is_none(movie):
    clock = SteppedClock()
    source = ReplaySource(rig_for(movie), clock=clock)
    source.start()
    source.next_frame(0.01)
    assert source.next_frame(0.02) is None
    assert clock.now() == pytest.approx(0.02)
    assert source.next_frame(0.04).header.number == 1
    source.stop()


def test_late_consumer_gets_late_frames_and_catches_up(movie):
    clock = SteppedClock()
    source = ReplaySource(rig_for(movie), clock=clock)
    source.start()
    clock.sleep(100.0)  # nobody waits for frames yet: the movie does not play
    numbers = [source.next_frame(0.0).header.number]
    clock.sleep(0.12)  # frames 1 and 2 are due
    numbers += [source.next_frame(0.0).header.number for _ in range(2)]
    assert numbers == [0, 1, 2]
    assert source.next_frame(0.0) is None
    assert source.next_frame(1.0).header.number == 3
    assert clock.now() == pytest.approx(100.15)
    source.stop()


@pytest.mark.parametrize("name", ["run.ome.zarr", "run.ome.tif"])
def test_own_recording_comes_back_with_what_was_known_of_each_frame(tmp_path, name):
    demo = load_rig("demo")
    specimen = msgspec.structs.replace(demo.specimen, shape=(64, 80))
    camera = SimulatedSource(msgspec.structs.replace(demo, specimen=specimen), clock=SteppedClock())
    camera.start()
    camera.configure(z_um=1.25)
    recorded = [camera.next_frame(1.0) for _ in range(4)]
    sink = OmeSink(tmp_path / name)
    sink.prepare(recorded[0])
    for frame in recorded:
        sink.append(frame)
    path = sink.close().path
    source = ReplaySource(rig_for(path), clock=SteppedClock())
    assert source.start().exposure_ms == 40.0
    for before in recorded:
        frame = source.next_frame(1.0)
        np.testing.assert_array_equal(frame.pixels, before.pixels)
        header = frame.header
        for field in ("exposure_ms", "z_um", "pixel_size_um", "binning", "roi", "bit_depth"):
            assert getattr(header, field) == getattr(before.header, field)
        assert header.camera == before.header.camera
        assert header.run_id != before.header.run_id
        assert header.metadata["SpecimenAge-s"] == before.header.metadata["SpecimenAge-s"]
        assert header.metadata["RecordedAt"] == before.header.captured_utc
    source.stop()


def test_file_that_is_no_movie(tmp_path):
    text = tmp_path / "text.tif"
    text.write_text("not an image")
    for path in (text, tmp_path / "missing.tif"):
        with pytest.raises(UserError, match=path.name):
            ReplaySource(rig_for(path)).start()


def test_shipped_movie_is_the_simulation_that_the_rig_says():
    rig = load_rig("replay")
    source = ReplaySource(rig, clock=SteppedClock())
    info = source.start()
    assert info.pixel_size_um == pytest.approx(rig.optics.pixel_size_um)
    frame = source.next_frame(1.0)
    source.stop()
    demo = load_rig("demo")
    specimen = msgspec.structs.replace(demo.specimen, shape=(256, 256), seed=5)
    truth = SimulatedMicroscope(msgspec.structs.replace(demo, specimen=specimen)).truth(0)
    camera = rig.camera
    electrons = (frame.pixels.astype(float) - camera.offset_counts) * camera.gain_e_per_count
    normal = (electrons - truth) / np.sqrt(truth + camera.read_noise_e**2)
    assert normal.mean() == pytest.approx(0, abs=0.02)
    assert normal.std() == pytest.approx(1, abs=0.03)
