"""A server that speaks the wire protocol of Micro-Manager's Java bridge, with a camera in it.

Written after the client's source (pyjavaz 1.2.8), which tests hold against it. A request is
one JSON text of a command; an object that is not text, number or array is answered as a
description, which the server remembers until its destructor is called.
"""

import itertools
import json
import socket
import threading
import time
from datetime import datetime, timedelta

import numpy as np
import zmq

VERSION = "5.1.0"
_KINDS = {"uint8": "byte-array", "uint16": "short-array", "uint32": "int-array",
          "float32": "float-array"}  # fmt: skip
_SENT = {"byte[]": np.uint8, "short[]": np.int16, "char[]": np.uint16, "float[]": np.float32}


class JavaError(Exception):
    """What a Java method throws."""


class Java:
    """An object of the server: `CALLS` are its methods with their overloads, `FIELDS` are public.

    A method `getX` of two overloads has two entries; Python's method has the same name.
    """

    CLASS = "java.lang.Object"
    INTERFACES = ()
    CALLS = ()
    FIELDS = ()


class TaggedImage(Java):
    CLASS = "mmcorej.TaggedImage"
    FIELDS = ("pix", "tags")

    def __init__(self, pix, tags):
        self.pix, self.tags = pix, tags


class Core(Java):
    """A core with a camera whose images the test pushes into its ring."""

    CLASS = "mmcorej.CMMCore"
    CALLS = (
        ("getCameraDevice", (), "java.lang.String"),
        ("getFocusDevice", (), "java.lang.String"),
        ("getPosition", (), "double"),
        ("getPosition", ("java.lang.String",), "double"),
        ("getExposure", (), "double"),
        ("getExposure", ("java.lang.String",), "double"),
        ("getBytesPerPixel", (), "long"),
        ("getNumberOfComponents", (), "long"),
        ("getImageWidth", (), "long"),
        ("getImageHeight", (), "long"),
        ("getPixelSizeUm", (), "double"),
        ("getProperty", ("java.lang.String", "java.lang.String"), "java.lang.String"),
        ("getRemainingImageCount", (), "int"),
        ("isSequenceRunning", (), "boolean"),
        ("isSequenceRunning", ("java.lang.String",), "boolean"),
        ("getLastTaggedImage", (), "mmcorej.TaggedImage"),
        ("getLastTaggedImage", ("int",), "mmcorej.TaggedImage"),
        ("popNextTaggedImage", (), "mmcorej.TaggedImage"),
        ("setExposure", ("double",), "void"),
        ("snapImage", (), "void"),
    )

    def __init__(self, shape=(48, 64), dtype="uint16"):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.camera, self.focus = "Cam@1.4 µ", "Z"
        self.exposure_ms, self.z_um, self.pixel_um = 10.0, 1.5, 0.108
        self.components = 1
        self.live = True
        self.extra = {}
        """Tags that go with every image."""
        self.last = None
        self.number = self.waiting = 0
        self.rng = np.random.default_rng(3)
        self.trouble = None

    def push(self, pixels=None, **tags):
        """The camera has a new image; the number is Micro-Manager's own."""
        if pixels is None:
            pixels = self.rng.integers(90, 400, self.shape).astype(self.dtype)
        shape = pixels.shape
        received = datetime.now() - timedelta(seconds=tags.pop("ago_s", 0.0))
        known = {
            "Camera": self.camera,
            "ImageNumber": str(self.number),
            "TimeReceivedByCore": received.isoformat(sep=" ", timespec="microseconds"),
            "ElapsedTime-ms": f"{self.number * self.exposure_ms:.2f}",
            "Width": shape[1],
            "Height": shape[0],
            "PixelType": {1: "GRAY8", 2: "GRAY16", 4: "GRAY32"}[pixels.dtype.itemsize],
            "BitDepth": 16,
            "Binning": "1x1",
            "ROI": f"8-4-{shape[1]}-{shape[0]}",
            "PixelSizeUm": self.pixel_um,
            "Channel": "Default",
            "Core-Camera": self.camera,
            f"{self.camera}-Gain": "3",
            "Objective-Label": "60x@1.4",
        }
        self.number += 1
        self.waiting += 1
        self.last = TaggedImage(pixels.ravel(), {**known, **self.extra, **tags})
        return pixels

    def new_sequence(self):
        self.number = 0

    def getCameraDevice(self):  # noqa: N802
        return self.camera

    def getFocusDevice(self):  # noqa: N802
        return self.focus

    def getPosition(self, _label=None):  # noqa: N802
        if self.z_um is None:
            raise JavaError('java.lang.Exception: Error in device "Z": no answer\n\tat mmcorej')
        return self.z_um

    def getExposure(self, _label=None):  # noqa: N802
        return self.exposure_ms

    def getBytesPerPixel(self):  # noqa: N802
        return self.dtype.itemsize

    def getNumberOfComponents(self):  # noqa: N802
        return self.components

    def getImageWidth(self):  # noqa: N802
        return self.shape[1]

    def getImageHeight(self):  # noqa: N802
        return self.shape[0]

    def getPixelSizeUm(self):  # noqa: N802
        return self.pixel_um

    def getProperty(self, label, name):  # noqa: N802
        return f"{label}/{name}@1.4"

    def isSequenceRunning(self, _label=None):  # noqa: N802
        return self.live

    def getRemainingImageCount(self):  # noqa: N802
        return self.waiting

    def getLastTaggedImage(self, _channel=0):  # noqa: N802
        if self.trouble is not None:
            raise JavaError(self.trouble)
        if self.last is None:
            raise JavaError("java.lang.Exception: Circular buffer is empty.\n\tat mmcorej.CMMCore")
        return self.last


