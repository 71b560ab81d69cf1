"""A running Micro-Manager is followed: each image once, none taken away, through restarts."""

import msgspec
import numpy as np
import pytest
from java_server import Core, JavaServer, Studio, free_port

from liverestore.camera import bridge_link
from liverestore.camera.clock import SteppedClock
from liverestore.camera.open import open_core_source, open_source
from liverestore.errors import Failure, UserError
from liverestore.rig import load_rig

DRIVING = {"setExposure", "snapImage", "popNextTaggedImage"}


def bridge_rig(port, **optics):
    rig = load_rig("bridge")
    source = msgspec.structs.replace(rig.source, port=port)
    return msgspec.structs.replace(
        rig, source=source, optics=msgspec.structs.replace(rig.optics, **optics)
    )


@pytest.fixture
def server():
    with JavaServer(studio=Studio()) as running:
        yield running
        assert not DRIVING & {name for _, name in running.commands}


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
def follow(server, clock):
    sources = []

    def make(port=server.port, **optics):
        from liverestore.camera.bridge import BridgeSource

        source = BridgeSource(bridge_rig(port, **optics), clock=clock)
        sources.append(source)
        return source

    yield make
    for source in sources:
        source.stop()
        source.stop()


def test_what_is_found_is_what_comes(server, follow):
    source = follow()
    info = source.start()
    assert (info.name, info.shape, info.dtype) == ("Cam@1.4 µ", (48, 64), "uint16")
    assert (info.exposure_ms, info.pixel_size_um, info.frame_count) == (10.0, 0.108, None)
    pixels = server.core.push()
    frame = source.next_frame(0.0)
    np.testing.assert_array_equal(frame.pixels, pixels)
    assert not frame.pixels.flags.writeable
    header = frame.header
    assert (header.number, header.shape, header.dtype) == (0, (48, 64), "uint16")
    assert (header.exposure_ms, header.z_um, header.pixel_size_um) == (10.0, 1.5, 0.108)
    assert (header.binning, header.roi, header.bit_depth) == (1, (8, 4, 64, 48), 16)
    assert (header.camera, header.channel, header.lost_before) == ("Cam@1.4 µ", None, 0)


def test_an_image_comes_once_however_often_it_is_looked_at(server, follow):
    source = follow()
    source.start()
    for number in range(5):
        server.core.push()
        assert source.next_frame(0.0).header.number == number
        fetched = len([1 for command, name in server.commands if name == "pix"])
        assert source.next_frame(0.1) is None
        assert len([1 for command, name in server.commands if name == "pix"]) == fetched
    assert source.unseen == 0


def test_micro_manager_copies_an_image_once_and_not_at_every_look(server, follow):
    source = follow()
    source.start()
    before = len(server.commands)
    for _ in range(4):
        server.core.push()
        assert source.next_frame(0.0) is not None
        assert source.next_frame(0.04) is None
    copied = [name for _, name in server.commands[before:]].count("getLastTaggedImage")
    asked = [name for _, name in server.commands[before:]].count("getRemainingImageCount")
    assert copied == 4
    assert asked > 40


def test_images_that_an_acquisition_takes_out_as_they_come_are_seen(server, follow, clock):
    source = follow()
    source.start()
    for number in range(3):
        server.core.push()
        server.core.waiting = 1
        clock.sleep(0.06)
        assert source.next_frame(0.0).header.number == number


def test_images_between_two_looks_are_not_seen_and_not_lost(server, follow):
    source = follow()
    source.start()
    server.core.push()
    frames = [source.next_frame(0.0)]
    for skipped in (3, 1):
        for _ in range(skipped + 1):
            server.core.push()
        frames.append(source.next_frame(0.0))
    assert [frame.header.number for frame in frames] == [0, 4, 6]
    assert {frame.header.lost_before for frame in frames} == {0}
    assert [frame.header.metadata["NotSeenBefore"] for frame in frames] == ["0", "3", "4"]
    assert source.unseen == 4


def test_numbers_go_on_where_micro_manager_counts_anew(server, follow):
    source = follow()
    source.start()
    for _ in range(3):
        server.core.push()
        source.next_frame(0.0)
    server.core.new_sequence()
    # Its user has typed another exposure, which restarts the sequence there.
    server.core.exposure_ms = 25.0
    server.core.push()
    frame = source.next_frame(0.0)
    assert (frame.header.number, frame.header.exposure_ms, source.unseen) == (3, 25.0, 0)


