"""Does live stutter while an engine is trained beside it?

    python benchmarks/training_beside_live.py [--seconds 30] [--rounds 3] [--rig demo]
                                              [--engine denoise-live] [--json FILE]

The whole chain runs without a window on the demo rig. A process in the place of the view takes
the results; it gathers frames, and then trains and rests by turns, by the process that the
window's "Train" starts, with the same priority and threads. Turns, so that what the machine does
besides falls on both. A turn of training is counted from the moment when the first step of
learning was done.

Told for both: results a second, the time between two results (median, 95th and 99th percentile,
longest), the age of a result when it arrives, and frames that were dropped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from liverestore.frame import Restored
from liverestore.rig import load_rig
from liverestore.service.capture import capture_process
from liverestore.service.child import orphaned, run_child
from liverestore.service.engine import engine_process
from liverestore.service.plan import RunEndpoints, RunPlan
from liverestore.service.spawn import Target
from liverestore.service.supervisor import Supervisor
from liverestore.status import Stop
from liverestore.transport.control import ControlLink
from liverestore.transport.endpoint import PrivateEndpoints
from liverestore.transport.inlet import Inlet
from liverestore.view.frame_keeper import FrameKeeper
from liverestore.view.trainer_child import TrainerChild

_FIRST_S = 10.0
_FRAMES = 48
_LEARNING_S = 240.0
"""Longer than a turn, which ends it."""
_PATIENCE_S = 120.0


def turning_view(plan: RunPlan, *, seconds: float, rounds: int, log: Path) -> None:
    """In the place of the view: rest and train by turns, then end the run."""

    def body(link: ControlLink, stop: threading.Event) -> None:
        inlet = Inlet(plan.endpoints.restored.for_client(), "view")
        keeper = FrameKeeper(most_frames=_FRAMES)
        turns: list[dict[str, Any]] = []

        def results(until: Any, into: list[tuple[int, int, int]]) -> None:
            while not (until() or stop.is_set() or orphaned()):
                made = inlet.receive(0.02)
                link.receive(0)
                if isinstance(made, Restored):
                    header = made.source.header
                    into.append((time.perf_counter_ns(), header.captured_ns, header.number))
                    keeper.add(made.source)

        def after(wait_s: float) -> Any:
            end = time.monotonic() + wait_s
            return lambda: time.monotonic() > end

        def turn(kind: str) -> None:
            taken: list[tuple[int, int, int]] = []
            results(after(seconds), taken)
            if len(taken) > 1:
                turns.append({"kind": kind, "results": taken})

        results(lambda: len(keeper) >= _FRAMES, [])
        results(after(_FIRST_S), [])
        for n in range(rounds):
            turn("alone")
            movie = log.parent / f"frames{n}" / "frames.ome.tif"
            call = ["train", "beside-live", str(movie), "--name", f"beside-{n}"]
            call += ["--seconds", f"{_LEARNING_S:g}", "--child"]
            child = TrainerChild(keeper.frames(), movie, call)
            learning = [False]

            def begun(child: TrainerChild = child, learning: list[bool] = learning) -> bool:
                learning[0] = learning[0] or any("progress" in word for word in child.said())
                return learning[0]

            patience = after(_PATIENCE_S)
            results(lambda begun=begun, patience=patience: begun() or patience(), [])
            turn("training" if learning[0] else "waiting for the training")
            steps = [word["iteration"] for word in child.said() if "iteration" in word]
            if turns:
                turns[-1]["iterations"] = max(steps, default=0)
            child.close()
            results(after(2.0), [])
        log.write_text(json.dumps(turns), encoding="utf-8")
        link.send(Stop())
        inlet.close()

    run_child("view", plan.endpoints.control, body)


def summary(turns: list[dict[str, Any]], seconds: float) -> dict[str, dict[str, float]]:
    """Numbers of each kind of turn, over all of them."""
    told = {}
    for kind in dict.fromkeys(turn["kind"] for turn in turns):
        of_kind = [np.array(turn["results"], np.int64) for turn in turns if turn["kind"] == kind]
        gaps = np.concatenate([np.diff(taken[:, 0]) for taken in of_kind]) / 1e6
        ages = np.concatenate([taken[:, 0] - taken[:, 1] for taken in of_kind]) / 1e6
        counted = [int(taken[-1, 2] - taken[0, 2]) + 1 for taken in of_kind]
        told[kind] = {
            "turns": len(of_kind),
            "results per s": sum(len(taken) for taken in of_kind) / (seconds * len(of_kind)),
            "gap median ms": float(np.median(gaps)),
            "gap 95 % ms": float(np.quantile(gaps, 0.95)),
            "gap 99 % ms": float(np.quantile(gaps, 0.99)),
            "gap longest ms": float(gaps.max()),
            "age median ms": float(np.median(ages)),
            "age 95 % ms": float(np.quantile(ages, 0.95)),
            "dropped %": 100 * (1 - sum(len(taken) for taken in of_kind) / sum(counted)),
        }
        steps = [
            turn["iterations"] for turn in turns if turn["kind"] == kind and "iterations" in turn
        ]
        if steps:
            told[kind]["training steps per turn"] = statistics.mean(steps)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rig", default="demo")
    parser.add_argument("--engine", default="denoise-live")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PrivateEndpoints() as endpoint:
        log = Path(folder) / "turns.json"
        plan = RunPlan(
            rig=load_rig(asked.rig),
            engine=asked.engine,
            endpoints=RunEndpoints(endpoint("control"), endpoint("raw"), endpoint("restored")),
        )
        view = partial(turning_view, seconds=asked.seconds, rounds=asked.rounds, log=log)
        targets: dict[str, Target] = {
            "capture": capture_process,
            "engine": engine_process,
            "view": view,
        }
        result = Supervisor(plan, targets).run()
        if result.failure is not None:
            raise SystemExit(result.failure)
        turns = json.loads(log.read_text(encoding="utf-8"))
    told = summary(turns, asked.seconds)
    for name in next(iter(told.values())) | told.get("training", {}):
        row = "  ".join(f"{kind} {told[kind].get(name, float('nan')):8.2f}" for kind in told)
        print(f"{name:24} {row}")
    if asked.json is not None:
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
