"""An engine loop whose engines give the waves they were told, without sockets."""

import numpy as np

from liverestore.errors import Failure
from liverestore.frame import Frame, FrameHeader
from liverestore.microscopes import defocus_waves_per_um
from liverestore.model_spec import ModelSpec
from liverestore.rig import CameraConfig, OpticsConfig, RigConfig, SourceConfig
from liverestore.rig_optics import optics_of
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.service.engine_loop import EngineLoop
from liverestore.service.live_dpm import LiveDpm

CAMERA = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=1.4)
AIR = OpticsConfig(
    pixel_size_um=0.325, numerical_aperture=0.8, wavelength_nm=550.0, immersion_index=1.0,
    sample_index=1.35, depth_um=10.0,
)  # fmt: skip
RIG = RigConfig(name="air", source=SourceConfig(kind="simulated"), camera=CAMERA, optics=AIR)
WAVES = defocus_waves_per_um(optics_of(RIG))


def frame(number, channel=None, shape=(16, 24)):
    header = FrameHeader(
        run_id="r", number=number, shape=shape, dtype="float32", captured_ns=number,
        captured_utc="2026-01-01T00:00:00+00:00", camera="c", channel=channel,
        pixel_size_um=0.325,
    )  # fmt: skip
    return Frame(np.zeros(shape, np.float32), header)


class Inlet:
    def __init__(self):
        self.frames, self.failed = [], 0

    def receive(self, _timeout_s):
        return self.frames.pop(0) if self.frames else None

    def fail(self):
        self.failed += 1


class Kept(list):
    """An outlet, or files."""

    offer = list.append


class Engine:
    """Gives the waves that it was told as its picture, or a picture of zeros.

    It keeps the sizes of its batches; from the batch `breaks_at` on it fails.
    """

    def __init__(self, name, refocuses, reach_um=10.0):
        task, reach_um = ("refocus", reach_um) if refocuses else ("denoise", None)
        self.spec = ModelSpec(name, task, "1", "", domain="counts", reach_um=reach_um)
        self.description = name
        self.inferred, self.breaks = 0, False
        self.batches, self.breaks_at = [], None

    def warm_up(self, shape, dtype="uint16"):
        pass

    def infer(self, batch):
        if self.breaks:
            raise Failure("the GPU fell off")
        self.batches.append(len(batch))
        if self.breaks_at is not None and len(self.batches) > self.breaks_at:
            raise Failure("the GPU fell off")
        self.inferred += 1
        return batch[:, -1:]

    def close(self):
        pass


class Run:
    def __init__(self, *, rig=RIG, engine="refocus", rival=None, files=None, **asked):
        self.inlet, self.results, self.files = Inlet(), Kept(), files or Kept()
        self.opened = {}
        self.dpm = LiveDpm(rig, lambda line: self.loop.notices.append(line))
        self.loop = EngineLoop(
            self.inlet, self.results, CameraKnowledge(CAMERA), self.open, files=self.files,
            dpm=self.dpm, kept_s=0.0, **asked,
        )  # fmt: skip
        self.loop.use(engine)
        if rival is not None:
            self.loop.lineup.use_rival(rival)
        self.number = 0

    def open(self, name):
        reach_um = 3.0 if name.endswith("near") else 10.0
        self.opened[name] = Engine(name, name.startswith("refocus"), reach_um)
        return self.opened[name]

    def restore(self, **of):
        self.number += 1
        self.inlet.frames.append(frame(self.number, **of))
        self.loop.step(0)
        return self.um()

    @staticmethod
    def frame(number, **of):
        return frame(number, **of)

    def um(self):
        """Where the newest result was refocused to, at each pixel, read from its picture."""
        return self.results[-1].pixels / WAVES

    def idle(self, steps=3):
        before = len(self.results)
        for _ in range(steps):
            self.loop.step(0)
        return len(self.results) - before
