"""What one worker of a cluster does: frames of a movie into the chunks of an OME-Zarr.

The worker keeps the engine open from frame to frame. It writes pixels itself, each frame into a
file of its own, and gives back their records, which one process alone writes.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import distributed
import msgspec
import numpy as np

from liverestore.camera_model import CameraModel
from liverestore.cli.output_file import as_dtype
from liverestore.cli.refocus_options import Refocusing
from liverestore.cli.restore_job import restored_of
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame import Restored
from liverestore.frame_record import crc32, record_of
from liverestore.model_spec import ModelSpec, find_engine
from liverestore.movie import Movie, open_movie
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import open_runtime
from liverestore.version import __version__
from liverestore.writer.layout import Layout
from liverestore.writer.zarr_chunks import chunk_file, write_chunk

__all__ = ["FrameTask", "Made", "SpreadJob", "SpreadWorker", "restore_frame"]


@dataclass(frozen=True, slots=True)
class SpreadJob:
    """All that a worker must know."""

    name: str
    """Tells jobs on the same cluster apart."""
    source: Path
    out: Path
    layout: Layout
    """Of the file at `out`."""
    spec: ModelSpec
    camera: CameraModel
    refocusing: Refocusing | None
    dtype: str
    threads: int | None
    """Of the processor for each worker; None: as many as the worker has."""
    version: str = __version__


@dataclass(frozen=True, slots=True)
class FrameTask:
    """One frame of the movie."""

    index: int
    """In the movie."""
    places: range
    """In the file, one for each picture that is made of it."""
    told: tuple[int, ...] = ()
    """Checksums of the pictures where they are there already and are only to be verified."""
    write: bool = True
    """Whether the worker writes the pixels; else it gives them back."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a task."""

    task: FrameTask
    records: list[bytes]
    """One line of JSON for each picture; empty where all that was there is whole."""
    clipped: int = 0
    mended: bool = False
    """Pictures that were there were damaged, and are made again."""
    pictures: list[Restored] | None = None
    """Only where the worker was not to write."""


class SpreadWorker(distributed.WorkerPlugin):
    """Lives on every worker of the cluster, also on one that takes the place of a lost one."""

    def __init__(self, job: SpreadJob) -> None:
        self.job = job
        self.name = job.name

    def setup(self, worker: Any) -> None:
        """Called on the worker. Nothing is opened before the first frame comes."""
        self._lock = threading.Lock()
        self._threads = self.job.threads or worker.state.nthreads
        self._open: tuple[Movie, InferenceRuntime] | None = None
        self._over = False

    def teardown(self, worker: Any) -> None:
        """Called on the worker at the end of the job: give the engine's memory back.

        It never waits, since the worker answers nobody meanwhile: a frame that is still at work,
        which nobody wants any more, gives it back when it is done.
        """
        self._over = True
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    def _close(self) -> None:
        if self._open is not None:
            movie, runtime = self._open
            self._open = None
            runtime.close()
            movie.close()

    def make(self, task: FrameTask) -> Made:
        """Restore one frame, or verify what is there. One at a time: engines are not shared."""
        with self._lock:
            try:
                return self._make(task)
            finally:
                if self._over:
                    self._close()

    def _make(self, task: FrameTask) -> Made:
        if self._over:
            raise Failure("the job that this frame belongs to is over")
        if task.told and self._whole(task):
            return Made(task, [])
        movie, runtime = self._opened()
        job = self.job
        made, clipped = [], 0
        for restored in restored_of(
            movie, task.index, runtime, job.camera, job.dtype, job.refocusing
        ):
            fitting, outside = as_dtype(restored, job.dtype)
            clipped += outside
            made.append(fitting)
        return self._handed_in(task, made, clipped)

    def _handed_in(self, task: FrameTask, made: Sequence[Restored], clipped: int) -> Made:
        job = self.job
        records = [
            record_of(picture, place) for picture, place in zip(made, task.places, strict=True)
        ]
        if task.told and tuple(record.crc32 for record in records) != task.told:
            raise UserError(
                f"{job.out}: frame {task.index} is damaged and comes out differently now; restore "
                "all frames anew, without --resume"
            )
        if not task.write:
            return Made(task, [], clipped, pictures=list(made))
        self._check_seen(job.out)  # or it would be made anew here, where nobody looks for it
        try:
            for picture, place in zip(made, task.places, strict=True):
                write_chunk(job.out, job.layout, place, picture.pixels)
        except OSError as error:
            raise Failure(
                f"frame {task.index} could not be written to {job.out}: "
                f"{error.strerror or error}; make room and go on with --resume"
            ) from error
        if task.told:
            return Made(task, [], mended=True)
        return Made(task, [msgspec.json.encode(record) for record in records], clipped)

    def _whole(self, task: FrameTask) -> bool:
        """Whether the pixels that are there have their checksums."""
        job = self.job
        for place, told in zip(task.places, task.told, strict=True):
            try:
                stored = np.fromfile(chunk_file(job.out, job.layout, place), np.uint8)
            except OSError:
                return False
            if crc32(stored) != told:
                return False
        return True

    def _check_seen(self, path: Path) -> None:
        if not path.exists():
            raise UserError(
                f"a worker does not see {path}; IN and OUT must lie in a folder that all machines "
                "of the cluster have under the same name"
            )

    def _opened(self) -> tuple[Movie, InferenceRuntime]:
        if self._open is None:
            job = self.job
            if job.version != __version__:
                raise UserError(
                    f"a worker has liverestore {__version__}, but {job.version} is wanted; install "
                    "the same version on all machines of the cluster"
                )
            self._check_seen(job.source)
            runtime = open_runtime(_engine_here(job.spec), threads=self._threads)
            self._open = open_movie(job.source), runtime
        return self._open


def _engine_here(spec: ModelSpec) -> ModelSpec:
    """The engine on this machine: where it lies there, or installed under its name."""
    if spec.weights is None:
        return find_engine(spec.name)
    try:
        spec.check_weights()
    except LiverestoreError:
        here = find_engine(spec.name)
        if here.sha256 != spec.sha256:
            raise UserError(
                f"a worker has another engine '{spec.name}' (sha256 {here.sha256[:12]}..., wanted "
                f"is {spec.sha256[:12]}...); install the same one on all machines"
            ) from None
        return here
    return spec


def restore_frame(name: str, task: FrameTask) -> Made:
    """The task of the cluster: `SpreadWorker.make` of the job `name` on the worker at hand."""
    plugin = distributed.get_worker().plugins[name]
    assert isinstance(plugin, SpreadWorker), "jobs have names of their own"
    return plugin.make(task)
