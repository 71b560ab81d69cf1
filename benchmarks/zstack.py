"""Virtual planes of one frame: together as batches, and one after the other.

    python benchmarks/zstack.py [--planes 21] [--rounds 5] [--sizes 256 512] [--batch-px 1048576]
        [--threads 2] [--engines refocus-deepz]

For the shipped `refocus-deepz` and for an untrained one of a quarter of the width of Deep-Z
(`quarter_width.py`). Both ways take turns
within each round, in changing order, and are timed with all that `restore_planes` and `restore`
do around the network. Printed are the medians in ms a plane, the median over the rounds of their
ratio (above 1: together is faster), and the load of the machine before and after.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import quarter_width

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import find_engine
from liverestore.optics import Optics
from liverestore.restore import restore, restore_planes
from liverestore.runtime.base import InferenceRuntime, whole_of
from liverestore.runtime.table import open_runtime

_OPTICS = Optics(0.8, 525.0, 1.0, 1.333, 0.325, depth_um=20.0)
_CAMERA = CameraModel(offset_counts=100.0, gain_e_per_count=0.46, read_noise_e=1.6)


def frame_of(size: int) -> Frame:
    """Noise around 60 counts above the offset."""
    pixels = np.random.default_rng(0).poisson(160, (size, size)).astype(np.uint16)
    header = FrameHeader(
        run_id="benchmark",
        number=0,
        shape=pixels.shape,
        dtype="uint16",
        captured_ns=0,
        captured_utc="",
        camera="none",
        pixel_size_um=0.325,
    )
    return Frame(pixels, header)


def timed_ms(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def measure(
    runtime: InferenceRuntime, size: int, planes: int, rounds: int, batch_px: int | None
) -> tuple[float, float, float]:
    """Medians of ms a plane together and alone, and of their ratio in each round."""
    frame, spec = frame_of(size), runtime.spec
    planes_um = np.linspace(-5, 5, planes).tolist()

    def together() -> None:
        for _ in restore_planes(
            frame, spec, runtime.infer, _CAMERA, planes_um, optics=_OPTICS,
            whole=whole_of(runtime), batch_px=batch_px,
        ):  # fmt: skip
            pass

    def alone() -> None:
        for z_um in planes_um:
            restore(
                frame, spec, runtime.infer, _CAMERA, z_um, optics=_OPTICS, whole=whole_of(runtime)
            )

    together()  # compiled for their shapes
    alone()
    times = []
    for number in range(rounds):
        first, second = (together, alone) if number % 2 else (alone, together)
        one, other = timed_ms(first), timed_ms(second)
        times.append((one, other) if first is together else (other, one))
    batch_ms, single_ms = np.array(times).T / planes
    ratio = float(np.median(single_ms / batch_ms))
    return float(np.median(batch_ms)), float(np.median(single_ms)), ratio


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engines", nargs="+", default=["refocus-deepz", quarter_width.NAME])
    parser.add_argument("--planes", type=int, default=21)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batch-px", type=int, nargs="+", default=[None])
    parser.add_argument("--threads", type=int, default=None)
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} before" if hasattr(os, "getloadavg") else "")
    with tempfile.TemporaryDirectory() as folder:
        quarter_width.install(Path(folder))
        for name in asked.engines:
            runtime = open_runtime(find_engine(name), threads=asked.threads, precision="fast")
            for size in asked.sizes:
                for batch_px in asked.batch_px:
                    made = measure(runtime, size, asked.planes, asked.rounds, batch_px)
                    print(
                        f"{name}, {runtime.description}, {asked.planes} planes of "
                        f"{size}x{size}, batches of {batch_px or 'the usual'} px: together "
                        f"{made[0]:.1f} ms a plane, one by one {made[1]:.1f}, ratio {made[2]:.2f}"
                    )  # fmt: skip
            runtime.close()
    print(f"load {os.getloadavg()[0]:.1f} after" if hasattr(os, "getloadavg") else "")


if __name__ == "__main__":
    main()
