"""The language of the Java bridge, against a server that the original client understands too."""

import json
import subprocess
import sys

import numpy as np
import pytest
from java_server import JavaServer, Studio, TaggedImage

from liverestore.camera.bridge_wire import BridgeGone, BridgeWire, JavaRefusal


@pytest.fixture
def server():
    with JavaServer(studio=Studio()) as running:
        yield running


@pytest.fixture
def wire(server):
    talking = BridgeWire(server.port, 2.0)
    yield talking
    talking.close()


ORIGINAL = """
import json, os, sys
import numpy as np
from pycromanager import Core, Studio

port = int(sys.argv[1])
core = Core(port=port)
image = core.get_last_tagged_image()
tags = image.tags
studio = Studio(port=port)
data = studio.data()
place = data.coords_builder().t(0).z(0).c(0).p(0).build()
metadata = data.metadata_builder().build()
made = data.create_image(np.arange(12, dtype=np.int16), 4, 3, 2, 1, place, metadata)
store = data.create_rewritable_ram_datastore()
store.put_image(made)
told = {
    "camera": core.get_camera_device(),
    "exposure": core.get_exposure(),
    "property": core.get_property("Objective", "Label"),
    "tags": tags,
    "sum": int(image.pix.astype(np.int64).sum()),
    "shape": [tags["Height"], tags["Width"], image.pix.size],
    "closed": studio.displays().create_display(store).is_closed(),
}
print(json.dumps(told), flush=True)
os._exit(0)  # its threads would keep it
"""


def test_the_server_is_one_that_pycromanager_itself_understands(server):
    """So that what is tested here against the server holds for the language it speaks."""
    pixels = server.core.push()
    done = subprocess.run(
        [sys.executable, "-c", ORIGINAL, str(server.port)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = json.loads(done.stdout)
    assert told["camera"] == "Cam@1.4 µ"
    assert (told["exposure"], told["property"]) == (10.0, "Objective/Label@1.4")
    assert told["tags"]["Objective-Label"] == "60x@1.4"
    assert (told["sum"], told["shape"]) == (int(pixels.sum()), [48, 64, 48 * 64])
    assert told["closed"] is False
    (display,) = server.studio.displays().made
    assert display.store.images[0].pixels.tolist() == np.arange(12).reshape(3, 4).tolist()


def test_values_of_every_kind_come_over(server, wire):
    assert wire.greet(1.0) == "5.1.0"
    core = wire.instance("mmcorej.CMMCore")
    assert wire.call(core, "getCameraDevice") == "Cam@1.4 µ"
    assert wire.call(core, "getExposure") == 10.0
    assert wire.call(core, "getPosition", "Z") == 1.5
    assert wire.call(core, "isSequenceRunning") is True
    assert wire.call(core, "getProperty", "a@1", "b") == "a@1/b@1.4"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float32"])
def test_arrays_of_every_kind_come_over(server, wire, dtype):
    pixels = np.arange(300, 324).astype(dtype)
    server.core.last = TaggedImage(pixels, {"note": "@1f 60x@1.4", "n": 3})
    core = wire.instance("mmcorej.CMMCore")
    image = wire.call(core, "getLastTaggedImage")
    assert wire.field(image, "tags") == {"note": "@1f 60x@1.4", "n": 3}
    got = wire.field(image, "pix")
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, pixels)
    assert not got.flags.writeable


def test_what_is_given_back_is_forgotten_there(server, wire):
    server.core.push()
    core = wire.instance("mmcorej.CMMCore")
    image = wire.call(core, "getLastTaggedImage")
    assert len(server.known) == 2
    wire.forget(image)
    assert len(server.known) == 1


def test_what_java_throws_is_told_in_one_line(server, wire):
    core = wire.instance("mmcorej.CMMCore")
    with pytest.raises(JavaRefusal, match=r"^Circular buffer is empty\.$"):
        wire.call(core, "getLastTaggedImage")
    with pytest.raises(JavaRefusal, match=r"mmcorej.CMMCore has no setExposure\(str\)"):
        wire.call(core, "setExposure", "fast")
    with pytest.raises(JavaRefusal, match="NoSuchMethod"):
        wire.instance("org.example.Nothing")
    assert wire.call(core, "getCameraDevice") == "Cam@1.4 µ"


def test_a_server_that_hangs_costs_its_time_limit_and_no_more(server):
    wire = BridgeWire(server.port, 0.2)
    core = wire.instance("mmcorej.CMMCore")
    server.silent = True
    with pytest.raises(BridgeGone, match=r"does not answer on port \d+ within 0.2 s"):
        wire.call(core, "getExposure")
    with pytest.raises(BridgeGone):
        wire.call(core, "getExposure")
    wire.close()
    wire.close()
    server.silent = False


def test_objects_of_a_micro_manager_that_was_started_again_are_known_for_what_they_are():
    with JavaServer() as before:
        wire = BridgeWire(before.port, 2.0)
        core = wire.instance("mmcorej.CMMCore")
    with JavaServer(port=before.port), pytest.raises(BridgeGone, match="started again"):
        wire.call(core, "getExposure")
    wire.close()


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        ([b"hello"], BridgeGone, "no JSON"),
        ([b"[1, 2]"], BridgeGone, "no JSON"),
        ([b'{"type": "short-array", "value": "@1"}'], JavaRefusal, "damaged array"),
        ([b'{"type": "short-array", "value": "@1"}', b"abcd", b"odd"], JavaRefusal, "damaged"),
        ([b'{"type": "riddle"}'], JavaRefusal, "unknown kind 'riddle'"),
        ([b"{}"], JavaRefusal, "unknown kind None"),
        ([b'{"type": "unserialized-object", "class": "X"}'], JavaRefusal, "unknown way"),
        ([b'{"type": "object", "class": "JSONObject", "value": "{"}'], JavaRefusal, "no JSON"),
        ([b'{"type": "list", "value": null}'], JavaRefusal, "damaged list"),
        ([b'{"type": "list", "value": [1]}'], JavaRefusal, "damaged list"),
        ([b'{"type": [], "value": [1]}'], JavaRefusal, "unknown kind"),
        ([b'{"value": ' + b"[" * 100_000], BridgeGone, "no JSON"),
        (
            [b'{"type": "object", "class": "JSONObject", "value": "' + b"[" * 100_000 + b'"}'],
            JavaRefusal,
            "no JSON",
        ),
    ],
)
def test_an_answer_that_is_no_answer_is_refused(server, wire, answer, error, match):
    core = wire.instance("mmcorej.CMMCore")
    server.raw_answer = answer
    with pytest.raises(error, match=match):
        wire.call(core, "getExposure")
