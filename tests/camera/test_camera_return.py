"""A camera that is unplugged and plugged in again, behind a real core."""

import msgspec
import pytest
from pulled_plug import PulledPlug

from liverestore.camera.absence import CameraGone, ReturningSource
from liverestore.camera.open import open_source
from liverestore.errors import UserError
from liverestore.rig import load_rig
from liverestore.rig_channels import ChannelConfig


def small_rig(**properties):
    rig = load_rig("mmcore_demo")
    small = {"OnCameraCCDXSize": "128", "OnCameraCCDYSize": "96", **properties}
    source = msgspec.structs.replace(
        rig.source,
        properties={"Camera": {**rig.source.properties["Camera"], **small}},
        buffer_size_mb=16,
    )
    camera = msgspec.structs.replace(rig.camera, exposure_ms=5.0)
    return msgspec.structs.replace(rig, source=source, camera=camera)


@pytest.fixture
def opened():
    sources = []

    def make(rig):
        source = open_source(rig)
        sources.append(source)
        source.start()
        return source

    yield make
    for source in sources:
        source.stop()


def take(source, count):
    frames = []
    while len(frames) < count:
        frame = source.next_frame(5.0)
        assert frame is not None, "no frame within 5 s"
        frames.append(frame)
    return frames


def until_gone(source):
    with pytest.raises(CameraGone, match="check its cable and power") as told:
        take(source, 10_000)
    return str(told.value)


def test_what_was_set_holds_again_when_the_camera_is_back(opened):
    source = opened(small_rig(Gain="3"))
    core = source._core
    core.set_property("Camera", "Binning", "2")
    source.set_roi((8, 4, 32, 16))
    source.configure(exposure_ms=7.0)
    focus = core.get_position()
    before = take(source, 3)[-1].header
    plug = PulledPlug(core)
    assert "device not connected" in until_gone(source)
    assert isinstance(source, ReturningSource)
    for attempt in (1, 2):
        with pytest.raises(CameraGone, match="cannot be initialised"):
            source.come_back()
        assert plug.initialised == attempt
    plug.back = True
    source.come_back()
    after = take(source, 3)[0].header
    assert after.number == before.number + 1
    assert (after.run_id, after.lost_before) == (before.run_id, 0)
    kept = ("shape", "dtype", "roi", "binning", "exposure_ms", "bit_depth", "z_um")
    assert {k: getattr(after, k) for k in kept} == {k: getattr(before, k) for k in kept}
    assert (after.shape, after.roi, after.exposure_ms) == ((16, 32), (8, 4, 32, 16), 7.0)
    assert core.get_property("Camera", "Gain") == "3"
    assert core.get_position() == focus
    assert core.get_camera_device() == "Camera"


def test_it_comes_back_with_the_exposure_that_it_was_to_be_set_to(opened):
    source = opened(small_rig())
    core = source._core
    take(source, 1)
    source.pause()
    source.configure(exposure_ms=70.0)
    plug = PulledPlug(core)
    with pytest.raises(CameraGone):
        source.snap()
    with pytest.raises(CameraGone):
        source.configure(exposure_ms=7.0)
    plug.back = True
    source.come_back()
    assert take(source, 1)[0].header.exposure_ms == core.get_exposure() == 7.0


def test_it_does_so_where_it_answers_again_by_itself(opened):
    source = opened(small_rig())
    core = source._core
    take(source, 1)
    source.pause()
    source.configure(exposure_ms=70.0)

    def silent(*_arguments):
        raise RuntimeError("no answer")

    core.set_exposure = core.get_exposure = silent
    with pytest.raises(CameraGone):
        source.configure(exposure_ms=7.0)
    del core.set_exposure, core.get_exposure
    source.come_back()
    assert take(source, 1)[0].header.exposure_ms == core.get_exposure() == 7.0
    # That is done with: another one holds from then on.
    source.pause()
    source.configure(exposure_ms=9.0)
    source.come_back()
    assert take(source, 1)[0].header.exposure_ms == core.get_exposure() == 9.0


def test_an_exposure_that_it_refuses_then_keeps_it_away_only_once(opened):
    source = opened(small_rig())
    core = source._core
    take(source, 1)
    source.pause()
    plug = PulledPlug(core)
    with pytest.raises(CameraGone):
        source.configure(exposure_ms=1e9)
    plug.back = True
    with pytest.raises(UserError, match="1e\\+09 ms"):
        source.come_back()
    source.come_back()
    assert take(source, 1)[0].header.exposure_ms == core.get_exposure() == 5.0


def test_only_the_camera_is_initialised_again(opened):
    source = opened(small_rig())
    core = source._core
    take(source, 1)
    plug = PulledPlug(core)
    until_gone(source)
    loaded, unloaded = [], []
    load, unload = core.load_device, core.unload_device
    core.load_device = lambda *device: (loaded.append(device), load(*device))
    core.unload_device = lambda label: (unloaded.append(label), unload(label))
    plug.back = True
    source.come_back()
    assert unloaded == ["Camera"]
    assert loaded == [("Camera", "DemoCamera", "DCam")]


