"""Does the live view grow while it is left open?

    python benchmarks/view_memory.py [--frames 20000] [--size 2048] [--tools] [--json FILE]

One window on Qt's offscreen platform paints so many pairs of 16-bit frames, each with a number
and a restored image of its own, as fast as it can. Every 250 frames the memory that the process
holds is read; the first quarter is left out as warming up, and a straight line through the rest
gives the growth per 1000 frames with its 95 % interval. With --tools the histogram, an ROI with
its trace, and a line profile are open all the time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track
from scipy import stats

from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.rig import CameraConfig
from liverestore.status import RunStatus
from liverestore.view.feed import ShownPair

if TYPE_CHECKING:
    from liverestore.view.window import LiveWindow

EVERY = 250
VARIANTS = 8


def resident_mb() -> float:
    """Memory of this process that is really held, in MB."""
    if sys.platform == "win32":
        raise OSError("needs the /proc of Linux")
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def pair(number: int, pictures: np.ndarray[Any, np.dtype[np.uint16]]) -> ShownPair:
    """Frame `number`, every one an array of its own as it is after a transfer."""
    pixels = pictures[number % len(pictures)].copy()
    header = FrameHeader(
        run_id="memory",
        number=number,
        shape=(pixels.shape[0], pixels.shape[1]),
        dtype="uint16",
        captured_ns=time.perf_counter_ns(),
        captured_utc="2026-01-01T00:00:00+00:00",
        camera="Camera",
        exposure_ms=10.0,
        pixel_size_um=0.1,
        metadata={"ImageNumber": str(number)},
    )
    raw = Frame(pixels, header)
    made = Provenance(
        engine="denoise",
        version="1",
        sha256="0" * 64,
        runtime="none",
        parameters={"offset_counts": 100.0, "gain_e_per_count": 0.5, "read_noise_e": 1.5},
        started_ns=header.captured_ns,
        finished_ns=time.perf_counter_ns(),
    )
    return ShownPair(raw, Restored(pictures[(number + 1) % len(pictures)].copy(), raw, made))


def open_tools(window: LiveWindow, size: int) -> None:
    """Show the histogram and draw an ROI and a line, as a hand on the mouse would."""
    from liverestore.view.drawing import Shape

    window.drawer.toggle("Histogram")
    drawing = window.measuring.drawing
    for shape in (Shape.ROI, Shape.LINE):
        window.measuring.take_up(shape)
        drawing.press((0.25 * size, 0.25 * size), 3.0)
        drawing.drag((0.75 * size, 0.7 * size))
        drawing.release()
    window.measuring.disarm()


def measure(frames: int, size: int, *, tools: bool) -> dict[str, Any]:
    """Memory over the frames."""
    from liverestore.view.feed import MemoryFeed
    from liverestore.view.offscreen import offscreen_application
    from liverestore.view.window import LiveWindow

    app = offscreen_application()
    rng = np.random.default_rng(1)
    pictures = rng.poisson(200, (VARIANTS, size, size)).astype(np.uint16)
    camera = CameraConfig(offset_counts=100.0, gain_e_per_count=0.5, read_noise_e=1.5)
    feed = MemoryFeed()
    window = LiveWindow(feed, engines=("denoise",), camera=camera, live=False)
    window.resize(1600, 900)
    window.show()
    feed.offer(pair(0, pictures))
    window.tick()
    if tools:
        open_tools(window, size)
    numbers, memory = [], []
    started = time.perf_counter()
    for number in track(range(1, frames + 1), "painting"):
        feed.offer(pair(number, pictures))
        feed.report(RunStatus(state="running", rig="memory", engine="denoise", captured=number))
        window.tick()
        app.processEvents()
        if number % EVERY == 0:
            gc.collect()
            numbers.append(number)
            memory.append(resident_mb())
    spent_s = time.perf_counter() - started
    window.close_now()
    kept = slice(len(numbers) // 4, None)
    line = stats.linregress(numbers[kept], memory[kept])
    margin = stats.t.ppf(0.975, len(numbers[kept]) - 2) * line.stderr
    return {
        "frames": frames,
        "size": size,
        "tools": tools,
        "painted_fps": round(frames / spent_s, 1),
        "memory_mb": {"first": round(memory[kept][0], 1), "last": round(memory[-1], 1)},
        "growth_mb_per_1000_frames": {
            "slope": round(1000 * line.slope, 4),
            "low": round(1000 * (line.slope - margin), 4),
            "high": round(1000 * (line.slope + margin), 4),
        },
    }


def main() -> None:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--tools", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("needs /proc of Linux, which tells the memory that is really held")
    found = measure(asked.frames, asked.size, tools=asked.tools)
    text = json.dumps(found, indent=2)
    print(text)
    if asked.json is not None:
        asked.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
