"""Are invented spots caught, and does the light stay calm where nothing is invented?

    python benchmarks/trust_alarms.py [--engine denoise-live] [--frames 1000] [--trials 100]

Simulated frames of 256 x 256 px under the optics of the demo rig (60x/1.2 W, 0.108 um pixels,
525 nm), read noise 1.6 e, 0.46 e per count. *Empty*: 4 e of background and nothing else. *Cells*:
the simulated specimen, 32 e at the brightest places and 4 e of background, drifting at 0.25 um/s.
*Fast*: the same at 1.5 um/s. The frames are restored by the engine, and once by an ideal one that
knows the truth. Clean sequences are watched frame by frame. Then spots of 12 photoelectrons, the
microscope's own point spread function at random places, are added to restored images of which
32 are pooled; the raw frames stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys

import numpy as np
from numpy.typing import NDArray

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
from liverestore.trust.residual import light_of
from liverestore.trust.spot_template import template_for
from liverestore.trust.spots import spot_test
from liverestore.trust.watch import TrustWatch

SIDE = 256
PHOTONS_E = 12.0
SPOTS = 1
SCENES = {"empty": None, "cells": 0.25, "fast": 1.5}
OPTICS = optics_of(load_rig("demo"))
CAMERA = CameraModel(100.0, 0.46, 1.6)
SENSOR = CameraConfig(offset_counts=100.0, gain_e_per_count=0.46, read_noise_e=1.6, bit_depth=16)


def truths(scene: str, frames: int) -> list[NDArray[np.float32]] | Specimen:
    speed = SCENES[scene]
    if speed is None:
        return [np.full((SIDE, SIDE), 4.0, np.float32)] * frames
    return Specimen(
        SpecimenConfig(
            seed=7,
            shape=(SIDE, SIDE),
            peak_photons_per_ms=28 / 40,
            background_photons_per_ms=4 / 40,
            speed_um_s=speed,
        ),
        OPTICS,
    )


class Sequence:
    """Frames of one scene, each restored by an engine and by one that knows the truth."""

    def __init__(self, scene: str, engine: str, frames: int) -> None:
        self._truths = truths(scene, frames)
        self._rng = np.random.default_rng(11)
        self._runtime = open_runtime(find_engine(engine), threads=2, ready=True)

    def frame(self, number: int) -> tuple[Restored, Restored]:
        """(By the engine, ideal)."""
        truth = (
            self._truths.render(number * 0.04, 0.0, 40.0)
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
            exposure_ms=40.0,
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


def clean(sequence: Sequence, frames: int, kept: int) -> tuple[dict[str, object], list[Restored]]:
    watches = {"engine": TrustWatch(OPTICS), "ideal": TrustWatch(OPTICS)}
    account: dict[str, dict[str, float]] = {
        name: {
            "tests": 0,
            "with_invented": 0,
            "with_missing": 0,
            "frames_red": 0,
            "frames_amber": 0,
        }
        for name in watches
    }
    results: list[Restored] = []
    for number in range(frames):
        both = sequence.frame(number)
        if number < kept:
            results.extend(both)
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
    return {name: {**account[name], **watches[name].verdict.numbers} for name in watches}, results


def planted(results: list[Restored], trials: int) -> dict[str, object]:
    template, rng = template_for(OPTICS), np.random.default_rng(3)
    psf = PHOTONS_E * widefield_psf(OPTICS, [0.0], 33)[0]
    lights = [light_of(one.source.pixels, one.pixels, CAMERA, one.source.header) for one in results]
    pool = Pool((SIDE, SIDE))
    for light in lights[:POOLED_FRAMES]:
        pool.add((light.raw_e - light.restored_e) / light.variance_e(), light.restored_e)
    clean_map = spot_test(pool, template, CAMERA.read_noise_e, CAMERA.gain_e_per_count).detectable_e
    found: list[tuple[bool, float]] = []
    for _trial in range(trials):
        places = rng.integers(20, SIDE - 20, (SPOTS, 2))
        extra = np.zeros((SIDE, SIDE), np.float32)
        for y, x in places:
            extra[y - 16 : y + 17, x - 16 : x + 17] += psf
        pool = Pool((SIDE, SIDE))
        first = rng.integers(0, len(lights) - POOLED_FRAMES + 1)
        for light in lights[first : first + POOLED_FRAMES]:
            shown = light.restored_e + extra
            variance = np.maximum(shown, 0) + np.float32(CAMERA.read_noise_e**2)
            pool.add((light.raw_e - shown) / variance, shown)
        test = spot_test(pool, template, CAMERA.read_noise_e, CAMERA.gain_e_per_count)
        for y, x in places:
            hit = any(abs(p.y - y) <= 2 and abs(p.x - x) <= 2 for p in test.invented)
            found.append((hit, float(clean_map[y, x])))
    hits = np.array([hit for hit, _ in found])
    within = np.array([detectable for _, detectable in found]) <= PHOTONS_E
    return {
        "planted": hits.size,
        "caught": round(float(hits.mean()), 3),
        "where_detectable": int(within.sum()),
        "caught_there": round(float(hits[within].mean()), 3) if within.any() else None,
        "detectable_e_median": round(float(np.median([d for _, d in found])), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="denoise-live")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), choices=list(SCENES))
    options = parser.parse_args()
    report: dict[str, object] = {
        "engine": options.engine,
        "spot_sigma_px": template_for(OPTICS).sigma_px,
    }
    for scene in options.scenes:
        sequence = Sequence(scene, options.engine, options.frames)
        counted, results = clean(sequence, options.frames, 2 * POOLED_FRAMES)
        report[scene] = {
            "clean": counted,
            "planted, engine": planted(results[0::2], options.trials),
            "planted, ideal": planted(results[1::2], options.trials),
        }
        sys.stderr.write(f"{scene}: {report[scene]}\n")
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