class Recorded(Java):
    """One of the objects that show an image; it keeps what it was given."""

    def __init__(self, **values):
        self.__dict__.update(values)


class _Image(Recorded):
    CLASS = "org.micromanager.data.internal.DefaultImage"
    INTERFACES = ("org.micromanager.data.Image",)


class _Coords(Recorded):
    CLASS = "org.micromanager.data.internal.DefaultCoords"
    INTERFACES = ("org.micromanager.data.Coords",)


class _CoordsBuilder(Java):
    CLASS = "org.micromanager.data.internal.DefaultCoords$Builder"
    CALLS = (
        *((axis, ("int",), "org.micromanager.data.Coords$Builder") for axis in "tzcp"),
        ("build", (), "org.micromanager.data.Coords"),
    )

    def __init__(self):
        self.axes = {}

    def t(self, index):
        self.axes["t"] = index
        return self

    def z(self, index):
        self.axes["z"] = index
        return self

    def c(self, index):
        self.axes["c"] = index
        return self

    def p(self, index):
        self.axes["p"] = index
        return self

    def build(self):
        return _Coords(axes=dict(self.axes))


class _Metadata(Java):
    CLASS = "org.micromanager.data.internal.DefaultMetadata"
    INTERFACES = ("org.micromanager.data.Metadata",)


class _MetadataBuilder(Java):
    CLASS = "org.micromanager.data.internal.DefaultMetadata$Builder"
    CALLS = (("build", (), "org.micromanager.data.Metadata"),)

    def build(self):
        return _Metadata()


class _Datastore(Java):
    CLASS = "org.micromanager.data.internal.DefaultRewritableDatastore"
    INTERFACES = ("org.micromanager.data.DataProvider", "org.micromanager.data.Datastore")
    CALLS = (
        ("putImage", ("org.micromanager.data.Image",), "void"),
        ("setName", ("java.lang.String",), "void"),
    )

    def __init__(self):
        self.name, self.images = "", []

    def putImage(self, image):  # noqa: N802
        if self.images and (image.height, image.width) != self.size:
            raise JavaError("java.lang.IllegalArgumentException: image size differs\n\tat x")
        self.size = image.height, image.width
        self.images.append(image)

    def setName(self, name):  # noqa: N802
        self.name = name


