"""The camera's numbers, estimated from frames of several channels."""

import msgspec
import numpy as np

from liverestore.camera_model import estimate_from_movie
from liverestore.frame import Frame, FrameHeader
from liverestore.rig import load_rig
from liverestore.service.camera_knowledge import CameraKnowledge

OFFSET, GAIN = 100.0, 0.5


def frames(count):
    """Two channels in turn: another picture and another light, one camera."""
    random = np.random.default_rng(1)
    pictures = {
        name: random.uniform(*light, (96, 96))
        for name, light in {"dim": (2, 30), "bright": (40, 400)}.items()
    }
    for number in range(count):
        name = ("dim", "bright")[number % 2]
        electrons = random.poisson(pictures[name])
        pixels = np.round(OFFSET + electrons / GAIN + random.normal(0, 2, (96, 96)))
        header = FrameHeader(
            run_id="r", number=number, shape=(96, 96), dtype="uint16", captured_ns=number,
            captured_utc="2026-01-01T00:00:00+00:00", camera="c", channel=name,
        )  # fmt: skip
        yield Frame(pixels.clip(0).astype(np.uint16), header)


def test_channels_in_turn_do_not_pass_for_noise():
    told = []
    unknown = msgspec.structs.replace(
        load_rig("demo").camera, offset_counts=None, gain_e_per_count=None, read_noise_e=None
    )
    knowledge = CameraKnowledge(unknown, told.append)
    models = [knowledge.model_for(frame) for frame in frames(40)]
    known = models[-1]
    alone = np.stack([frame.pixels for frame in frames(32) if frame.header.channel == "dim"])
    assert known == estimate_from_movie(alone)
    # one camera, one estimate, for all channels
    assert len(told) == 1
    assert all(model is known for model in models[30:])
