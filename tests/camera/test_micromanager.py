"""A real Micro-Manager core with its DemoCamera: what goes wrong, and what is said then."""

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from liverestore.camera.open import open_source
from liverestore.errors import Failure, UserError
from liverestore.rig import load_rig

ROOT = Path(__file__).parents[2]


def demo_camera(config_file=None, exposure_ms=5.0, focus_device="Z", **properties):
    rig = load_rig("mmcore_demo")
    small = {"OnCameraCCDXSize": "128", "OnCameraCCDYSize": "96"}
    source = msgspec.structs.replace(
        rig.source,
        properties={"Camera": {**rig.source.properties["Camera"], **small, **properties}},
        buffer_size_mb=16,
        config_file=str(config_file or rig.source.config_file),
        focus_device=focus_device,
    )
    camera = msgspec.structs.replace(rig.camera, exposure_ms=exposure_ms)
    return msgspec.structs.replace(rig, source=source, camera=camera)


@pytest.fixture
def opened():
    sources = []

    def make(rig):
        sources.append(open_source(rig))
        return sources[-1]

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


def test_frames_carry_the_cameras_tags_and_its_true_noise(opened):
    source = opened(demo_camera(exposure_ms=10.0))
    source.start()
    frames = take(source, 20)
    header = frames[0].header
    assert header.camera == "Camera"
    assert header.roi == (0, 0, 128, 96)
    assert header.binning == 1
    assert header.metadata["ImageNumber"] == "0"
    assert header.metadata["PixelType"] == "GRAY16"
    # The camera numbers of the shipped rig are those of the noise that comes out.
    camera = source._rig.camera
    pixels = np.stack([frame.pixels for frame in frames]).astype(float)
    electrons = (pixels - camera.offset_counts) * camera.gain_e_per_count
    assert electrons.mean() == pytest.approx(30.0, abs=0.1)
    expected = 30.0 + camera.read_noise_e**2 + camera.gain_e_per_count**2 / 12
    assert electrons.var() == pytest.approx(expected, rel=0.03)


def test_frames_thrown_away_by_a_full_ring_are_counted(opened):
    # 16 MB hold 64 frames of 512 x 512; FastImage fills them in a fraction of a second.
    fast = {"OnCameraCCDXSize": "512", "OnCameraCCDYSize": "512", "FastImage": "1"}
    source = opened(demo_camera(exposure_ms=1.0, **fast))
    source.start()
    first = take(source, 1)[0].header
    while source._core.get_remaining_image_count() < 20:
        time.sleep(0.01)
    lost = first.lost_before
    delivered = 1
    while not lost and delivered < 300:
        time.sleep(0.02)  # far too slow for this camera
        header = take(source, 1)[0].header
        assert header.lost_before == header.number - delivered
        lost, delivered = header.lost_before, delivered + 1
    assert lost > 0
    after = take(source, 1)[0].header
    assert after.lost_before >= lost
    assert after.number - after.lost_before == delivered


def test_colour_is_refused_before_it_breaks_anything(opened):
    with pytest.raises(UserError, match=r"colour.*PixelType property to 8bit or 16bit"):
        opened(demo_camera(PixelType="32bitRGB")).start()
    opened(demo_camera(PixelType="8bit")).start()  # and the core can be made again


def test_pixels_of_32_bit_are_refused(opened):
    with pytest.raises(UserError, match="32 bit per pixel"):
        opened(demo_camera(PixelType="32bit", BitDepth="32")).start()


def test_eight_bit_frames(opened):
    source = opened(demo_camera(PixelType="8bit", BitDepth="8"))
    assert source.start().dtype == "uint8"
    assert take(source, 1)[0].pixels.dtype == np.uint8


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"Mode": "Nois"}, r"Camera\.Mode: got 'Nois', allowed is .*Fluorescent Beads"),
        ({"Photon Flux": "0"}, r"Photon Flux: got '0', allowed is 2 to 5000"),
        ({"Flux": "3"}, r"Camera\.Flux: no such property.*Photon Flux"),
    ],
)
def test_wrong_properties_name_what_is_allowed(opened, properties, message):
    with pytest.raises(UserError, match=message):
        opened(demo_camera(**properties)).start()


def test_device_that_is_not_loaded(opened):
    rig = demo_camera()
    source = msgspec.structs.replace(rig.source, properties={"Cam": {"Mode": "Noise"}})
    with pytest.raises(UserError, match=r"properties\.Cam: no such device.*Camera"):
        opened(msgspec.structs.replace(rig, source=source)).start()
    with pytest.raises(UserError, match=r"focus_device: got 'ZDrive'.*Z"):
        opened(demo_camera(focus_device="ZDrive")).start()