class _Display(Java):
    CLASS = "org.micromanager.display.internal.displaywindow.DisplayController"
    INTERFACES = ("org.micromanager.display.DisplayWindow",)
    CALLS = (("isClosed", (), "boolean"), ("close", (), "void"))

    def __init__(self, store):
        self.store, self.closed = store, False

    def isClosed(self):  # noqa: N802
        return self.closed

    def close(self):
        self.closed = True


class _Data(Java):
    CLASS = "org.micromanager.data.internal.DefaultDataManager"
    INTERFACES = ("org.micromanager.data.DataManager",)
    CALLS = (
        ("createRewritableRAMDatastore", (), "org.micromanager.data.RewritableDatastore"),
        ("coordsBuilder", (), "org.micromanager.data.Coords$Builder"),
        ("metadataBuilder", (), "org.micromanager.data.Metadata$Builder"),
        ("createImage",
         ("java.lang.Object", "int", "int", "int", "int",
          "org.micromanager.data.Coords", "org.micromanager.data.Metadata"),
         "org.micromanager.data.Image"),
    )  # fmt: skip

    def createRewritableRAMDatastore(self):  # noqa: N802
        return _Datastore()

    def coordsBuilder(self):  # noqa: N802
        return _CoordsBuilder()

    def metadataBuilder(self):  # noqa: N802
        return _MetadataBuilder()

    def createImage(self, pixels, width, height, depth, components, coords, metadata):  # noqa: N802
        if not isinstance(pixels, np.ndarray) or pixels.dtype not in (np.uint8, np.int16):
            raise JavaError("java.lang.IllegalArgumentException: Pixel type is not supported\n\tat")
        assert isinstance(metadata, _Metadata)
        assert (pixels.size, pixels.itemsize, components) == (width * height, depth, 1)
        shown = pixels.view(np.uint16 if depth == 2 else np.uint8).reshape(height, width)
        return _Image(pixels=shown, width=width, height=height, coords=coords)


class _Displays(Java):
    CLASS = "org.micromanager.display.internal.DefaultDisplayManager"
    INTERFACES = ("org.micromanager.display.DisplayManager",)
    CALLS = (
        ("createDisplay", ("org.micromanager.data.DataProvider",),
         "org.micromanager.display.DisplayWindow"),
    )  # fmt: skip

    def __init__(self):
        self.made = []

    def createDisplay(self, store):  # noqa: N802
        self.made.append(_Display(store))
        return self.made[-1]


