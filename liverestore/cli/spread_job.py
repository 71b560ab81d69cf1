"""All frames of a movie through one engine on several workers, into one OME-Zarr.

The same function as that of one process restores each frame. Workers write pixels; this process
writes everything else: the records, in the order of the file, and the description of the file.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import distributed

from liverestore.cli.backlog_plan import signature
from liverestore.cli.interrupt import Interrupt
from liverestore.cli.restore_job import Notes, with_progress
from liverestore.cli.spread_worker import FrameTask, Made, SpreadJob, SpreadWorker, restore_frame
from liverestore.errors import Failure, LiverestoreError, UserError
from liverestore.frame_record import FrameRecord, decode_record
from liverestore.writer.ome import OmeSink

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Spread", "SpreadReport", "job_name"]

_WAITING_EACH = 3
"""Frames under way for each thread of the cluster, so that none waits for its next one."""
_AHEAD_EACH = 64
"""Frames that may be done beyond one that is not, likewise."""
_LOOK_EVERY_S = 2.0
_NO_WORKER_S = 120.0
"""How long the job goes on hoping where the cluster has no worker."""


@dataclass(slots=True)
class SpreadReport:
    """What became of the job."""

    path: Path
    frames: int
    """Pictures that the file holds."""
    seconds: float
    runtimes: tuple[str, ...]
    """What restored them; one, where all workers are alike."""
    mended: int = 0
    interrupted: bool = False


def job_name() -> str:
    """A name that no other job on the cluster has."""
    return f"liverestore-{uuid.uuid4().hex[:12]}"


class Spread:
    """Restores frames on the workers of `client`. Use `run` once."""

    def __init__(
        self,
        client: distributed.Client,
        job: SpreadJob,
        sink: OmeSink,
        *,
        held: Sequence[FrameRecord] = (),
        on_frame: Callable[[int], bool] = lambda _done: False,
    ) -> None:
        """`held` are the records of the pictures that the file at `job.out` has already.

        `on_frame` is told after each frame how many are done, and says whether to end, as Ctrl-C
        does.
        """
        self._client = client
        self._job = job
        self._sink = sink
        self._held = list(held)
        self._on_frame = on_frame
        self._notes = Notes(job.dtype)
        self._runtimes: dict[str, None] = {}
        self._mended = 0
        self._like: list[object] = []

    def run(self, order: Sequence[int], planes: int) -> tuple[SpreadReport, Notes]:
        """Restore the frames at `order`, `planes` pictures of each, up to Ctrl-C.

        Raises `LiverestoreError` where a frame cannot be restored or written; what was done
        before it is kept.
        """
        started = time.monotonic()
        plugin = SpreadWorker(self._job)
        self._client.register_plugin(plugin)
        interrupted = False
        try:
            for record in self._held:
                self._sink.note(record, self._job.dtype)
                self._see(record)
            self._like = [_making(record) for record in self._held[:planes]]
            with Interrupt() as interrupt:
                made = self._all(order, planes)
                for done, _made in enumerate(with_progress(made, len(order)), 1):
                    if (interrupt.asked or self._on_frame(done)) and done < len(order):
                        interrupted = True
                        break
                made.close()
        except LiverestoreError as error:
            kept = self._sink.close()
            text = f"{error}; {kept.frames} pictures are kept in {kept.path}, go on with --resume"
            raise type(error)(text if kept.frames else str(error)) from error
        finally:
            report = self._sink.close()
            # A worker that was just replaced, or a cluster that is gone, has none to close.
            with contextlib.suppress(KeyError, OSError):
                self._client.unregister_worker_plugin(self._job.name)
        return (
            SpreadReport(
                report.path,
                report.frames,
                time.monotonic() - started,
                tuple(self._runtimes),
                self._mended,
                interrupted,
            ),
            self._notes,
        )

    def _all(self, order: Sequence[int], planes: int) -> Generator[Made, None, None]:
        """Everything that was made, in the order of the file, its records written."""
        tasks = self._tasks(order, planes)
        first = next(tasks, None)
        if first is None:
            return
        if not first.told:
            # Its pixels come here, and make the file.
            first = FrameTask(first.index, first.places, write=False)
        for made in self._results(iter([first])):
            yield self._written(made)
        waiting: dict[int, Made] = {}
        wanted = first.places.stop
        results = self._results(tasks, lambda: wanted)
        try:
            for made in results:
                waiting[made.task.places.start] = made
                while wanted in waiting:
                    ready = waiting.pop(wanted)
                    wanted = ready.task.places.stop
                    yield self._written(ready)
        finally:
            results.close()

    def _tasks(self, order: Sequence[int], planes: int) -> Iterator[FrameTask]:
        for frame, index in enumerate(order):
            places = range(frame * planes, (frame + 1) * planes)
            told = tuple(record.crc32 for record in self._held[places.start : places.stop])
            yield FrameTask(int(index), places, told)

    def _results(
        self, tasks: Iterator[FrameTask], wanted: Callable[[], int] = lambda: 0
    ) -> Generator[Made, None, None]:
        """What workers make of `tasks`, in the order in which it is done.

        A frame whose worker is lost goes to another one; the scheduler does that.
        """
        under_way: set[Any] = set()
        held_back: FrameTask | None = None
        alone_since: float | None = None
        try:
            while True:
                threads = max(1, sum(self._client.nthreads().values()))
                while len(under_way) < _WAITING_EACH * threads:
                    task = held_back or next(tasks, None)
                    held_back = None
                    if task is None:
                        break
                    if task.places.start > wanted() + _AHEAD_EACH * threads * len(task.places):
                        held_back = task
                        break
                    under_way.add(
                        self._client.submit(restore_frame, self._job.name, task, pure=False)
                    )
                if not under_way:
                    return
                try:
                    done, _ = distributed.wait(
                        under_way, timeout=_LOOK_EVERY_S, return_when="FIRST_COMPLETED"
                    )
                except TimeoutError:
                    alone_since = self._still_hoping(alone_since)
                    continue
                alone_since = None
                for future in done:
                    under_way.discard(future)
                    yield _result(future)
        finally:
            self._client.cancel(list(under_way), force=True)

    def _still_hoping(self, alone_since: float | None) -> float | None:
        """Since when the cluster has no worker. Raises `Failure` where that is too long."""
        if self._client.nthreads():
            return None
        now = time.monotonic()
        if alone_since is not None and now - alone_since > _NO_WORKER_S:
            raise Failure(
                f"the cluster has had no worker for {_NO_WORKER_S:.0f} s; start workers there"
            )
        return alone_since or now

    def _written(self, made: Made) -> Made:
        for picture in made.pictures or ():
            self._sink.append(picture)
            self._notes.see(picture.provenance.warnings, 0)
            self._runtimes.setdefault(picture.provenance.runtime)
        for line in made.records:
            record = decode_record(line, f"{self._job.out}, frame {made.task.index}")
            self._check_like(record)
            self._sink.note(record, self._job.dtype)
            self._see(record)
        self._notes.see((), made.clipped)
        self._mended += made.mended
        return made

    def _check_like(self, record: FrameRecord) -> None:
        """Refuse to go on with a file in another way than its frames were made."""
        if self._like and _making(record) != self._like[record.index % len(self._like)]:
            raise UserError(
                f"{self._job.out}: frame {record.header.number} would be restored in another way "
                "than the frames that are there; restore all of them anew, without --resume"
            )

    def _see(self, record: FrameRecord) -> None:
        assert record.provenance is not None, "a restored frame says what restored it"
        self._notes.see(record.provenance.warnings, 0)
        self._runtimes.setdefault(record.provenance.runtime)


def _making(record: FrameRecord) -> object:
    assert record.provenance is not None, "a restored frame says what restored it"
    return signature([record.provenance])


def _result(future: Any) -> Made:
    try:
        made: Made = future.result()
    except distributed.KilledWorker as error:
        raise Failure(
            "a frame ended several workers one after the other: they may lack memory; start fewer "
            "of them"
        ) from error
    return made
