"""Engines are changed while live: is any frame mislabelled, lost, or late?

    python benchmarks/engine_swap.py [--swaps 100] [--engines denoise-live mean5 median5 confocal]
                                     [--rig demo] [--seconds-between 0.5] [--json FILE]

The whole chain runs without a window on the demo rig and saves raw and restored frames into a
temporary folder, while a process in the place of the view asks for one engine after the other, in
a seeded order, and times the results that reach it. Then the files are read:

- The engines named in the restored file must be those that were asked for, in that order, and
  none before it was asked for. A sample of frames on both sides of every change is restored again
  by the engine that is named; the pixels must be the same.
- Numbers in the raw file must have no gap.
- A pause is the time between two results in frame periods. The period is the camera's, or the
  time that the slower of the two engines takes for a frame where that is longer (the median while
  nothing loads). Pauses are given apart for the change itself, for the time in which an engine
  loads, and for the rest, which is what the machine does by itself. "idle" is the part of a
  pause in which nothing was restored: it holds what a change costs, and waiting for the camera,
  but not that a busy machine restores more slowly.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.movie import open_movie
from liverestore.restore import restore
from liverestore.rig import RigConfig, load_rig
from liverestore.rig_camera import camera_of
from liverestore.runtime.base import whole_of
from liverestore.service.capture import capture_process
from liverestore.service.child import orphaned, run_child
from liverestore.service.engine import engine_process, open_live
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.spawn import Target
from liverestore.service.supervisor import Supervisor
from liverestore.status import SetEngine, Stop
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.wire import End

ENGINES = ("denoise-live", "mean5", "median5", "confocal")
TARGET_PERIODS = 2.0
KINDS = ("change", "loading", "rest")
_PATIENCE_S = 60.0
_QUIET_RESULTS = 3
"""Between two swaps, so that slow engines too are seen while nothing loads."""
_AROUND = 2
"""Frames before and after each change that are restored again."""


def swapping_view(plan: RunPlan, *, order: Sequence[str], between_s: float, log: Path) -> None:
    """In the place of the view: ask for one engine after the other, then end the run."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        inlet = Inlet(plan.endpoints.restored.for_client(), "view")
        arrivals: list[int] = []
        swaps: list[dict[str, Any]] = []
        ended = False

        def results_for(seconds: float, until: str | None) -> bool:
            """Take results for so long, some at least, or until one of engine `until` comes."""
            nonlocal ended
            deadline = time.monotonic() + seconds
            enough = len(arrivals) + (_QUIET_RESULTS if until is None else 0)
            while time.monotonic() < deadline or len(arrivals) < enough:
                if stop.is_set() or orphaned():
                    return False
                body = inlet.receive(0.05)
                ended = ended or isinstance(body, End)
                ended = ended or any(isinstance(word, Stop) for word in link.receive(0))
                if ended:
                    return False
                if isinstance(body, Restored):
                    arrivals.append(time.perf_counter_ns())
                    if body.provenance.engine == until:
                        return True
            return until is None

        results_for(_PATIENCE_S, plan.engine)
        for name in order:
            if not results_for(between_s, None):
                break
            asked = time.perf_counter_ns()
            link.send(SetEngine(name=name))
            if not results_for(_PATIENCE_S, name):
                break
            swaps.append({"engine": name, "asked_ns": asked, "arrived_ns": arrivals[-1]})
        results_for(between_s, None)
        log.write_text(json.dumps({"swaps": swaps, "arrivals": arrivals}), encoding="utf-8")
        link.send(Stop())
        inlet.close()

    run_child("view", plan.endpoints.control, body)


