import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liverestore.camera.channel_cycle import ChannelCycle, frames_per_snap, set_exposure
from liverestore.camera.clock import SteppedClock
from liverestore.camera.open import open_source
from liverestore.camera.simulated import SimulatedSource
from liverestore.errors import Failure, UserError
from liverestore.rig import ChannelConfig, load_rig
from liverestore.specimen import STAINS


def rig_with(channels=None, **source):
    rig = load_rig("demo_two_channels")
    return msgspec.structs.replace(
        rig,
        channels=rig.channels if channels is None else channels,
        specimen=msgspec.structs.replace(rig.specimen, shape=(96, 128)),
        source=msgspec.structs.replace(rig.source, buffer_size_mb=16, **source),
    )


@pytest.fixture(scope="class")
def behind_core():
    """The shipped rig behind a real core, started once for the tests that only take frames."""
    source = open_source(rig_with())
    source.start()
    yield source
    source.stop()


@pytest.fixture
def stepped():
    rig = rig_with()
    cycle = ChannelCycle(SimulatedSource(rig, clock=SteppedClock()), rig.channels)
    yield cycle
    cycle.stop()


class TestBehindTheCore:
    def test_channels_come_in_turn_with_their_own_facts(self, behind_core):
        frames = [behind_core.next_frame(5.0) for _ in range(6)]
        behind_core.pause()
        headers = [frame.header for frame in frames]
        first = headers[0].number
        assert [h.number for h in headers] == list(range(first, first + 6))
        assert [h.channel for h in headers] == ["DAPI", "GFP"] * 3
        assert [h.exposure_ms for h in headers] == [30.0, 50.0] * 3
        assert {h.lost_before for h in headers} == {0}
        assert headers[0].metadata["Emission-nm"] == "461"
        assert headers[1].metadata["Excitation-nm"] == "488"
        assert headers[1].metadata["Channel-Preset"] == "filaments"

    def test_each_channel_is_its_own_light(self, behind_core):
        # The microscope knows which stain was lit in which of its exposures.
        microscope = behind_core.source.microscope
        for frame in [behind_core.next_frame(5.0) for _ in range(4)]:
            taken = microscope.exposure(int(frame.header.metadata["SimulatedFrame"]))
            assert taken.stain == {"DAPI": "nuclei", "GFP": "filaments"}[frame.header.channel]
            assert taken.exposure_ms == frame.header.exposure_ms
        behind_core.pause()

    def test_a_change_does_not_wait_for_many_frames(self, behind_core):
        numbers = []
        stop = threading.Event()

        def pull():
            while not stop.is_set():
                numbers.append(behind_core.next_frame(5.0).header.number)

        camera = threading.Thread(target=pull)
        camera.start()
        while len(numbers) < 2:
            stop.wait(0.005)
        before = len(numbers)
        behind_core.configure(z_um=0.5)
        after = len(numbers)
        stop.set()
        camera.join()
        behind_core.configure(z_um=0.0)
        behind_core.pause()
        assert after - before <= 2


def test_the_turn_goes_on_over_pause_and_snap(stepped):
    stepped.start()
    frames = [stepped.next_frame(5.0)]
    frames += stepped.pause()
    frames += [stepped.snap() for _ in range(frames_per_snap(stepped))]
    frames.append(stepped.next_frame(5.0))
    assert [f.header.channel for f in frames] == ["DAPI", "GFP", "DAPI", "GFP"]
    assert [f.header.number for f in frames] == [0, 1, 2, 3]
    assert stepped.source.exposures == 4


def test_exposure_of_one_channel_or_of_all(stepped):
    stepped.start()
    set_exposure(stepped, 12.0, "GFP")
    exposures = [stepped.next_frame(5.0).header.exposure_ms for _ in range(4)]
    assert exposures == [30.0, 12.0, 30.0, 12.0]
    set_exposure(stepped, 7.0, None)
    assert [stepped.next_frame(5.0).header.exposure_ms for _ in range(2)] == [7.0, 7.0]


def test_a_refused_exposure_leaves_the_cycle_as_it_was(stepped):
    stepped.start()
    with pytest.raises(UserError, match="out of range"):
        set_exposure(stepped, 1e7, "GFP")
    with pytest.raises(UserError, match=r"channel 'RFP', there are DAPI, GFP"):
        set_exposure(stepped, 10.0, "RFP")
    assert [stepped.next_frame(5.0).header.exposure_ms for _ in range(2)] == [30.0, 50.0]