def test_an_image_without_a_number_is_known_by_its_bytes(server, follow):
    source = follow()
    source.start()
    pixels = server.core.push()
    for tags in ({"ImageNumber": None}, {"ImageNumber": None}):
        server.core.push(pixels, **tags)
        first = source.next_frame(0.0)
    assert first is None
    server.core.push(pixels + 1, ImageNumber=None)
    assert (source.next_frame(0.0).pixels == pixels + 1).all()


def test_an_old_image_is_not_new_when_following_begins(server, follow):
    server.core.live = False
    server.core.push(ago_s=3000.0)
    source = follow()
    source.start()
    assert source.next_frame(0.1) is None
    server.core.live = True
    server.core.push()
    assert source.next_frame(0.0).header.number == 0


def test_the_age_of_an_image_is_that_since_the_core_had_it(server, follow):
    source = follow()
    source.start()
    server.core.push()
    late = source.next_frame(0.0).header
    server.core.push(ago_s=5.0)
    early = source.next_frame(0.0).header
    assert late.captured_ns - early.captured_ns > 4e9


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_grey_images_of_every_depth(server, follow, dtype):
    server.core.dtype = np.dtype(dtype)
    source = follow()
    assert source.start().dtype == dtype
    pixels = server.core.push()
    np.testing.assert_array_equal(source.next_frame(0.0).pixels, pixels)


def test_colour_is_refused(server, follow):
    server.core.components, server.core.dtype = 4, np.dtype("float32")
    with pytest.raises(UserError, match="4 components of 4 bytes"):
        follow().start()


def test_colour_in_mid_run_is_told_once_and_grey_goes_on(server, follow):
    source = follow()
    source.start()
    for _ in range(3):
        server.core.push(PixelType="RGB32")
        assert source.next_frame(0.0) is None
    assert [line for line in source.notices if "RGB32" in line] == list(source.notices)
    assert len(source.notices) == 1
    server.core.push()
    assert source.next_frame(0.0) is not None


def test_an_image_of_the_size_before_a_roi_is_left_out(server, follow):
    source = follow()
    source.start()
    server.core.push(Width=32, Height=32)
    assert source.next_frame(0.0) is None
    pixels = server.core.push(np.full((20, 30), 7, np.uint16))
    frame = source.next_frame(0.0)
    assert frame.pixels.shape == pixels.shape
    assert frame.header.roi == (8, 4, 30, 20)


def test_labels_and_properties_of_any_kind(server, follow):
    source = follow(pixel_size_um=0.2)
    source.start()
    server.core.extra = {
        "Objective-Label": "60x@1.4",
        "Cam@1.4 µ-Exposure": "12,5",
        "Cam@1.4 µ-Cooler": True,
        "Channel": "GFP @488",
        "Binning": 2,
        "ROI": "odd",
        "BitDepth": "12",
        "PixelSizeUm": 0.0,
    }
    server.core.push()
    header = source.next_frame(0.0).header
    assert (header.exposure_ms, header.channel, header.binning) == (12.5, "GFP @488", 2)
    assert (header.roi, header.bit_depth, header.pixel_size_um) == (None, 12, 0.2)
    assert header.metadata["Cam@1.4 µ-Cooler"] == "True"
    assert "Objective-Label" not in header.metadata
    assert all(isinstance(value, str) for value in header.metadata.values())


def test_z_and_exposure_are_asked_for_once_a_second(server, follow, clock):
    source = follow()
    source.start()
    server.core.push()
    source.next_frame(0.0)
    asked = len(server.commands)
    server.core.z_um = 4.0
    for _ in range(5):
        server.core.push()
        assert source.next_frame(0.0).header.z_um == 1.5
    assert "getPosition" not in {name for _, name in server.commands[asked:]}
    clock.sleep(1.1)
    server.core.push()
    frame = source.next_frame(0.0)
    assert frame.header.z_um == 4.0
    server.core.z_um = None  # the drive is switched off
    clock.sleep(1.1)
    server.core.push()
    assert source.next_frame(0.0).header.z_um is None


def test_nothing_is_left_behind_in_micro_manager(server, follow):
    source = follow()
    source.start()
    before = len(server.known)
    for _ in range(20):
        server.core.push()
        source.next_frame(0.0)
        source.next_frame(0.0)
    assert len(server.known) == before
    source.stop()
    assert not server.known


