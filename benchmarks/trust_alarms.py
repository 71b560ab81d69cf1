"""Are invented spots caught, and does the light stay calm where nothing is invented?

    python benchmarks/trust_alarms.py [--engine denoise-live] [--frames 1000] [--trials 100]
                                      [--seeds 201 202 203] [--brightest-e 32]

Simulated frames of 256 x 256 px under the optics of the demo rig (60x/1.2 W, 0.108 um pixels,
525 nm), read noise 1.6 e, 0.46 e per count. *Empty*: 4 e of background and nothing else. *Cells*:
the simulated specimen, 32 e (`--brightest-e`) at the brightest places with the 4 e of background,
drifting at 0.25 um/s. *Fast*: the same at 1.5 um/s. The frames are restored by the engine, and
once by an ideal one that knows the truth. Clean sequences are watched frame by frame. Then spots
of 12 photoelectrons, the microscope's own point spread function at random places, are added to
restored images of which 32 are pooled; the raw frames stay as they are.

*Bound*: what the best possible test would catch, one that knows the truth, the point spread
function and the noise (matched filter; its signal-to-noise ratio is 12 sqrt(sum over frames and
pixels of psf^2 / variance)), at 1 % of false alarms for a whole frame in which a spot may be at
any pixel; *at one place*: at 1 % for a place that is known beforehand. Invented and missing spots
of clean sequences are compared with the truth: *true* are those of which at least half is so.

Each seed is a specimen of its own with noise of its own; the counts of all are added up. Filter and
shares of the test were chosen on the seeds 7 and 101 to 103, so these prove nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys

import numpy as np
from numpy.typing import NDArray
from scipy import signal, stats

from liverestore.camera_model import CameraModel
from liverestore.frame import Frame, FrameHeader, Provenance, Restored
from liverestore.model_spec import find_engine
from liverestore.optics import widefield_psf
from liverestore.restore import restore
from liverestore.rig import CameraConfig, SpecimenConfig, load_rig
from liverestore.rig_optics import optics_of
from liverestore.runtime.table import open_runtime
from liverestore.specimen import Specimen, expose
from liverestore.trust.pooling import POOLED_FRAMES, Pool
from liverestore.trust.residual import light_of, variance_e
from liverestore.trust.spot_template import SpotTemplate, blurred, template_for
from liverestore.trust.spots import FALSE_ALARMS, SpotTest, spot_test, threshold
from liverestore.trust.watch import TrustWatch

SIDE = 256
PHOTONS_E = 12.0
BACKGROUND_E = 4.0
EXPOSURE_MS = 40.0
LIGHT_E = (0.0, 4.5, 6.0, 8.0, 12.0, 100.0)
SCENES = {"empty": None, "cells": 0.25, "fast": 1.5}
OPTICS = optics_of(load_rig("demo"))
CAMERA = CameraModel(100.0, 0.46, 1.6)
SENSOR = CameraConfig(offset_counts=100.0, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)


def truths(
    scene: str, frames: int, seed: int, brightest_e: float
) -> list[NDArray[np.float32]] | Specimen:
    speed = SCENES[scene]
    if speed is None:
        return [np.full((SIDE, SIDE), BACKGROUND_E, np.float32)] * frames
    return Specimen(
        SpecimenConfig(
            seed=seed,
            shape=(SIDE, SIDE),
            peak_photons_per_ms=(brightest_e - BACKGROUND_E) / EXPOSURE_MS,
            background_photons_per_ms=BACKGROUND_E / EXPOSURE_MS,
            speed_um_s=speed,
        ),
        OPTICS,
    )


class Sequence:
    """Frames of one scene, each restored by an engine and by one that knows the truth."""

    def __init__(self, scene: str, engine: str, frames: int, seed: int, brightest_e: float) -> None:
        self._truths = truths(scene, frames, seed, brightest_e)
        self._rng = np.random.default_rng([11, seed])
        self._runtime = open_runtime(find_engine(engine), threads=2, ready=True)

    def frame(self, number: int) -> tuple[Restored, Restored]:
        """(By the engine, ideal)."""
        truth = (
            self._truths.render(number * EXPOSURE_MS / 1000, 0.0, EXPOSURE_MS)
            if isinstance(self._truths, Specimen)
            else self._truths[number]
        )
        raw = expose(truth, SENSOR, self._rng)
        header = FrameHeader(
            run_id="trust",
            number=number,
            shape=raw.shape,
            dtype="uint16",
            captured_ns=0,
            captured_utc="",
            camera="simulated",
            exposure_ms=EXPOSURE_MS,
            pixel_size_um=OPTICS.pixel_size_um,
        )
        frame = Frame(raw, header)
        made = restore(frame, self._runtime.spec, self._runtime.infer, CAMERA)
        known = Provenance(
            engine="truth",
            version="",
            sha256="",
            runtime="",
            parameters={},
            started_ns=0,
            finished_ns=0,
        )
        counts = np.rint(CAMERA.to_counts(truth)).astype(np.uint16)
        return made, Restored(counts, frame, known)


def clean(
    sequence: Sequence, frames: int, kept: int
) -> tuple[dict[str, dict[str, float]], list[Restored]]:
    watches = {"engine": TrustWatch(OPTICS), "ideal": TrustWatch(OPTICS)}
    account: dict[str, dict[str, float]] = {
        name: {
            "tests": 0,
            "with_invented": 0,
            "with_missing": 0,
            "invented": 0,
            "invented_true": 0,
            "missing": 0,
            "missing_true": 0,
            "frames_red": 0,
            "frames_amber": 0,
        }
        for name in watches
    }
    template = template_for(OPTICS)
    truths = Pool((SIDE, SIDE))
    results: list[Restored] = []
    for number in range(frames):
        both = sequence.frame(number)
        if number < kept:
            results.extend(both)
        truth = CAMERA.to_electrons(both[1].pixels)
        truths.add(np.zeros_like(truth), truth)
        shown = {"ideal": truths, "engine": watches["engine"]._fixed}
        for (name, watch), result in zip(watches.items(), both, strict=True):
            before = watch.last_test
            watch.look(result, CAMERA)
            counts, verdict = account[name], watch.verdict
            counts["frames_red"] += verdict.level == "red"
            counts["frames_amber"] += verdict.level == "amber"
            if watch.last_test is not before:
                counts["tests"] += 1
                counts["with_invented"] += verdict.numbers["invented_spots"] > 0
                counts["with_missing"] += verdict.numbers["missing_spots"] > 0
                assert watch.last_test is not None, "it was made just now"
                for key, share in judged(watch.last_test, truths, shown[name], template).items():
                    counts[key] += int(share)
    return account, results


def judged(test: SpotTest, truths: Pool, shown: Pool, template: SpotTemplate) -> dict[str, int]:
    """How many spots `test` found at rest, and how many of these the truth confirms."""
    lacks = template.apply(truths.mean_restored_e() - shown.mean_restored_e()) / template.overlap
    return {
        "invented": len(test.invented),
        "invented_true": sum(-lacks[p.y, p.x] >= p.photons_e / 2 for p in test.invented),
        "missing": len(test.missing),
        "missing_true": sum(lacks[p.y, p.x] >= p.photons_e / 2 for p in test.missing),
    }


def means(
    lights: list[tuple[NDArray[np.float32], NDArray[np.float32]]], part: tuple[slice, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of (raw, shown) photoelectrons: (raw - shown) / variance, and shown, over the frames."""
    weighted, shown_e = (np.zeros_like(lights[0][0][part]) for _ in range(2))
    for raw, shown in lights:
        variance = variance_e(shown[part], CAMERA.read_noise_e, CAMERA.gain_e_per_count)
        weighted = weighted + (raw[part] - shown[part]) / variance
        shown_e = shown_e + shown[part]
    return weighted / np.float32(len(lights)), shown_e / np.float32(len(lights))


