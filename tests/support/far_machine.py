"""An engine's machine, a microscope's machine and a bad network between them, in one process."""

import queue
import socket
import threading
import time

import numpy as np

from liverestore.errors import LiverestoreError
from liverestore.frame import Frame, FrameHeader
from liverestore.rig import CameraConfig, RigConfig, SourceConfig
from liverestore.service.engine_server import EngineServer
from liverestore.service.far_engine import FarEngine
from liverestore.service.plan import FarMachine, RunEndpoints, RunPlan
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.engine_desk import EngineDesk, EngineLine
from liverestore.transport.inlet import Inlet
from liverestore.transport.machine_keys import KeyFolder
from liverestore.transport.outlet import Outlet

RIG = RigConfig(
    name="far",
    source=SourceConfig(kind="simulated"),
    camera=CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=1.4),
)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def frame(number, size=24, channel=None):
    header = FrameHeader(
        run_id="r",
        number=number,
        shape=(size, size),
        dtype="uint16",
        captured_ns=time.perf_counter_ns(),
        captured_utc="",
        camera="c",
        channel=channel,
    )
    return Frame(np.full((size, size), 100 + number, np.uint16), header)


class Server:
    """`liverestore engine serve` in a thread."""

    def __init__(self, keys, port=None, runs=4):
        self.port = port or free_port()
        self.lines = []
        self._stop = threading.Event()
        self.desk = EngineDesk(
            f"tcp://127.0.0.1:{self.port}",
            keys.own(),
            lambda key: key in {known.z85 for known in keys.authorised().values()},
        )
        names = {known.z85.decode(): name for name, known in keys.authorised().items()}
        server = EngineServer(
            self.desk, threads=1, runs=runs, tell=self.lines.append, who=names.get, stop=self._stop
        )
        self._thread = threading.Thread(target=server.run)
        self._thread.start()

    def count_of_ends(self, timeout_s=10.0):
        """How many runs have ended, the first one waited for."""
        deadline = time.monotonic() + timeout_s
        while True:
            ends = sum("has ended" in line for line in self.lines)
            if ends or time.monotonic() > deadline:
                return ends
            time.sleep(0.01)

    def close(self):
        self._stop.set()
        self._thread.join()
        self.desk.close()


class Microscope:
    """Capture's outlet, the hand-over to the far engine in a thread, and a view."""

    def __init__(self, keys, server_key, port, *, files=None, **plan):
        self._files = files
        self._endpoints = PrivateEndpoints()
        ends = [self._endpoints(name) for name in ("control", "raw", "restored")]
        plan = {"engine": "null", "rig": RIG, **plan}
        far = FarMachine(f"tcp://127.0.0.1:{port}", server_key)
        self.plan = RunPlan(endpoints=RunEndpoints(*ends), engine_server=far, **plan)
        self.raw = Outlet(ends[1], roles=("engine",))
        self._restored = Outlet(ends[2], roles=("view",))
        self.view = Inlet(ends[2].for_client(), "view")
        self.words, self.error = [], None
        self._orders = queue.SimpleQueue()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ends[1], keys.own()))
        self._thread.start()

    def _serve(self, raw, own):
        line = EngineLine(self.plan.engine_server.address, own, self.plan.engine_server.key)
        inlet = Inlet(raw.for_client(), "engine", beside=(line,))
        far = FarEngine(
            inlet, self._restored, line, self.plan, tell=self.words.append, files=self._files
        )
        try:
            while not self._over.is_set() and far.step(0.02):
                while not self._orders.empty():
                    far.order(self._orders.get())
        except LiverestoreError as error:
            self.error = error
        far.finish()
        inlet.close()
        line.close()

    def order(self, word):
        self._orders.put(word)

    def shoot(self, until, timeout_s=40.0, first=0, size=24):
        """Offer a frame every few ms until `until(result)`; (that result, frames offered)."""
        deadline = time.monotonic() + timeout_s
        number = first
        while time.monotonic() < deadline and self.error is None:
            self.raw.offer(frame(number, size))
            number += 1
            made = self.view.receive(0.01)
            if made is not None and until(made):
                return made, number
        raise AssertionError(f"waited in vain; {self.error}; {self.words[-5:]}")

    def said(self, kind, timeout_s=20.0, where=lambda _word: True):
        """The last word of `kind` that fits, waited for."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for word in reversed(self.words):
                if isinstance(word, kind) and where(word):
                    return word
            time.sleep(0.01)
        raise AssertionError(f"never said: {kind}; {self.words[-5:]}, {self.error}")

    def joined(self, timeout_s=20.0):
        self._thread.join(timeout_s)
        assert not self._thread.is_alive()

    def counts(self):
        return self.raw.counts("engine")

    def close(self):
        self._over.set()
        self._thread.join()
        self.view.close()
        self.raw.finish("over", timeout_s=0)
        self.raw.close()
        self._restored.close()
        self._endpoints.close()


class BadNetwork:
    """A relay for TCP: each byte takes `delay_s`, and now and then a stretch of them longer.

    A packet that is lost is, for who uses TCP, a pause until it was sent again.
    """

    def __init__(self, port, delay_s=0.0, stall_s=0.0, stall_every=40):
        self._target, self._delay_s = port, delay_s
        self._stall_s, self._every = stall_s, stall_every
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open = []
        self._closed = False
        self.refusing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._closed:
            try:
                near, _ = self._listener.accept()
                if self.refusing:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [near, far]
            for pair in ((near, far), (far, near)):
                way = queue.SimpleQueue()
                threading.Thread(target=self._read, args=(pair[0], way), daemon=True).start()
                threading.Thread(target=self._write, args=(pair[1], way), daemon=True).start()

    def _read(self, source, way):
        data = b"x"
        while data:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            way.put((time.monotonic() + self._delay_s, data))

    def _write(self, target, way):
        count = 0
        while True:
            due, data = way.get()
            count += 1
            if count % self._every == 0:
                due += self._stall_s
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                target.sendall(data) if data else target.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
            if not data:
                return

    def cut(self):
        """Every connection ends; new ones are refused until `refusing` is False."""
        self.refusing = True
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self):
        self._closed = True
        self.cut()
        for end in [self._listener, *self._open]:
            end.close()


def machines(folder):
    """(keys of the microscope's machine, keys of the engine's), each knowing the other."""
    scope, gpu = KeyFolder(folder / "scope"), KeyFolder(folder / "gpu")
    gpu.authorise(str(scope.own_or_new("scope").public))
    gpu.own_or_new("gpu")
    return scope, gpu