class Studio(Java):
    CLASS = "org.micromanager.internal.MMStudio"
    INTERFACES = ("org.micromanager.Studio",)
    CALLS = (
        ("data", (), "org.micromanager.data.DataManager"),
        ("displays", (), "org.micromanager.display.DisplayManager"),
    )

    def __init__(self):
        self._data, self._displays = _Data(), _Displays()

    def data(self):
        return self._data

    def displays(self):
        return self._displays


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class JavaServer:
    """Serves `core` (and `studio`; None: a core without a window) at `port` until `stop`.

    `silent` keeps it from answering, as a Micro-Manager that hangs. `known` are the objects
    that a client has not given back.
    """

    def __init__(self, core=None, *, port=None, studio=None, version=VERSION):
        self.core, self.studio, self.version = core or Core(), studio, version
        self.port = port or free_port()
        self.known = {}
        self.commands = []
        self.silent = False
        self.raw_answer = None
        """Message parts that are sent whatever is asked."""
        self._names = itertools.count(1)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.linger = 0
        deadline = time.monotonic() + 5
        while True:
            try:
                self._socket.bind(f"tcp://127.0.0.1:{self.port}")
                break
            except zmq.ZMQError:
                # The port of one that was stopped a moment ago.
                assert time.monotonic() < deadline
                time.sleep(0.01)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="java server")
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """End as a process that is killed: nothing is said to the clients."""
        self._stop.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _serve(self):
        while not self._stop.is_set():
            if not self._socket.poll(5):
                continue
            text, *parts = self._socket.recv_multipart()
            while self.silent and not self._stop.is_set():
                time.sleep(0.005)
            binary = []
            try:
                request = self._received(json.loads(text), parts)
                reply = self._obey(request, binary)
            except JavaError as error:
                reply = {"type": "exception", "value": str(error)}
            if self.raw_answer is not None:
                self._socket.send_multipart(self.raw_answer)
            elif not self._stop.is_set():
                # As the original: Latin-1, whatever a label holds.
                written = json.dumps(reply, ensure_ascii=False).encode("iso-8859-1", "replace")
                self._socket.send_multipart([written, *binary])

    def _received(self, request, parts):
        """Put arrays back where their marks stand among the arguments."""
        found = {int.from_bytes(parts[i], "little", signed=True): parts[i + 1]
                 for i in range(0, len(parts), 2)}  # fmt: skip
        for i, argument in enumerate(request.get("arguments", ())):
            if found and isinstance(argument, str) and argument.startswith("@"):
                data = found[int(argument[1:].split("_")[0])]
                kind = request["argument-deserialization-types"][i]
                request["arguments"][i] = np.frombuffer(data, _SENT[kind])
        return request

    def _obey(self, request, binary):
        command = request["command"]
        self.commands.append((command, request.get("name", request.get("classpath"))))
        if command == "connect":
            return {"type": "none", "version": self.version}
        if command == "get-constructors":
            path = request["classpath"]
            return {"type": "none", "api": [{"name": path, "arguments": []}]}
        if command == "constructor":
            made = {"mmcorej.CMMCore": self.core, "org.micromanager.Studio": self.studio}
            thing = made.get(request["classpath"])
            if thing is None:
                raise JavaError("java.lang.RuntimeException: java.lang.NoSuchMethodException\n\tat")
            return self._described(thing)
        if command == "destructor":
            self.known.pop(request["hash-code"], None)
            return {"type": "none"}
        target = self.known.get(request["hash-code"])
        if target is None:
            raise JavaError("java.lang.NullPointerException\n\tat org.micromanager.pyjavaz")
        if command == "get-field":
            return self._answered(getattr(target, request["name"]), binary)
        assert command == "run-method", command
        arguments = [
            self.known[given["hash-code"]] if isinstance(given, dict) else given
            for given in request["arguments"]
        ]
        overloads = [types for name, types, _ in target.CALLS if name == request["name"]]
        if tuple(request["argument-types"]) not in overloads:
            raise JavaError("java.lang.RuntimeException: No Matching method found\n\tat org")
        method = getattr(target, request["name"], None)
        assert method is not None, f"{request['name']} must never be called"
        return self._answered(method(*arguments), binary)

    def _described(self, thing):
        name = f"{id(thing):x}-{next(self._names)}"
        self.known[name] = thing
        return {
            "type": "unserialized-object",
            "class": thing.CLASS,
            "hash-code": name,
            "port": self.port,
            "interfaces": [thing.CLASS, *thing.INTERFACES],
            "fields": list(thing.FIELDS),
            "api": [
                {"name": name, "arguments": list(types), "return-type": returned}
                for name, types, returned in thing.CALLS
            ],
        }

    def _answered(self, value, binary):
        if value is None:
            return {"type": "null"}
        if isinstance(value, bool | int | float):
            return {"type": "primitive", "value": value}
        if isinstance(value, str):
            return {"type": "string", "value": value}
        if isinstance(value, dict):
            return {"type": "object", "class": "JSONObject", "value": json.dumps(value)}
        if isinstance(value, np.ndarray):
            identifier = next(self._names)
            binary += [identifier.to_bytes(4, "little"), value.tobytes()]
            return {"type": _KINDS[value.dtype.name], "value": f"@{identifier:x}"}
        return self._described(value)
