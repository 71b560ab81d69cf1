"""What does judging the results cost, as a share of the time that restoring takes?

    python benchmarks/trust_cost.py [--engine denoise-live] [--sizes 256 512 1024] [--frames 150]

Simulated cells are restored one after the other as in a live run, and judged in a thread beside
it. Printed for each size: processor time of the judging thread over the time spent restoring, the
share of the frames whose residual was looked at, and the frames until 32 were pooled.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import find_engine
from liverestore.restore import restore
from liverestore.rig import CameraConfig, SpecimenConfig, load_rig
from liverestore.rig_optics import optics_of
from liverestore.runtime.table import open_runtime
from liverestore.service.trust_keeper import TrustKeeper
from liverestore.specimen import Specimen, expose

CAMERA = CameraModel(100.0, 0.46, 1.6)
SENSOR = CameraConfig(offset_counts=100.0, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)


def measured(engine: str, side: int, frames: int) -> dict[str, float | int | None]:
    optics = optics_of(load_rig("demo"))
    specimen = Specimen(SpecimenConfig(seed=7, shape=(side, side)), optics)
    rng = np.random.default_rng(1)
    raws = [expose(specimen.render(0.04 * n, 0.0, 40.0), SENSOR, rng) for n in range(16)]
    runtime = open_runtime(find_engine(engine), threads=2, precision="fast", ready=True)
    runtime.warm_up((side, side))
    keeper = TrustKeeper(lambda _channel: optics)
    full_after = None
    for number in range(frames):
        raw = raws[number % len(raws)]
        header = FrameHeader(
            run_id="cost",
            number=number,
            shape=raw.shape,
            dtype="uint16",
            captured_ns=0,
            captured_utc="",
            camera="simulated",
            pixel_size_um=optics.pixel_size_um,
        )
        result = restore(Frame(raw, header), runtime.spec, runtime.infer, CAMERA)
        keeper.see(result, CAMERA)
        verdict = keeper.verdicts.get("")
        if full_after is None and verdict is not None and verdict.numbers["frames"] >= 31:
            full_after = number + 1
    keeper.close()
    runtime.close()
    return {
        "restore_ms": round(keeper.restoring_ns / frames / 1e6, 2),
        "judge_ms_a_look": round(keeper.judging_ns / max(1, keeper.looks) / 1e6, 2),
        "judging_share": round(keeper.judging_ns / keeper.restoring_ns, 3),
        "looked_at_share": round(keeper.looks / frames, 3),
        "pool_full_after_frames": full_after,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="denoise-live")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--frames", type=int, default=150)
    options = parser.parse_args()
    report = {str(side): measured(options.engine, side, options.frames) for side in options.sizes}
    sys.stdout.write(json.dumps({"engine": options.engine, "sizes": report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
