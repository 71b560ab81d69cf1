"""From a notch of the wheel to the refocused image on the screen.

    python benchmarks/refocus_latency.py [--engine refocus-deepz] [--size 256] [--exposure-ms 100]
        [--notches 20] [--paused] [--zstack START:STOP:STEP]

Capture, engine and a view are processes of their own, as in `liverestore live`; the view is the
real window, painting offscreen. It turns the wheel with Shift over the image, at moments that do
not follow the camera, and waits until an image with that distance is painted. Printed are the
median and the 95th percentile of that time, in ms, in frame periods, and as a multiple of what
the bare network takes for one frame on this machine. With --paused the camera stands still, and
the frame on the screen is refocused again. The engine `quarter-width-untrained`, for speed alone,
is made for the run (`quarter_width.py`). With --zstack a virtual stack is made of each frame too.
The load of the machine is printed before and after.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import quarter_width
from rich.console import Console

from liverestore.cli.run import run_plan
from liverestore.frame import Restored
from liverestore.model_spec import find_engine
from liverestore.rig import load_rig
from liverestore.runtime.table import open_runtime
from liverestore.service.child import run_child
from liverestore.service.plan import RunPlan
from liverestore.status import SetLive, Stop
from liverestore.transport.control import ControlLink

RIG = """
name = "20x in air"
[source]
kind = "simulated"
[camera]
offset_counts = 100.0
gain_e_per_count = 0.46
read_noise_e = 1.6
bit_depth = 16
exposure_ms = {exposure_ms}
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 550.0
immersion_index = 1.0
sample_index = 1.35
depth_um = 10.0
[specimen]
shape = [{size}, {size}]
"""
_SETTLE_S = 3.0
_PATIENCE_S = 20.0


def turning_view(plan: RunPlan, *, out: Path, notches: int, paused: bool) -> None:
    """A view process that turns the wheel and writes how long each image took, as JSON."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

    def body(link: ControlLink, stop: threading.Event) -> None:
        from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
        from PySide6.QtGui import QWheelEvent

        from liverestore.view.live_feed import LiveFeed
        from liverestore.view.offscreen import offscreen_application
        from liverestore.view.window import LiveWindow

        app = offscreen_application()
        feed = LiveFeed(plan.endpoints.raw.for_client(), plan.endpoints.restored.for_client(), link)
        window = LiveWindow(feed)
        window.resize(1280, 800)
        window.show()

        def painted() -> tuple[float | None, float]:
            """Distance of the image on the screen, and how long its restoring took in ms."""
            state = window.state
            made = None if state is None else state.restored.image
            if not isinstance(made, Restored):
                return None, 0.0
            told = made.provenance
            z_um = told.parameters.get("virtual_z_um")
            took_ms = (told.finished_ns - told.started_ns) / 1e6
            return (None if z_um is None else float(z_um)), took_ms

        def run_until(seconds: float, z_um: float | None = None) -> bool:
            end = time.perf_counter() + seconds
            while time.perf_counter() < end and not stop.is_set():
                app.processEvents()
                if z_um is not None and painted()[0] == z_um:
                    window.repaint()
                    return True
                time.sleep(0.001)
            return False

        # As long as it takes: engines are compiled for the size of the first frame.
        run_until(60.0, 0.0)
        if paused:
            feed.send(SetLive(on=False))
        run_until(_SETTLE_S)
        image = window.restored_pane.image
        times_ms, restoring_ms = [], []
        draw = np.random.default_rng(0)
        for n in range(notches):
            run_until(float(draw.uniform(0.2, 0.5)))
            direction = 1 if n % 4 < 2 else -1
            wanted = round(window.refocus.surface.z_um + 0.5 * direction, 3)
            at = QPointF(image.viewport().rect().center())
            event = QWheelEvent(
                at,
                QPointF(image.viewport().mapToGlobal(at)),
                QPoint(),
                QPoint(0, 120 * direction),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.ShiftModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            began = time.perf_counter()
            app.sendEvent(image.viewport(), event)
            if run_until(_PATIENCE_S, wanted):
                times_ms.append(1000 * (time.perf_counter() - began))
                restoring_ms.append(painted()[1])
        status = feed.status()
        fps = None if status is None else status.capture_fps
        out.write_text(json.dumps([times_ms, restoring_ms, fps]), encoding="utf-8")
        feed.send(Stop())
        window.close_now()
        window.deleteLater()
        app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))

    run_child("view", plan.endpoints.control, body)


def bare_ms(engine: str, size: int, repeats: int = 15) -> float:
    """Median time of the network alone for one frame, in ms, in the usual runtime."""
    runtime = open_runtime(find_engine(engine), precision="fast")
    batch = np.zeros((1, 2, size, size), np.float32)
    batch[0, 0] = np.random.default_rng(0).normal(8, 1, (size, size))
    runtime.infer(batch)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        runtime.infer(batch)
        times.append(1000 * (time.perf_counter() - began))
    print(f"bare network, {runtime.description}: {np.median(times):.0f} ms for {size}x{size}")
    runtime.close()
    return float(np.median(times))


def load() -> float:
    """Processes that run or want to, over the last minute; NaN where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", default="refocus-deepz")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--exposure-ms", type=float, default=100.0)
    parser.add_argument("--notches", type=int, default=20)
    parser.add_argument("--paused", action="store_true")
    parser.add_argument("--zstack")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.engine == quarter_width.NAME:
            quarter_width.install(Path(folder))
        before = load()
        alone_ms = bare_ms(asked.engine, asked.size)
        rig, out = Path(folder) / "air.toml", Path(folder) / "times.json"
        rig.write_text(RIG.format(size=asked.size, exposure_ms=asked.exposure_ms), "utf-8")
        view = partial(turning_view, out=out, notches=asked.notches, paused=asked.paused)
        _, result = run_plan(
            load_rig(rig), asked.engine, view=view, zstack=asked.zstack, console=Console(quiet=True)
        )
        if not out.exists():
            raise SystemExit(f"nothing was measured: {result.failure}, {result.notices}")
        times_ms, restoring_ms, fps = json.loads(out.read_text(encoding="utf-8"))
    if not times_ms:
        raise SystemExit(f"no image came: {result.notices}")
    p50, p95 = np.percentile(times_ms, [50, 95])
    what = "camera paused" if asked.paused else f"camera at {fps or 0:.1f} fps"
    print(f"{what}; {len(times_ms)} of {asked.notches} notches; restoring, within a run: "
          f"{np.median(restoring_ms):.0f} ms")  # fmt: skip
    period = "" if asked.paused or not fps else f" = {p50 * fps / 1000:.2f} frame periods"
    print(f"wheel to image: {p50:.0f} ms{period} = {p50 / alone_ms:.1f} x the bare network; "
          f"p95 {p95:.0f} ms; load {before:.1f} before, {load():.1f} after")  # fmt: skip


if __name__ == "__main__":
    main()