def random_order(engines: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` + 1 names, no two neighbours the same."""
    chooser = random.Random(seed)
    order = [engines[0]]
    while len(order) <= count:
        order.append(chooser.choice([name for name in engines if name != order[-1]]))
    return order


Kept = tuple[FrameHeader, Provenance]


def records(path: Path) -> list[tuple[FrameHeader, Provenance | None]]:
    with open_movie(path) as movie:
        kept = [movie.record(index) for index in range(len(movie))]
    return [(record.header, record.provenance) for record in kept if record is not None]


def restored_records(path: Path) -> list[Kept]:
    return [(header, made) for header, made in records(path) if made is not None]


def changes_of(kept: Sequence[Kept]) -> list[int]:
    """Positions of the first frames of another engine."""
    return [
        index
        for index, (before, after) in enumerate(itertools.pairwise(kept), start=1)
        if before[1].engine != after[1].engine
    ]


def label_faults(kept: Sequence[Kept], order: Sequence[str], swaps: Sequence[Any]) -> list[str]:
    """What is wrong with the order in which engines are named."""
    changes = changes_of(kept)
    named = [kept[index][1].engine for index in [0, *changes]]
    if named != list(order):
        return [f"engines named in the file: {named}, asked for: {list(order)}"]
    return [
        f"frame {kept[index][0].number} names {swap['engine']} before it was asked for"
        for index, swap in zip(changes, swaps, strict=True)
        if kept[index][1].finished_ns < swap["asked_ns"]
    ]


def compare_again(
    rig: RigConfig, raw_path: Path, restored_path: Path, kept: Sequence[Kept]
) -> dict[str, Any]:
    """Restore frames around every change again, by the engine that is named; and by another."""
    camera = camera_of(rig.camera)
    assert camera is not None, "the demo rig has its camera's numbers"
    sample = sorted(
        {
            index + shift
            for index in changes_of(kept)
            for shift in range(-_AROUND, _AROUND)
            if 0 <= index + shift < len(kept)
        }
    )
    names = sorted({made.engine for _, made in kept})
    differ: list[int] = []
    told_apart = 0
    with open_movie(raw_path) as raw, open_movie(restored_path) as restored:
        for name, other in zip(names, names[1:] + names[:1], strict=True):
            runtimes = [open_live(name, None), open_live(other, None)]
            mine = [index for index in sample if kept[index][1].engine == name]
            for position, index in enumerate(mine):
                header = kept[index][0]
                frame = Frame(np.ascontiguousarray(raw[header.number]), header)
                # Another engine gives other pixels: that shows that the comparison can fail.
                for runtime in runtimes[: 2 if position == 0 and name != other else 1]:
                    again = restore(
                        frame, runtime.spec, runtime.infer, camera, whole=whole_of(runtime)
                    )
                    same = bool(np.array_equal(again.pixels, restored[index]))
                    if runtime is runtimes[0] and not same:
                        differ.append(header.number)
                    elif runtime is not runtimes[0] and not same:
                        told_apart += 1
            for runtime in runtimes:
                runtime.close()
    return {
        "restored_again": len(sample),
        "frames_that_differ": differ,
        "engines_told_apart": told_apart == len(names),
    }


def pauses(
    kept: Sequence[Kept], swaps: Sequence[Any], camera_ms: float
) -> tuple[dict[str, Any], dict[str, float]]:
    """Pauses in frame periods by what went on, and the period of each engine in ms."""
    spans = [(swap["asked_ns"], swap["arrived_ns"]) for swap in swaps]
    quiet: dict[str, list[float]] = {}
    gaps: list[tuple[str, Provenance, Provenance]] = []
    for (_, before), (_, after) in itertools.pairwise(kept):
        loads = any(
            asked < after.finished_ns and before.finished_ns < until for asked, until in spans
        )
        kind = "change" if before.engine != after.engine else "loading" if loads else "rest"
        gaps.append((kind, before, after))
        if kind == "rest":
            took_ms = (after.finished_ns - after.started_ns) / 1e6
            quiet.setdefault(after.engine, []).append(took_ms)
    period = {
        name: max(camera_ms, statistics.median(quiet[name])) if name in quiet else camera_ms
        for name in {made.engine for _, made in kept}
    }
    table: dict[str, Any] = {}
    for kind in KINDS:
        rows = [
            (
                (after.finished_ns - before.finished_ns) / 1e6,
                (after.started_ns - before.finished_ns) / 1e6,
                max(period[before.engine], period[after.engine]),
                f"{before.engine} to {after.engine}" if kind == "change" else after.engine,
            )
            for found, before, after in gaps
            if found == kind
        ]
        if rows:
            table[kind] = _summary(rows)
    return table, {name: round(value, 1) for name, value in period.items()}


def _summary(rows: Sequence[tuple[float, float, float, str]]) -> dict[str, Any]:
    """Of (pause in ms, idle part in ms, period in ms, where)."""
    pauses = sorted((gap / period, gap, where) for gap, _, period, where in rows)
    idle = sorted((rest / period, rest, where) for _, rest, period, where in rows)
    last = len(rows) - 1
    return {
        "pauses": len(rows),
        "median_periods": round(pauses[len(rows) // 2][0], 2),
        "p99_periods": round(pauses[int(0.99 * last)][0], 2),
        "longest_periods": round(pauses[-1][0], 2),
        "longest_ms": round(pauses[-1][1], 1),
        "longest_at": pauses[-1][2],
        "over_2_periods": sum(periods > TARGET_PERIODS for periods, _, _ in pauses),
        "longest_idle_periods": round(idle[-1][0], 2),
        "longest_idle_ms": round(idle[-1][1], 1),
        "longest_idle_at": idle[-1][2],
    }


def idlest(kept: Sequence[Kept], swaps: Sequence[Any]) -> list[dict[str, Any]]:
    """The ten pauses in which nothing was restored for longest, and where in a swap they lie."""
    found = sorted(
        ((b.started_ns - a.finished_ns, a, b) for (_, a), (_, b) in itertools.pairwise(kept)),
        key=lambda gap: -gap[0],
    )
    told = []
    for idle, before, after in found[:10]:
        swap = next(
            (s for s in swaps if s["asked_ns"] < after.finished_ns
             and before.finished_ns < s["arrived_ns"]),
            None,
        )  # fmt: skip
        told.append(
            {
                "idle_ms": round(idle / 1e6, 1),
                "engine": after.engine,
                "loading": swap and swap["engine"],
                "s_after_asked": swap and round((before.finished_ns - swap["asked_ns"]) / 1e9, 3),
            }
        )
    return told


def run(
    rig: RigConfig, folder: Path, order: Sequence[str], between_s: float
) -> tuple[RunPlan, dict[str, Any], dict[str, Any]]:
    """Run the chain; its plan, what the swapping process noted, and the account of frames."""
    log = folder / "swaps.json"
    with PrivateEndpoints() as endpoint:
        plan = RunPlan(
            rig=rig,
            engine=order[0],
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
            raw_path=folder / "raw.ome.zarr",
            restored_path=folder / "restored.ome.zarr",
        )
        view = partial(swapping_view, order=order[1:], between_s=between_s, log=log)
        targets: dict[str, Target] = {
            "engine": engine_process,
            "capture": capture_process,
            "view": view,
        }
        result = Supervisor(plan, targets, engine_patience_s=30).run()
    if result.failure is not None or not log.exists():
        sys.exit(result.failure or "the swapping process never finished")
    account = {
        "captured": result.capture.captured,
        "lost": result.capture.lost,
        "written": result.capture.written,
        "restored": result.capture.restored,
        "notices": list(result.notices),
    }
    return plan, json.loads(log.read_text(encoding="utf-8")), account


def measure(rig: RigConfig, folder: Path, order: Sequence[str], between_s: float) -> dict[str, Any]:
    plan, noted, account = run(rig, folder, order, between_s)
    assert plan.raw_path is not None
    assert plan.restored_path is not None
    swaps = noted["swaps"]
    raw = [header for header, _ in records(plan.raw_path)]
    kept = restored_records(plan.restored_path)
    captured = np.array([header.captured_ns for header in raw])
    camera_ms = float(np.median(np.diff(captured))) / 1e6
    table, period = pauses(kept, swaps, camera_ms)
    took = sorted((swap["arrived_ns"] - swap["asked_ns"]) / 1e9 for swap in swaps)
    again = compare_again(rig, plan.raw_path, plan.restored_path, kept)
    faults = label_faults(kept, order[: len(swaps) + 1], swaps)
    longest = max((row["longest_periods"] for row in table.values()), default=0.0)
    at_swaps = max(
        (row["longest_periods"] for kind, row in table.items() if kind != "rest"), default=0.0
    )
    numbers = [header.number for header in raw]
    return {
        "swaps": len(swaps),
        "swaps_asked_for": len(order) - 1,
        "frames": account,
        "restored_in_file": len(kept),
        "raw_numbers_contiguous": numbers == list(range(len(numbers))),
        "raw_frames_in_file": len(numbers),
        "label_faults": faults,
        **again,
        "camera_period_ms": round(camera_ms, 2),
        "engine_period_ms": period,
        "asked_to_result_s": {"median": round(took[len(took) // 2], 2), "max": round(took[-1], 2)},
        "pauses": table,
        "idlest": idlest(kept, swaps),
        "longest_pause_periods": longest,
        "longest_pause_at_swaps_periods": at_swaps,
    }


def show(figures: dict[str, Any]) -> None:
    again = figures["restored_again"]
    print(f"{figures['swaps']} of {figures['swaps_asked_for']} swaps, {figures['frames']}")
    print(f"mislabelled: {len(figures['label_faults'])} by order, "
          f"{len(figures['frames_that_differ'])} of {again} by their pixels")  # fmt: skip
    print(f"raw numbers without a gap: {figures['raw_numbers_contiguous']}")
    print(f"camera period {figures['camera_period_ms']} ms, engines {figures['engine_period_ms']}")
    print(f"asked to first result: {figures['asked_to_result_s']} s")
    columns = {
        "pauses": "pauses", "median_periods": "median", "p99_periods": "p99",
        "longest_periods": "longest", "longest_ms": "ms", "over_2_periods": "over 2",
        "longest_idle_periods": "idle", "longest_idle_ms": "idle ms",
    }  # fmt: skip
    print("pauses in frame periods")
    print("when     " + "".join(f"{head:>9}" for head in columns.values()) + "  longest at")
    for kind, row in figures["pauses"].items():
        cells = "".join(f"{row[key]:>9}" for key in columns)
        print(f"{kind:<9}{cells}  {row['longest_at']}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES))
    parser.add_argument("--rig", default="demo")
    parser.add_argument("--seconds-between", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    order = random_order(arguments.engines, arguments.swaps, arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            load_rig(arguments.rig), Path(folder), order, arguments.seconds_between
        )  # fmt: skip
    show(figures)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    right = (
        figures["swaps"] == figures["swaps_asked_for"]
        and not figures["label_faults"]
        and not figures["frames_that_differ"]
        and figures["engines_told_apart"]
        and figures["raw_numbers_contiguous"]
        and figures["frames"]["lost"] == 0
    )
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
