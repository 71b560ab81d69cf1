"""Results in a window of Micro-Manager itself."""

import time

import numpy as np
import pytest
from java_server import JavaServer, Studio
from kept_results import FrameMaker

from liverestore.camera.bridge_window import MicroManagerWindow
from liverestore.camera.bridge_wire import BridgeGone
from liverestore.errors import UserError
from liverestore.frame import Frame, Provenance, Restored
from liverestore.service.show_back import ShowBack
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet


@pytest.fixture
def server():
    with JavaServer(studio=Studio()) as running:
        yield running


@pytest.fixture
def window(server):
    made = MicroManagerWindow(server.port)
    yield made
    made.close()


def shown(server):
    return server.studio.displays().made


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_an_image_takes_the_place_of_the_one_before(server, window, dtype):
    high = np.iinfo(dtype).max
    for value in (3, high):
        pixels = np.full((6, 8), value, dtype)
        pixels[0, 1] = 1
        assert window.show(pixels)
    (display,) = shown(server)
    first, second = display.store.images
    assert first.coords.axes == second.coords.axes == {"t": 0, "z": 0, "c": 0, "p": 0}
    np.testing.assert_array_equal(second.pixels, pixels)
    assert display.store.name == "Restored (liverestore)"


def test_each_channel_has_its_place(server, window):
    for channel in ("DAPI", "GFP", "DAPI"):
        window.show(np.ones((6, 8), np.uint16), channel)
    (display,) = shown(server)
    assert [image.coords.axes["c"] for image in display.store.images] == [0, 1, 0]


def test_another_size_or_depth_opens_another_window(server, window):
    for pixels in (np.ones((6, 8), np.uint16), np.ones((4, 8), np.uint16), np.ones((4, 8), "u1")):
        window.show(pixels)
    assert [len(display.store.images) for display in shown(server)] == [1, 1, 1]
    assert [display.closed for display in shown(server)] == [True, True, False]


def test_nothing_gathers_in_micro_manager(server, window):
    window.show(np.ones((6, 8), np.uint16))
    before = len(server.known)
    for _ in range(10):
        window.show(np.ones((6, 8), np.uint16))
    assert len(server.known) == before


def test_a_window_that_was_closed_stays_closed(server, window):
    window.show(np.ones((6, 8), np.uint16))
    shown(server)[0].closed = True
    assert not window.show(np.ones((6, 8), np.uint16))
    assert len(shown(server)) == 1


def test_pixels_that_no_window_shows_are_refused(window):
    with pytest.raises(UserError, match="got float32 pixels"):
        window.show(np.ones((6, 8), np.float32))


def test_a_core_without_windows_is_refused():
    with JavaServer() as headless, pytest.raises(UserError, match="has no windows"):
        MicroManagerWindow(headless.port)


def test_micro_manager_that_ends_is_told(server, window):
    window.show(np.ones((6, 8), np.uint16))
    server.stop()
    with pytest.raises(BridgeGone):
        window.show(np.ones((6, 8), np.uint16))


def result(frames, value):
    like = frames(value)
    frame = Frame(np.full(like.header.shape, value, np.uint16), like.header)
    made = Provenance(
        engine="mean5", version="1", sha256="", runtime="numpy", parameters={},
        started_ns=0, finished_ns=1,
    )  # fmt: skip
    return Restored(frame.pixels.copy(), frame, made)


def until(true, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_newest_result_is_shown_until_the_window_is_closed(server):
    frames, lines = FrameMaker(), []
    with PrivateEndpoints() as endpoint:
        restored = endpoint("restored")
        outlet = Outlet(restored)
        back = ShowBack(restored.for_client(), server.port, lines.append)
        try:
            value = 0

            def offered(count):
                nonlocal value
                value += 1
                outlet.offer(result(frames, value))
                return shown(server) and len(shown(server)[0].store.images) >= count

            until(lambda: offered(3))
            values = [int(image.pixels[0, 0]) for image in shown(server)[0].store.images]
            assert values == sorted(set(values))
            shown(server)[0].closed = True
            until(lambda: offered(0) and lines)
            assert lines == ["the window in Micro-Manager was closed: results are shown here only"]
        finally:
            back.close()
            outlet.close()


def test_without_micro_manager_it_is_told_once_and_tried_again():
    lines = []
    with JavaServer() as ended:
        port = ended.port
    with PrivateEndpoints() as endpoint:
        restored = endpoint("restored")
        outlet = Outlet(restored)
        back = ShowBack(restored.for_client(), port, lines.append)
        try:
            until(lambda: lines)
            frames = FrameMaker()
            with JavaServer(port=port, studio=Studio()) as server:

                def arrived():
                    outlet.offer(result(frames, 5))
                    return bool(shown(server))

                until(arrived)
            assert len(lines) == 1
            assert "results are not shown in Micro-Manager: no Micro-Manager" in lines[0]
        finally:
            back.close()
            outlet.close()
