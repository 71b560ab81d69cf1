"""How fast is the whole live chain, and what does it lose?

    python benchmarks/chain_speed.py [engine | live | null | raw | view ...]
                                     [--seconds 10] [--rounds 3] [--json FILE]

A real Micro-Manager core delivers frames from DemoCamera's fast mode; capture, engine and view
are the processes that `liverestore live` starts, the window painting on Qt's offscreen platform.

- engine: `denoise-live` at 512x512, counts to counts, beside the bare runtime and ONNX Runtime.
- live: the same with capture and view beside it, all on the same cores.
- null: an engine that copies its input, at 2048x2048 16 bit.
- raw: the same with every raw frame written, beside a plain sequential write to the same disk
  before and after. Both are timed until the disk has everything. Disks vary from one second to the
  next: it is done `--rounds` times, and the median of the ratios is the figure. A round whose
  camera was faster than the disk ends with what was written by then; `ended` says so.
- null, too, is done so often; the table in docs/performance.md has all of them.
- view: a camera of 2048x2048 at 30 fps and the engine that copies, with the view and without it
  in turn (without, with, with, without), and what the capture delivers each time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from liverestore.cli.view_process import view_process
from liverestore.model_spec import find_engine
from liverestore.rig import load_rig
from liverestore.service.capture import capture_process
from liverestore.service.engine import engine_process
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.report import run_report
from liverestore.service.supervisor import Supervisor
from liverestore.speed.machine import describe, versions
from liverestore.speed.plan import Case
from liverestore.status import RunStatus
from liverestore.transport.endpoint import PrivateEndpoints

RIG = """
name = "DemoCamera, fast mode"
[source]
kind = "micromanager"
buffer_size_mb = 1024
config_file = "{config}"
[source.properties.Camera]
PixelType = "16bit"
BitDepth = "16"
OnCameraCCDXSize = "{size}"
OnCameraCCDYSize = "{size}"
FastImage = "1"
[camera]
offset_counts = 100
gain_e_per_count = 0.5
read_noise_e = 1.5
exposure_ms = {exposure_ms}
"""
PARTS = ("engine", "live", "null", "raw", "view")
_CHUNK = 2048 * 2048 * 2


def engine_alone(seconds: float) -> dict[str, Any]:
    """Ratios of the pipeline's rate to bare runtimes, each precision for itself."""
    with Case(find_engine("denoise-live"), (512, 512), ("onnxruntime",)) as case:
        case.open(lambda _line: None)
        case.race(seconds, lambda _spent: None)
        return {
            f"{row.engine} {row.precision}": {
                "fps": round(row.pipeline.fps, 1) if row.pipeline else None,
                "p95_ms": round(row.pipeline.p95_ms, 1) if row.pipeline else None,
                "ratio_to": {
                    f"{peer.name} {peer.precision}": peer.missing
                    if peer.ratio is None
                    else [round(v, 3) for v in (peer.ratio.low, peer.ratio.median, peer.ratio.high)]
                    for peer in row.peers
                },
            }
            for row in case.rows()
        }