def test_silence_is_explained_once(server, follow):
    server.core.exposure_ms = 200.0
    source = follow()
    source.start()
    server.core.push()
    source.next_frame(0.0)
    server.core.live = False
    for _ in range(60):
        assert source.next_frame(0.1) is None
    assert list(source.notices) == ["no image: Live is off in Micro-Manager; switch it on there"]
    server.core.live = True
    server.core.push()
    assert source.next_frame(0.0) is not None
    assert source.events[-1].startswith("images come again, after 6")
    for _ in range(60):
        assert source.next_frame(0.1) is None
    assert "it has had no new image" in source.notices[-1]


def test_micro_manager_ends_and_comes_back(clock):
    core = Core()
    from liverestore.camera.bridge import BridgeSource

    with JavaServer(core, studio=Studio()) as first:
        source = BridgeSource(bridge_rig(first.port), clock=clock)
        source.start()
        core.push()
        assert source.next_frame(0.0).header.number == 0
    port = first.port
    assert source.next_frame(0.1) is None
    assert "does not answer" in source.notices[0]
    for _ in range(200):
        assert source.next_frame(0.1) is None
    assert len(source.notices) == 1
    again = Core()
    with JavaServer(again, port=port, studio=Studio()):
        for _ in range(60):
            assert source.next_frame(0.1) is None
        assert source.notices[1].startswith(f"Micro-Manager is back on port {port}, after")
        again.push()
        frame = source.next_frame(0.0)
        assert (frame.header.number, source.unseen) == (1, 0)
        source.stop()


def test_micro_manager_started_again_between_two_looks(clock):
    """The socket finds the new one by itself; only the objects are unknown there."""
    from liverestore.camera.bridge import BridgeSource

    with JavaServer(studio=Studio()) as first:
        source = BridgeSource(bridge_rig(first.port), clock=clock)
        source.start()
    with JavaServer(port=first.port, studio=Studio()) as second:
        assert source.next_frame(0.0) is None
        assert "was started again" in source.notices[0]
        clock.sleep(1.0)
        assert source.next_frame(0.0) is None
        second.core.push()
        assert source.next_frame(0.0).header.number == 0
        source.stop()


def test_micro_manager_that_hangs_is_left_and_found_again(server, follow, clock, monkeypatch):
    monkeypatch.setattr(bridge_link, "_ANSWER_S", 0.2)
    source = follow()
    source.start()
    server.silent = True
    assert source.next_frame(0.0) is None
    assert "does not answer on port" in source.notices[0]
    server.silent = False
    for _ in range(40):
        source.next_frame(0.1)
    server.core.push()
    assert source.next_frame(0.0) is not None


def test_a_core_that_refuses_is_told_once(server, follow):
    source = follow()
    source.start()
    server.core.push()
    server.core.trouble = "java.lang.Exception: Camera not loaded.\n\tat mmcorej"
    for _ in range(3):
        assert source.next_frame(0.0) is None
    assert list(source.notices) == ["Micro-Manager gives no image: Camera not loaded."]


def test_without_micro_manager_the_remedy_is_named():
    with pytest.raises(UserError, match=r"no Micro-Manager to follow.*Tools > Options"):
        open_source(bridge_rig(free_port())).start()


def neighbours():
    """Two ports next to each other that nobody holds."""
    import socket

    while True:
        port = free_port()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port, port + 1


def test_a_server_that_was_left_behind_is_passed_by(clock, monkeypatch):
    from liverestore.camera.bridge import BridgeSource

    orphan_port, port = neighbours()
    monkeypatch.setattr(bridge_link, "PORTS_TRIED", 2)
    with JavaServer(port=orphan_port) as orphan, JavaServer(port=port, studio=Studio()):
        for camera, silent, word in (
            ("", False, "has no camera"),
            ("DCam", False, "has no window"),
            ("DCam", True, "does not answer as Micro-Manager does"),
        ):
            orphan.core.camera, orphan.silent = camera, silent
            source = BridgeSource(bridge_rig(orphan_port), clock=clock)
            assert source.start().name == "Cam@1.4 µ"
            (line,) = source.notices
            assert f"following Micro-Manager on port {port}" in line
            assert word in line
            source.stop()
        orphan.silent = False


