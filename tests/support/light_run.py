"""A capture loop with an account of light, on the simulated and on the demo camera."""

import threading
import time

import msgspec

from liverestore.camera.open import open_source
from liverestore.dose_meter import DoseMeter
from liverestore.rig import load_rig
from liverestore.service.capture_loop import CaptureLoop
from liverestore.service.light_keeper import LightKeeper
from liverestore.service.recorder import Recorder
from liverestore.service.reference_shots import REFERENCES
from liverestore.transport.outlet import Outlet
from liverestore.writer.names import free_pair

IRRADIANCE = 250.0
EXPOSURE_MS = 4.0
FRAME_J = 1e-6 * IRRADIANCE * EXPOSURE_MS


def simulated(**light):
    rig = load_rig("demo")
    return msgspec.structs.replace(
        rig,
        camera=msgspec.structs.replace(rig.camera, exposure_ms=EXPOSURE_MS),
        specimen=msgspec.structs.replace(rig.specimen, shape=(64, 64)),
        source=msgspec.structs.replace(rig.source, buffer_size_mb=16),
        illumination=msgspec.structs.replace(rig.illumination, **light),
    )


def in_turn():
    rig = load_rig("demo_two_channels")
    exposures = {"DAPI": 3.0, "GFP": 6.0}
    channels = tuple(
        msgspec.structs.replace(one, exposure_ms=exposures[one.name]) for one in rig.channels
    )
    specimen = msgspec.structs.replace(rig.specimen, shape=(64, 64))
    return msgspec.structs.replace(rig, channels=channels, specimen=specimen)


def demo_camera(folder, **light):
    config = folder / "with_shutter.cfg"
    config.write_text(
        "Property,Core,Initialize,0\n"
        "Device,Camera,DemoCamera,DCam\n"
        "Device,Z,DemoCamera,DStage\n"
        "Device,XY,DemoCamera,DXYStage\n"
        "Device,Lamp,DemoCamera,DShutter\n"
        "Property,Core,Initialize,1\n"
        "Property,Core,Camera,Camera\n"
        "Property,Core,Focus,Z\n"
        "Property,Core,XYStage,XY\n"
        "Property,Core,Shutter,Lamp\n"
        "Property,Core,AutoShutter,1\n"
    )
    rig = load_rig("mmcore_demo")
    small = {**rig.source.properties["Camera"], "OnCameraCCDXSize": "64", "OnCameraCCDYSize": "64"}
    return msgspec.structs.replace(
        rig,
        source=msgspec.structs.replace(
            rig.source, config_file=str(config), properties={"Camera": small}, buffer_size_mb=16
        ),
        camera=msgspec.structs.replace(rig.camera, exposure_ms=EXPOSURE_MS),
        optics=msgspec.structs.replace(rig.optics, pixel_size_um=0.5),
        illumination=msgspec.structs.replace(
            rig.illumination, irradiance_mw_cm2=IRRADIANCE, **light
        ),
    )


class Run:
    """A capture loop with an account of light, in a thread of its own."""

    def __init__(self, rig, folder, endpoint, *, budget=None, meter=None, **more):
        self.meter = meter or DoseMeter(budget)
        self.light = LightKeeper(self.meter, rig, account=folder / "light.json")
        self.outlet = Outlet(endpoint, roles=("engine",), aside=REFERENCES)
        self.recorder = Recorder(
            lambda: free_pair(folder, "ome-tiff"), planned=(folder / "raw.ome.tif", None)
        )
        self.source = open_source(rig)
        self.loop = CaptureLoop(
            self.source, self.outlet, recorder=self.recorder, light=self.light, **more
        )
        self.loop.prepare()
        self.core_light = self.light._limited.light
        self.thread = threading.Thread(target=self.loop.run, name="camera")
        self.ended = False

    def start(self):
        self.thread.start()
        return self

    @property
    def exposures(self):
        """The core's own count."""
        return getattr(self.source, "source", self.source).exposures

    def order(self, word, wanted):
        self.loop.order(word)
        return self.until(wanted)

    def until(self, wanted):
        deadline = time.monotonic() + 30
        while not wanted(report := self.loop.report("running")):
            assert time.monotonic() < deadline, report
            assert self.thread.is_alive(), self.loop.error
            time.sleep(0.002)
        return report

    def end(self):
        if self.ended:
            return
        self.ended = True
        self.loop.stop()
        if self.thread.ident is not None:
            self.thread.join()
        else:
            self.source.stop()
        self.outlet.finish("over", timeout_s=0.0)
        self.outlet.close()
        self.light.save()


def paused(report):
    return not report.live