def write(path, *lines):
    path.write_text("\n".join(["Property,Core,Initialize,0", *lines, ""]))
    return path


def test_configuration_without_a_camera_or_a_stage(opened, tmp_path):
    empty = write(tmp_path / "empty.cfg", "Property,Core,Initialize,1")
    rig = demo_camera(empty, focus_device=None)
    rig = msgspec.structs.replace(rig, source=msgspec.structs.replace(rig.source, properties={}))
    with pytest.raises(UserError, match="sets no camera"):
        opened(rig).start()
    no_stage = write(
        tmp_path / "no_stage.cfg",
        "Device,Camera,DemoCamera,DCam",
        "Property,Core,Initialize,1",
        "Property,Core,Camera,Camera",
    )
    source = opened(demo_camera(no_stage, focus_device=None))
    source.start()
    assert take(source, 1)[0].header.z_um is None
    with pytest.raises(UserError, match="no focus drive"):
        source.configure(z_um=1.0)


def test_configuration_that_does_not_load(opened, tmp_path):
    wrong = write(tmp_path / "wrong.cfg", "Device,Camera,NoSuchAdapter,DCam")
    with pytest.raises(UserError, match=r"wrong\.cfg: cannot be loaded.*device interface 75"):
        opened(demo_camera(wrong)).start()


def test_exposure_that_the_camera_refuses(opened):
    source = opened(demo_camera())
    source.start()
    with pytest.raises(UserError, match="exposure of 1e"):
        source.configure(exposure_ms=1e9)
    assert take(source, 3)[-1].header.exposure_ms == 5.0  # and it goes on as it was


def wait_for(source, wanted):
    for _ in range(200):
        frame = source.next_frame(0.2)
        if frame is not None and wanted(frame):
            return frame
    return None


def test_camera_that_stops_by_itself_is_noticed(opened):
    source = opened(demo_camera())
    source.start()
    take(source, 3)
    source._core.set_roi(8, 16, 64, 32)  # DemoCamera stops without a word
    with pytest.raises(Failure, match=r"stopped by itself after frame \d+.*ROI, binning"):
        wait_for(source, lambda frame: False)


def test_frame_of_another_size_comes_with_its_own_shape(opened):
    source = opened(demo_camera())
    source.start()
    last = take(source, 3)[-1].header.number
    source._core.stop_sequence_acquisition()
    source._core.set_roi(8, 16, 64, 32)
    source._core.start_continuous_sequence_acquisition(0)
    header = wait_for(source, lambda frame: frame.pixels.shape == (32, 64)).header
    assert header.shape == (32, 64)
    assert header.roi == (8, 16, 64, 32)
    # The core counts from 0 again; the run goes on.
    assert header.metadata["ImageNumber"] == "0"
    assert header.number == last + 1


def test_second_core_in_a_process_is_refused(opened):
    opened(demo_camera()).start()
    with pytest.raises(Failure, match="loaded in this process already"):
        opened(demo_camera()).start()


@pytest.mark.parametrize("name", ["mmcore_demo", "demo"])
def test_process_that_never_stops_the_camera_ends_cleanly(name):
    script = f"""
        from liverestore.camera.open import open_source
        from liverestore.rig import load_rig
        source = open_source(load_rig({name!r}))
        source.start()
        numbers = [source.next_frame(20.0).header.number for _ in range(3)]
        assert numbers == [0, 1, 2], numbers
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_autoshutter_is_open_for_exposures_only(opened, tmp_path):
    config = write(
        tmp_path / "shutter.cfg",
        "Device,Camera,DemoCamera,DCam",
        "Device,Shutter,DemoCamera,DShutter",
        "Property,Core,Initialize,1",
        "Property,Core,Camera,Camera",
        "Property,Core,Shutter,Shutter",
        "Property,Core,AutoShutter,1",
    )
    source = opened(demo_camera(config, focus_device=None))
    source.start()
    assert not source._core.get_shutter_open()
    take(source, 2)
    assert source._core.get_shutter_open()
    source.pause()
    assert not source._core.get_shutter_open()
    source.snap()
    source.set_roi((0, 0, 64, 32))
    source.configure(exposure_ms=6.0)
    assert not source._core.get_shutter_open()
    take(source, 1)
    assert source._core.get_shutter_open()