def test_a_core_without_a_window_serves_where_there_is_no_other(clock):
    from liverestore.camera.bridge import BridgeSource

    with JavaServer() as headless:
        source = BridgeSource(bridge_rig(headless.port), clock=clock)
        source.start()
        headless.core.push()
        assert source.next_frame(0.0) is not None
        source.stop()


def test_nothing_drives_the_camera(server, follow):
    source = follow()
    source.start()
    for order in (
        lambda: source.configure(exposure_ms=5.0),
        lambda: source.configure(z_um=1.0),
        lambda: source.set_roi((0, 0, 8, 8)),
        lambda: source.set_roi(None),
        source.snap,
    ):
        with pytest.raises(UserError, match="Micro-Manager drives the camera"):
            order()
    source.configure()


def test_a_pause_ends_looking_and_says_that_the_light_goes_on(server, follow):
    source = follow()
    source.start()
    assert source.pause() == []
    server.core.push()
    source.next_frame(0.0)
    assert source.pause() == []
    assert "only its own Live button switches the light off" in source.notices[-1]
    asked = len(server.commands)
    server.core.push()
    server.core.push()
    assert len(server.commands) == asked
    frame = source.next_frame(0.0)
    assert (frame.header.number, source.unseen) == (2, 1)


def test_start_and_stop_in_their_order(server, follow):
    source = follow()
    with pytest.raises(Failure, match="start first"):
        source.next_frame(0.0)
    source.start()
    with pytest.raises(Failure, match="stop it first"):
        source.start()
    source.stop()
    with pytest.raises(Failure, match="start first"):
        source.next_frame(0.0)
    server.core.push()
    source.start()
    assert source.next_frame(0.0).header.number == 0


def test_a_rig_that_follows_has_no_camera_to_drive():
    with pytest.raises(UserError, match="never drives its camera"):
        open_core_source(load_rig("bridge"))


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("[camera]\nexposure_ms = 5.0", "camera.exposure_ms: has no meaning"),
        ("[illumination]\nshutter = 'LED'", "illumination.shutter: has no meaning"),
        ("[[channels]]\nname = 'GFP'", "channels: have no meaning"),
        ("[calibration]\nlongest_exposure_ms = 3.0", "calibration: has no meaning"),
        ("[specimen]", "specimen: is only for"),
    ],
)
def test_what_only_a_driven_camera_has_is_refused(tmp_path, lines, match):
    file = tmp_path / "followed.toml"
    file.write_text(f"name = 'x'\n[source]\nkind = 'bridge'\n{lines}\n", encoding="utf-8")
    with pytest.raises(UserError, match=match):
        load_rig(file)
    file.write_text("name = 'x'\n[source]\nkind = 'bridge'\npath = 'a.tif'\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"source\.path: has no meaning"):
        load_rig(file)


def test_a_colour_camera_after_a_restart_is_told_once_and_grey_is_followed_again(clock):
    from liverestore.camera.bridge import BridgeSource

    with JavaServer(studio=Studio()) as first:
        source = BridgeSource(bridge_rig(first.port), clock=clock)
        source.start()
    with JavaServer(port=first.port, studio=Studio()) as second:
        second.core.components = 4
        for _ in range(120):
            assert source.next_frame(0.1) is None
        assert [line for line in source.notices if "components" in line] == [source.notices[-1]]
        second.core.components = 1
        for _ in range(60):
            assert source.next_frame(0.1) is None
        second.core.push()
        assert source.next_frame(0.0) is not None
        source.stop()


@pytest.mark.parametrize(
    "command",
    [
        ("calibrate", "--rig", "bridge"),
        ("exposure", "--rig", "bridge", "--yes"),
        ("acquire", "--rig", "bridge", "--engine", "denoise-live", "--save", "out"),
    ],
)
def test_commands_that_drive_a_camera_refuse_a_rig_that_follows(command, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from liverestore.cli.commands import app

    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, list(command))
    assert "never drives its camera" in str(done.exception), (done.exception, done.output)


def test_silence_is_left_to_the_source_and_the_patience_speaks_of_micro_manager(server, follow):
    from liverestore.service.camera_watch import CameraWatch

    lines = []
    watch = CameraWatch(lines.append, follow(), patience_s=30.0)
    for now_s in (100.0, 110.0, 129.0):
        watch.heard(None, now_s)
    assert lines == []
    with pytest.raises(Failure, match="no frame from Micro-Manager for 31 s; see that it runs"):
        watch.heard(None, 131.0)