def test_a_channel_without_exposure_keeps_the_cameras():
    rig = rig_with()
    bare = msgspec.structs.replace(rig.channels[1], exposure_ms=None)
    channels = (rig.channels[0], bare)
    rig = msgspec.structs.replace(rig, channels=channels)
    cycle = ChannelCycle(SimulatedSource(rig, clock=SteppedClock()), channels)
    cycle.start()
    assert [cycle.next_frame(5.0).header.exposure_ms for _ in range(4)] == [30.0, 40.0] * 2
    cycle.stop()


def test_no_thread_is_left(stepped):
    threads = set(threading.enumerate())
    stepped.start()
    stepped.next_frame(5.0)
    stepped.stop()
    stepped.stop()
    assert set(threading.enumerate()) == threads
    with pytest.raises(Failure, match="not running"):
        stepped.next_frame(0.0)


def test_one_channel_runs_the_sequence_as_ever():
    rig = rig_with(load_rig("demo_two_channels").channels[1:])
    source = open_source(rig)
    assert not isinstance(source, ChannelCycle)
    try:
        source.start()
        headers = [source.next_frame(5.0).header for _ in range(3)]
    finally:
        source.stop()
    assert {h.channel for h in headers} == {"GFP"}
    assert {h.exposure_ms for h in headers} == {50.0}
    assert all("ImageNumber" in h.metadata for h in headers)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group": "Chanel"}, r"channels\[1\]\.group: got 'Chanel', the configuration has .*'Chan"),
        (
            {"preset": "actin"},
            r"channels\[1\]\.preset: got 'actin', the group 'Channel' has .*'nuclei'",
        ),
    ],
)
def test_a_preset_that_is_not_there_is_told_at_the_start(changes, message):
    rig = rig_with()
    wrong = msgspec.structs.replace(rig.channels[1], **changes)
    # The stains are those of the specimen; only the core knows groups.
    source = open_source(msgspec.structs.replace(rig, channels=(rig.channels[0], wrong)))
    with pytest.raises(UserError, match=message):
        source.start()


def test_a_core_with_groups_of_its_own(tmp_path):
    """Micro-Manager's DemoCamera with its configuration group of a filter wheel."""
    rig = load_rig("mmcore_demo")
    config = tmp_path / "wheel.cfg"
    text = Path(rig.source.config_file).read_text(encoding="utf-8")
    config.write_text(
        text.replace(
            "Property,Core,Initialize,1",
            "Device,Wheel,DemoCamera,DWheel\nProperty,Core,Initialize,1",
        )
        + "ConfigGroup,Channel,Red,Wheel,State,1\nConfigGroup,Channel,Far red,Wheel,State,2\n",
        encoding="utf-8",
    )
    properties = {**rig.source.properties["Camera"], "OnCameraCCDXSize": "64"}
    channels = (
        ChannelConfig(name="red", group="Channel", preset="Red", exposure_ms=5.0),
        ChannelConfig(name="far", group="Channel", preset="Far red", exposure_ms=9.0),
    )
    rig = msgspec.structs.replace(
        rig,
        channels=channels,
        source=msgspec.structs.replace(
            rig.source,
            config_file=str(config),
            properties={"Camera": properties},
            buffer_size_mb=16,
        ),
    )
    source = open_source(rig)
    try:
        source.start()
        headers = [source.next_frame(5.0).header for _ in range(4)]
        state = source.source._core.get_property("Wheel", "State")
    finally:
        source.stop()
    assert [h.channel for h in headers] == ["red", "far", "red", "far"]
    assert [h.exposure_ms for h in headers] == [5.0, 9.0, 5.0, 9.0]
    assert state == "2"


def test_stains_share_places_and_not_structures():
    rig = rig_with()
    source = SimulatedSource(rig, clock=SteppedClock())
    source.start()
    microscope = source.microscope
    assert microscope.stains == ("nuclei", "filaments")
    microscope.set(1, stain="filaments")
    nuclei, filaments = microscope.truth(0), microscope.truth(1)
    # Bright alike, but not in the same pixels.
    assert np.corrcoef(nuclei.ravel(), filaments.ravel())[0, 1] < 0.6
    assert STAINS["nuclei"].isdisjoint(STAINS["filaments"])
    with pytest.raises(UserError, match="stain 'actin'"):
        microscope.set(2, stain="actin")