def test_a_camera_that_stopped_by_itself_is_merely_started_again(opened):
    source = opened(small_rig())
    take(source, 2)
    core = source._core
    loaded = []
    load = core.load_device
    core.load_device = lambda *device: (loaded.append(device), load(*device))
    core.stop_sequence_acquisition()
    core.set_property("Camera", "Binning", "2")
    with pytest.raises(CameraGone, match="stopped by itself after frame"):
        take(source, 10_000)
    source.come_back()
    assert take(source, 1)[0].header.shape == (48, 64)
    assert loaded == []
    # When no frame comes of that, it is initialised.
    core.stop_sequence_acquisition()
    with pytest.raises(CameraGone):
        take(source, 10_000)
    source.come_back()
    core.start_continuous_sequence_acquisition = lambda *_: (_ for _ in ()).throw(
        RuntimeError("not ready")
    )
    with pytest.raises(CameraGone, match="did not start"):
        source.next_frame(1.0)
    del core.start_continuous_sequence_acquisition
    source.come_back()
    assert loaded == [("Camera", "DemoCamera", "DCam")]
    assert take(source, 1)[0].header.shape == (48, 64)


def test_images_that_waited_while_the_binning_was_set_are_lost_and_not_torn(opened):
    source = opened(small_rig())
    core = source._core
    last = take(source, 2)[-1].header
    while core.get_remaining_image_count() < 3:
        pass
    core.stop_sequence_acquisition()
    waiting = core.get_remaining_image_count()
    core.set_property("Camera", "Binning", "2")
    with pytest.raises(CameraGone, match="stopped by itself"):
        take(source, 10_000)
    source.come_back()
    header = take(source, 1)[0].header
    assert header.shape == (48, 64)
    assert header.lost_before == waiting
    assert header.number == last.number + waiting + 1


def test_a_setting_that_is_not_taken_any_more_is_named(opened):
    source = opened(small_rig(Gain="3"))
    core = source._core
    take(source, 1)
    plug = PulledPlug(core)
    until_gone(source)
    plug.back = True
    real = type(core).set_property

    def picky(label, name, value):
        if name == "Gain":
            raise RuntimeError("invalid value")
        real(core, label, name, value)

    initialise = core.initialize_device

    def initialise_and_be_picky(label):
        initialise(label)
        core.set_property = picky

    core.initialize_device = initialise_and_be_picky
    with pytest.raises(UserError, match=r"does not take Gain = 3 any more \(invalid value\)"):
        source.come_back()


def test_snaps_of_channels_in_turn_go_on_with_the_channel_that_failed(opened):
    rig = msgspec.structs.replace(
        small_rig(),
        channels=[
            ChannelConfig(name="DAPI", exposure_ms=5.0),
            ChannelConfig(name="FITC", exposure_ms=9.0),
        ],
    )
    cycle = opened(rig)
    first = take(cycle, 3)
    assert [frame.header.channel for frame in first] == ["DAPI", "FITC", "DAPI"]
    plug = PulledPlug(cycle.source._core)
    with pytest.raises(CameraGone):
        take(cycle, 10_000)
    plug.back = True
    cycle.source.come_back()
    after = take(cycle, 2)
    assert {frame.header.channel: frame.header.exposure_ms for frame in after} == {
        "DAPI": 5.0,
        "FITC": 9.0,
    }
    numbers = [frame.header.number for frame in after]
    assert numbers[0] >= 3
    assert numbers[1] == numbers[0] + 1


def test_a_core_whose_camera_is_gone_can_be_let_go_of(opened):
    source = opened(small_rig())
    take(source, 1)
    PulledPlug(source._core)
    with pytest.raises(RuntimeError, match="not connected"):
        source.stop()
    again = opened(small_rig())
    assert take(again, 1)[0].header.number == 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda source: source.set_roi((8, 4, 32, 16)),
        lambda source: source.set_roi(None),
        lambda source: source.configure(exposure_ms=9.0),
        lambda source: source.snap(),
    ],
    ids=["ROI", "whole chip", "exposure", "snap"],
)
def test_a_paused_camera_that_is_unplugged_is_gone_whatever_it_is_asked(opened, ask):
    """Anything else would end the run."""
    source = opened(small_rig())
    take(source, 1)
    source.pause()
    PulledPlug(source._core)
    with pytest.raises(CameraGone, match="device not connected"):
        ask(source)
    with pytest.raises(RuntimeError, match="device not connected"):
        source.stop()


def test_a_tag_that_cannot_be_read_costs_no_frame(opened):
    source = opened(small_rig())

    def refuse(_cached):
        raise RuntimeError("no such property in the cache")

    source._core.get_pixel_size_um = refuse
    assert [frame.header.number for frame in take(source, 3)] == [0, 1, 2]