class Clock:
    """When the first frame came and when the last one was written, from the run's status."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.written: float | None = None
        self._most = 0

    def hear(self, status: RunStatus) -> None:
        now = time.perf_counter()
        if self.first is None and status.captured > 0:
            behind = status.captured / (status.capture_fps or status.captured)
            self.first = now - behind
        if status.written > self._most:
            self._most, self.written = status.written, now


def chain(
    engine: str,
    size: int,
    fps: float,
    seconds: float,
    *,
    raw: Path | None = None,
    view: bool = True,
) -> tuple[dict[str, Any], Clock]:
    """The report of one run of `live` at a camera rate of `fps`."""
    config = Path(load_rig("mmcore_demo").source.config_file or "").as_posix()
    clock = Clock()
    with PrivateEndpoints() as endpoint, tempfile.TemporaryDirectory() as folder:
        rig_file = Path(folder) / "fast.toml"
        rig_file.write_text(RIG.format(config=config, size=size, exposure_ms=1000 / fps))
        plan = RunPlan(
            rig=load_rig(rig_file),
            engine=engine,
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
            seconds=seconds,
            raw_path=raw,
            stop_on_write_error=True,
        )
        targets = {"engine": engine_process, "capture": capture_process}
        if view:
            targets["view"] = view_process
        result = Supervisor(
            plan, targets, on_status=clock.hear, engine_patience_s=30, view_outlives_run=False
        ).run()
    outran = raw is not None and result.capture.written > 0
    if result.failure is not None and not outran:
        sys.exit(result.failure)
    report = run_report(plan, result)
    kept = ("engine", "runtime", "shape", "frames", "fps", "age_ms", "wait_ms")
    ended = {} if result.failure is None else {"ended": result.failure}
    return {"camera_fps": fps, **{key: report[key] for key in kept}, **ended}, clock


def plain_write(folder: Path, total_bytes: int) -> float:
    """Bytes per second of one file written in one go, frame by frame, until it is on the disk."""
    chunk, file = os.urandom(_CHUNK), folder / "plain.bin"
    started = time.perf_counter()
    with file.open("wb", buffering=0) as out:
        for _ in range(max(1, total_bytes // _CHUNK)):
            out.write(chunk)
        os.fsync(out.fileno())
    rate = max(1, total_bytes // _CHUNK) * _CHUNK / (time.perf_counter() - started)
    file.unlink()
    return rate


def flush(path: Path) -> float:
    """Seconds until everything below `path` is on the disk."""
    started = time.perf_counter()
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            with file.open("rb+") as out:
                os.fsync(out.fileno())
    return time.perf_counter() - started


def raw_writing(seconds: float, share: float, suffix: str) -> dict[str, Any]:
    """Camera at `share` of the rate of the plain write; timed until its frames are on the disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = int(seconds * 250e6)
        before = plain_write(folder, size)
        raw = folder / f"raw{suffix}"
        report, clock = chain("null", 2048, share * before / _CHUNK, seconds, raw=raw)
        flushed_s = flush(raw)
        after = plain_write(folder, size)
    if clock.first is None or clock.written is None:
        sys.exit("no frame was written")
    rate = report["frames"]["written"] * _CHUNK / (clock.written - clock.first + flushed_s)
    return {
        **report,
        "format": suffix,
        "plain_mb_s": [round(before / 1e6), round(after / 1e6)],
        "written_mb_s": round(rate / 1e6),
        "flush_s": round(flushed_s, 2),
        "ratio_to_plain": round(rate / statistics.mean((before, after)), 3),
    }


def raw_rounds(rounds: int, seconds: float, share: float, suffix: str) -> dict[str, Any]:
    """`raw_writing` so often, and the median of its ratios with the least and the largest."""
    made = [raw_writing(seconds, share, suffix) for _ in range(rounds)]
    ratios = sorted(one["ratio_to_plain"] for one in made)
    return {
        "ratio_to_plain": {
            "least": ratios[0],
            "median": round(statistics.median(ratios), 3),
            "largest": ratios[-1],
        },
        "ended_early": sum("ended" in one for one in made),
        "rounds": made,
    }


def beside_a_view(seconds: float) -> dict[str, Any]:
    """What painting costs the capture: frames per second and losses with and without a view."""
    runs = []
    for view in (False, True, True, False):
        report, _ = chain("null", 2048, 30.0, seconds, view=view)
        runs.append({"view": view, **report})
    fps = {
        view: statistics.mean(run["fps"]["capture"] for run in runs if run["view"] is view)
        for view in (False, True)
    }
    return {"capture_ratio": round(fps[True] / fps[False], 4), "runs": runs}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3, help="of the parts null and raw")
    parser.add_argument("--live-fps", type=float, default=40.0, help="camera of the part live")
    parser.add_argument("--null-fps", type=float, default=150.0, help="camera of the part null")
    parser.add_argument("--raw-share", type=float, default=0.9, help="of the plain write")
    parser.add_argument("--format", choices=[".ome.zarr", ".ome.tif"], default=".ome.zarr")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    parts = arguments.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        sys.exit(f"got {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    machine = describe()
    found: dict[str, Any] = {
        "machine": {"cores": machine.cores, "processor": machine.processor},
        "load_before": machine.load_before,
        "versions": versions(),
    }
    seconds = arguments.seconds
    for part in parts:
        if part == "engine":
            found[part] = engine_alone(seconds)
        elif part == "live":
            found[part], _ = chain("denoise-live", 512, arguments.live_fps, seconds)
        elif part == "null":
            found[part] = [
                chain("null", 2048, arguments.null_fps, seconds)[0] for _ in range(arguments.rounds)
            ]
        elif part == "view":
            found[part] = beside_a_view(seconds)
        else:
            found[part] = raw_rounds(
                arguments.rounds, seconds, arguments.raw_share, arguments.format
            )
    text = json.dumps(found, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
