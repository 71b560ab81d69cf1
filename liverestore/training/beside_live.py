"""An engine for the sample on the stage, trained beside a live run and scored on frames that it
never saw, next to the engine in use.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel, estimate_from_movie
from liverestore.errors import UserError
from liverestore.frame import Frame, FrameHeader
from liverestore.model_spec import ModelSpec, find_engine
from liverestore.restore import restore
from liverestore.runtime.table import open_on_processor
from liverestore.training.held_out import Comparison, compare, distances
from liverestore.training.job import OnIteration
from liverestore.training.n2v import N2vJob, train_n2v
from liverestore.training.recordings import read_recordings

__all__ = ["LEAST_FRAMES", "BesideLiveJob", "train_beside_live"]

LEAST_FRAMES = 12
_HELD_OUT_SHARE = 0.25
_MOST_HELD_OUT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideLiveJob:
    """One training; nothing but `out` is left behind."""

    frames: Path
    """Movie of one field of view; its name stands in the card."""
    out: Path
    """Folder of the engine package; put there whole, or not at all."""
    scratch: Path
    """Folder for what is made on the way; taken away afterwards."""
    against: str | None = None
    """Engine in use."""
    camera: CameraModel | None = None
    """Of the rig, without maps; None: estimated from the frames."""
    seconds: float | None = 120.0
    """Of processor time for each thread: while a live run takes the processor, longer."""
    iterations: int | None = None
    """The first of both that is reached ends the learning."""
    threads: int = 1
    seed: int = 1


def train_beside_live(
    job: BesideLiveJob,
    on_iteration: OnIteration | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Comparison:
    """Hold out the last quarter of the frames, at most 16; learn from the others; score.

    Only the processor is used, by `threads` threads. Raises `UserError` for fewer than 12 frames,
    frames that cannot be trained on, and a package that exists.
    """
    if job.out.exists():
        raise UserError(f"{job.out}: exists already; choose another name")
    # Before anything is learned: a name may be wrong.
    old = None if job.against is None else find_engine(job.against)
    movie = max(read_recordings(job.frames, least_frames=1), key=len)
    if len(movie) < LEAST_FRAMES:
        raise UserError(
            f"{job.frames}: got {len(movie)} frames, at least {LEAST_FRAMES} are needed; wait for "
            "more"
        )
    held_out = min(_MOST_HELD_OUT, round(_HELD_OUT_SHARE * len(movie)))
    learned, last = movie[:-held_out], list(movie[-held_out:])
    camera = job.camera or estimate_from_movie(np.ascontiguousarray(movie))
    made = job.scratch / "engine" / job.out.name
    try:
        # Under the name that it came with: that is what the card calls it.
        part = job.scratch / "learned" / job.frames.name.replace(".zarr", ".tif")
        part.parent.mkdir(parents=True)
        made.parent.mkdir(parents=True)
        tifffile.imwrite(part, learned, photometric="minisblack", metadata={"axes": "TYX"})
        train_n2v(
            N2vJob(
                frames=part,
                out=made,
                seconds=job.seconds,
                iterations=job.iterations,
                seed=job.seed,
                threads=job.threads,
                device="cpu",
                gives_way=True,
            ),
            on_iteration,
            lambda diagnosis: say(diagnosis.words),
            say,
        )
        say(f"scoring on {held_out} frames that it never saw")
        if old is not None and (old.refocuses or old.task != "denoise"):
            say(f"{old.name} does not only denoise: nothing to compare with")
            old = None
        found = compare(
            _score(find_engine(str(made)), last, camera, job.threads),
            None if old is None else _score(old, last, camera, job.threads),
            distances(last, camera, None),
        )
        job.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made, job.out)
    finally:
        shutil.rmtree(job.scratch, ignore_errors=True)
    return found


def _score(
    spec: ModelSpec, frames: list[NDArray[np.generic]], camera: CameraModel, threads: int
) -> NDArray[np.float64]:
    runtime = open_on_processor(spec, threads=threads)
    try:

        def restored(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
            return restore(Frame(pixels, _header(pixels)), spec, runtime.infer, camera).pixels

        return distances(frames, camera, restored)
    finally:
        runtime.close()


def _header(pixels: NDArray[np.generic]) -> FrameHeader:
    height, width = pixels.shape
    return FrameHeader(
        run_id="held out",
        number=0,
        shape=(height, width),
        dtype="uint8" if pixels.dtype.itemsize == 1 else "uint16",
        captured_ns=0,
        captured_utc="",
        camera="",
    )
