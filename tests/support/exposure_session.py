"""A running live session that can be asked for the exposure, through a real core."""

import threading
import time
from contextlib import contextmanager

import msgspec

from liverestore.camera.open import open_source
from liverestore.dose_meter import DoseMeter
from liverestore.rig import load_rig
from liverestore.service import capture
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.exposure_measure import ExposureMeasure
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.status import MeasureExposure
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.outlet import Outlet
from liverestore.writer.names import free_pair

NOW_MS = 8.0


def cells(**light):
    rig = load_rig("demo")
    specimen = msgspec.structs.replace(
        rig.specimen, shape=(128, 128), peak_photons_per_ms=12.0, speed_um_s=0.0
    )
    return msgspec.structs.replace(
        rig,
        camera=msgspec.structs.replace(rig.camera, exposure_ms=NOW_MS),
        specimen=specimen,
        source=msgspec.structs.replace(rig.source, buffer_size_mb=16),
        illumination=msgspec.structs.replace(rig.illumination, **light),
    )


def two_channels():
    rig = load_rig("demo_two_channels")
    exposures = {"DAPI": 6.0, "GFP": NOW_MS}
    channels = tuple(
        msgspec.structs.replace(one, exposure_ms=exposures[one.name]) for one in rig.channels
    )
    specimen = msgspec.structs.replace(
        rig.specimen, shape=(128, 128), peak_photons_per_ms=12.0, speed_um_s=0.0
    )
    return msgspec.structs.replace(rig, channels=channels, specimen=specimen)


class Session:
    """Camera thread, account and search, as the capture process has them."""

    def __init__(self, rig, folder, endpoint, *, budget=None, open_engine=None, hold=None):
        self.meter = DoseMeter(budget)
        light = LightKeeper(self.meter, rig)
        self.outlet = Outlet(endpoint, roles=("engine",))
        self.offered = []
        offer = self.outlet.offer

        def offering(frame, **how):
            self.offered.append(frame.header.exposure_ms)
            offer(frame, **how)

        self.outlet.offer = offering
        self.source = open_source(rig)
        recorder = Recorder(lambda: free_pair(folder, "ome-tiff"))
        self.loop = CaptureLoop(self.source, self.outlet, recorder=recorder, light=light, hold=hold)
        self.measure = ExposureMeasure(rig, light, threads=1, open_engine=open_engine)
        self.stopping, self.sent = threading.Event(), []
        self.loop.prepare()
        self.thread = threading.Thread(target=self.loop.run, name="camera")
        self.thread.start()
        self.until(lambda counts, _: counts.captured >= 3)

    def report(self):
        counts = self.loop.report("running")
        return counts, self.measure.report(self.source, counts.light)

    def until(self, wanted):
        deadline = time.monotonic() + 60
        while not wanted(*(said := self.report())):
            assert time.monotonic() < deadline, said
            assert self.thread.is_alive(), self.loop.error
            time.sleep(0.002)
        return said

    def ask(self, quality="raw", channel=None, **changes):
        offer = next(one for one in self.report()[1].offers if one.channel == channel)
        word = MeasureExposure(
            engine="mean5",
            quality=quality,
            channel=channel,
            present_ms=offer.present_ms,
            rounds=offer.rounds or 10,
        )
        self.measure.ask(msgspec.structs.replace(word, **changes), self.loop.order)
        return offer

    def obey(self, word):
        """What the capture process does with a word that comes to it."""
        capture._obey(self.loop, self, word, self.stopping, self.measure)

    def send(self, word):
        """As the link of that process."""
        self.sent.append(word)

    def spent(self):
        """(lamp, frames, ns) of the reference light in the account."""
        return [
            (lamp, n, ns) for lamp, kind, n, ns in self.meter.session.lines() if kind == "reference"
        ]

    def end(self):
        self.loop.stop()
        self.thread.join()
        self.measure.close()
        self.outlet.close()
        assert self.loop.error is None


@contextmanager
def sessions(folder):
    """A function that opens sessions, which end with it."""
    made = []
    with PrivateEndpoints() as endpoint:

        def make(rig, **more):
            made.append(Session(rig, folder, endpoint(f"raw{len(made)}"), **more))
            return made[-1]

        try:
            yield make
        finally:
            for session in made:
                session.end()


def ended(_counts, search):
    return search.state == "idle" and (search.result is not None or search.failed is not None)