def tested(weighted: NDArray[np.float32], shown: NDArray[np.float32]) -> SpotTest:
    pool = Pool((SIDE, SIDE))
    for _ in range(POOLED_FRAMES):
        pool.add(weighted, shown)
    return spot_test(pool, template_for(OPTICS), CAMERA.read_noise_e, CAMERA.gain_e_per_count)


def signal_to_noise(
    truth: list[NDArray[np.float32]], psf: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Of the best possible test at each pixel, (Y, X)."""
    known = sum(1 / variance_e(one, CAMERA.read_noise_e, CAMERA.gain_e_per_count) for one in truth)
    power = signal.fftconvolve(known, psf[::-1, ::-1].astype(float) ** 2, mode="same")
    out: NDArray[np.float64] = np.sqrt(power)
    return out


@dataclasses.dataclass
class Planted:
    """One planted spot: the light at its place, whether it was found, what could be hoped for."""

    light_e: float
    caught: bool
    promised: bool
    bound: float
    bound_at_one_place: float


def planted(
    results: list[Restored], truth: list[NDArray[np.float32]], trials: int, seed: int
) -> list[Planted]:
    rng = np.random.default_rng([3, seed])
    psf = PHOTONS_E * widefield_psf(OPTICS, [0.0], 33)[0]
    every = (slice(None), slice(None))
    limits = (threshold(SIDE * SIDE), float(stats.norm.isf(FALSE_ALARMS)))
    lights = []
    for one in results:
        light = light_of(one.source.pixels, one.pixels, CAMERA, one.source.header)
        lights.append((light.raw_e, light.restored_e))
    spots: list[Planted] = []
    starts = np.linspace(0, len(lights) - POOLED_FRAMES, 4).astype(int)
    for first in starts:
        chosen = lights[first : first + POOLED_FRAMES]
        there = truth[first : first + POOLED_FRAMES]
        clean_sums = means(chosen, every)
        promised = tested(*clean_sums).detectable_e
        ratio = signal_to_noise(there, psf)
        brightness = blurred(np.mean(there, axis=0, dtype=np.float32), 1.0)
        for _trial in range(trials // len(starts)):
            y, x = rng.integers(20, SIDE - 20, 2)
            part = (slice(y - 16, y + 17), slice(x - 16, x + 17))
            weighted, shown = (sums.copy() for sums in clean_sums)
            weighted[part], shown[part] = means(
                [(raw[part], image[part] + psf) for raw, image in chosen], every
            )
            test = tested(weighted, shown)
            spots.append(
                Planted(
                    float(brightness[y, x]),
                    any(abs(p.y - y) <= 2 and abs(p.x - x) <= 2 for p in test.invented),
                    bool(promised[y, x] <= PHOTONS_E),
                    *(float(stats.norm.sf(limit - ratio[y, x])) for limit in limits),
                )
            )
    return spots


def share_caught(spots: list[Planted]) -> dict[str, object]:
    """Share of `spots` found, its 95 % interval (Wilson), and the bounds."""
    found = sum(spot.caught for spot in spots)
    interval = stats.binomtest(found, len(spots)).proportion_ci(method="wilson")
    return {
        "planted": len(spots),
        "caught": round(found / len(spots), 3),
        "caught_95": [round(interval.low, 3), round(interval.high, 3)],
        "bound": round(float(np.mean([spot.bound for spot in spots])), 3),
        "bound_at_one_place": round(float(np.mean([s.bound_at_one_place for s in spots])), 3),
    }


def table_of(spots: list[Planted]) -> dict[str, object]:
    promised = [spot for spot in spots if spot.promised]
    by_light = {
        f"{low:g}-{high:g} e": [spot for spot in spots if low <= spot.light_e < high]
        for low, high in itertools.pairwise(LIGHT_E)
    }
    return share_caught(spots) | {
        "where_detectable": share_caught(promised) if promised else None,
        "by light": {light: share_caught(here) for light, here in by_light.items() if here},
    }


def added(counts: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The accounts of several specimens as one."""
    return {
        who: {key: sum(one[who][key] for one in counts) for key in counts[0][who]}
        for who in counts[0]
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="denoise-live")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[201, 202, 203])
    parser.add_argument("--brightest-e", type=float, default=32.0)
    options = parser.parse_args()
    report: dict[str, object] = {
        "engine": options.engine,
        "seeds": options.seeds,
        "brightest_e": options.brightest_e,
        "spot_sigma_px": template_for(OPTICS).sigma_px,
    }
    for scene in options.scenes:
        counts, spots = [], {"engine": list[Planted](), "ideal": list[Planted]()}
        for seed in options.seeds:
            sequence = Sequence(scene, options.engine, options.frames, seed, options.brightest_e)
            counted, results = clean(sequence, options.frames, 2 * POOLED_FRAMES)
            truth = [CAMERA.to_electrons(one.pixels) for one in results[1::2]]
            counts.append(counted)
            for who, first in (("engine", 0), ("ideal", 1)):
                spots[who] += planted(results[first::2], truth, options.trials, seed)
            sys.stderr.write(f"{scene}, seed {seed}: {counted}\n")
        report[scene] = {"clean": added(counts)} | {
            f"planted, {who}": table_of(found) for who, found in spots.items()
        }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
