"""Is the exposure that is advised the least one that truly keeps the quality?

    python benchmarks/exposure_advice.py [--engine denoise-live] [--side 512] [--seeds 3]

The simulated specimen of the demo rig (60x/1.2 W, 0.108 um pixels, 525 nm, read noise 1.6 e, 0.46
e per count) at several brightnesses, still unless said otherwise. The command's own series is taken
from the simulated camera and judged without any truth. Then the truth: the same engine at 25
exposures of the same specimen, four frames each, against the light without noise; the least
exposure whose error is at most the one asked for, along the same kind of falling curve.
"""

from __future__ import annotations

import argparse
import sys

from liverestore.exposure_quality import parse_quality
from liverestore.model_spec import find_engine
from liverestore.quality.exposure_truth import Scene, TrueCurve, advised, true_curve
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import open_runtime


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="denoise-live")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--speed", type=float, default=0.0)
    parser.add_argument("--peaks", default="8,32,120")
    parser.add_argument("--qualities", default="raw,90%,75%")
    args = parser.parse_args()
    runtime = open_runtime(find_engine(args.engine), threads=2)
    out = sys.stdout
    out.write(
        "| peak (e) | specimen | asked | true least (ms) | advised (ms) | off | 95 % interval | "
        "rounds | light (s) | a tenth: true, advised |\n" + 10 * "|---" + "|\n"
    )
    for peak in (float(v) for v in args.peaks.split(",")):
        for seed in range(3, 3 + args.seeds):
            scene = Scene(peak, seed, args.side, args.speed)
            truth = true_curve(scene, runtime)
            for word in args.qualities.split(","):
                out.write(_line(scene, truth, runtime, word))
                out.flush()
    return 0


def _line(scene: Scene, truth: TrueCurve, runtime: InferenceRuntime, word: str) -> str:
    quality = parse_quality(word)
    advice, run, _ = advised(scene, runtime, quality)
    least = truth.least_ms(quality)
    cells = [
        f"{scene.peak_e:g}",
        f"{scene.seed}",
        word,
        "none" if least is None else f"{least:.3g}",
    ]
    if advice.exposure_ms is None or advice.interval_ms is None or least is None:
        cells += [advice.refusal or "", "", ""]
    else:
        low, high = advice.interval_ms
        held = "" if advice.limited_by is None else f" ({advice.limited_by})"
        cells += [
            f"{advice.exposure_ms:g}{held}",
            f"{100 * (advice.exposure_ms / least - 1):+.0f} %",
            f"{low:.3g} to {high:.3g}",
        ]
    tenth = least is not None and least <= scene.present_ms / 10
    cells += [
        f"{run.rounds}{', moving' if advice.moving else ''}",
        f"{run.light_ms / 1e3:.2f}",
        f"{'yes' if tenth else 'no'}, {'yes' if advice.supports(10) else 'no'}",
    ]
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    sys.exit(main())
