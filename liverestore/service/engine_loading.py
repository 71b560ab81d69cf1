"""Opens and warms runtimes in a thread, one at a time, while others go on restoring."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from liverestore.errors import Failure, LiverestoreError
from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import serving_words
from liverestore.service.low_priority import lower_priority

__all__ = ["Frames", "Loader", "Loading", "OpenRuntime", "let_go"]

log = logging.getLogger(__name__)

OpenRuntime = Callable[[str], InferenceRuntime]
"""From the name of an engine to its runtime. Raises `LiverestoreError`."""

Frames = tuple[tuple[int, int], str]
"""Shape (Y, X) and dtype of the frames to be restored."""

_NICE = 5
"""Added to the niceness of the loading thread: a third of the processor's time of its peers. More
would keep a person waiting for the engine where restoring alone fills all cores."""


@dataclass(slots=True)
class Loading:
    """One engine on its way, and what became of it."""

    name: str
    frames: Frames | None
    """What to be warm for; None before the first frame. May change while it loads."""
    runtime: InferenceRuntime | None = None
    warm_for: Frames | None = None
    words: str = ""
    """What serves it and why nothing faster does."""
    error: LiverestoreError | None = None
    cancelled: bool = False


def _kind(runtime: InferenceRuntime) -> type[object]:
    # What spares memory is no kind of its own.
    return type(getattr(runtime, "inner", runtime))


class Loader:
    """Loads engines for the thread that calls it, which never waits for them.

    What is loaded is what `want` named last; `take` hands over what is done. One thread loads
    and one closes what is no longer needed. Loading runs at a lower priority on Linux, except
    the first time of each kind of runtime: libraries start threads then that stay and would
    infer at that priority (measured with OpenVINO, whose workers inherit it; those of later
    networks were idle).
    """

    def __init__(self, open_engine: OpenRuntime) -> None:
        self._open = open_engine
        self._kinds: set[type[object]] = set()
        self._names: list[str] = []
        self._job: Loading | None = None
        self._thread: threading.Thread | None = None
        self._retired: list[InferenceRuntime] = []
        self._closing: threading.Thread | None = None

    def load(self, name: str, frames: Frames | None) -> Loading:
        """Load engine `name` now, in the caller's thread. Raises `LiverestoreError`."""
        job = Loading(name, frames)
        self._run(job, lower=False)
        if job.error is not None:
            raise job.error
        return job

    def started(self, runtime: InferenceRuntime) -> None:
        """`runtime` has inferred: the threads of its kind are there."""
        self._kinds.add(_kind(runtime))

    def want(self, names: Sequence[str], frames: Frames | None) -> None:
        """Load these engines, in this order, for `frames`; drop what was wanted before."""
        job = self._job
        if job is not None:
            job.frames = frames
            job.cancelled = job.cancelled or job.name not in names
        loading = job.name if job is not None and not job.cancelled else None
        self._names = [name for name in dict.fromkeys(names) if name != loading]
        self._begin(frames)

    def take(self, frames: Frames | None) -> Loading | None:
        """An engine that was wanted and is ready, or failed; then the next one is begun."""
        job, thread = self._job, self._thread
        self._close_retired()
        if job is None or thread is None or thread.is_alive():
            return None
        thread.join()
        self._job = self._thread = None
        self._begin(frames)
        if job.cancelled:
            if job.runtime is not None:
                self.retire(job.runtime)
            return None
        return job

    def retire(self, runtime: InferenceRuntime) -> None:
        """Close a runtime that serves no longer, without waiting for it."""
        self._retired.append(runtime)
        self._close_retired()

    def close(self) -> None:
        """Drop what is loading and wait until all that was opened is closed."""
        self._names = []
        job = self._job
        if job is not None and self._thread is not None:
            job.cancelled = True
            self._thread.join()
            if job.runtime is not None:
                self._retired.append(job.runtime)
        self._job = self._thread = None
        while self._closing is not None or self._retired:
            self._close_retired()
            if self._closing is not None:
                self._closing.join()

    def _begin(self, frames: Frames | None) -> None:
        if self._job is not None or not self._names:
            return
        job = self._job = Loading(self._names.pop(0), frames)
        self._thread = threading.Thread(
            target=self._run, args=(job,), kwargs={"lower": True}, name="engine loader", daemon=True
        )
        self._thread.start()

    def _run(self, job: Loading, *, lower: bool) -> None:
        try:
            self._load(job, lower)
        except LiverestoreError as error:
            job.error = error
        except Exception as error:
            # This thread's last line of defence: whatever a library raises, the engine in use
            # goes on and the person is told.
            log.exception("engine '%s' could not be loaded", job.name)
            job.error = Failure(
                f"engine '{job.name}': unexpected {type(error).__name__}: "
                f"{' '.join(str(error).split())}"
            )
        if job.error is not None and job.runtime is not None:
            runtime, job.runtime = job.runtime, None
            let_go(runtime)

    def _load(self, job: Loading, lower: bool) -> None:
        # At full priority: this is Python, and who waits for its lock waits for all of us.
        runtime = job.runtime = self._open(job.name)
        if lower and _kind(runtime) in self._kinds:
            lower_priority(_NICE)
        warm_for = None
        # The size of the frames may change while it warms up for the one before.
        while not job.cancelled and (frames := job.frames) is not None and warm_for != frames:
            runtime.warm_up(*frames)
            warm_for = frames
        job.warm_for = warm_for
        if warm_for is not None:
            self.started(runtime)
        job.words = serving_words(runtime)

    def _close_retired(self) -> None:
        if self._closing is not None and not self._closing.is_alive():
            self._closing.join()
            self._closing = None
        if self._closing is None and self._retired:
            retired, self._retired = self._retired, []
            self._closing = threading.Thread(
                target=_close_all, args=(retired,), name="engine closer", daemon=True
            )
            self._closing.start()


def _close_all(runtimes: Sequence[InferenceRuntime]) -> None:
    for runtime in runtimes:
        let_go(runtime)


def let_go(runtime: InferenceRuntime) -> None:
    """Close `runtime`, which serves no longer; one that cannot be closed goes into the log."""
    try:
        runtime.close()
    except (LiverestoreError, RuntimeError) as error:
        # Nothing waits for it; its memory is the system's when the process ends.
        log.warning("%s could not be closed: %s", runtime.description, error)
