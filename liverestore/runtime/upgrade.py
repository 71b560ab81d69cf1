"""Restoring goes on with what is there while something faster is made ready, or has failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, LiverestoreError
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole
from liverestore.runtime.base import InferenceRuntime, RuntimeChanged, whole_of

__all__ = ["UpgradingRuntime"]

log = logging.getLogger(__name__)

_SIZES_KEPT = 3
"""Frame sizes that a runtime on a GPU holds ready (see `device_slots`)."""

_NOT_READY = (LiverestoreError, RuntimeError, MemoryError, OSError, ImportError)
"""What the libraries of GPUs raise while they are loaded and made ready."""

_Frames = tuple[tuple[int, int], str]
"""Shape (Y, X) and dtype of the frames that come."""


class UpgradingRuntime:
    """Runs `first` until what `open_better` gives is warm, and that from the next frame on.

    Opening and warming happen in a thread, for the frame size that was asked for last; the
    change happens between two calls of `infer`. A new frame size is served by `first` again
    until the better one is warm for it. When the better one fails, at the start or in mid-run,
    `first` serves for good: in mid-run the call raises `RuntimeChanged` and the same frame can be
    restored again. `tell` gets one line either way, from the thread that calls `infer`.
    """

    def __init__(
        self,
        first: InferenceRuntime,
        open_better: Callable[[], InferenceRuntime],
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._first = first
        self._now = first
        self._open = open_better
        self._tell = tell
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        # Under the lock:
        self._frames: _Frames | None = None
        self._better: InferenceRuntime | None = None
        self._warm: list[_Frames] = []
        """What the better one is warm for; empty again when it is gone."""
        self._works = False
        """Whether the thread will still look at `_frames`."""
        self._failed: str | None = None
        self._told_better = False
        self._told_failed = False

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self._now.spec

    @property
    def description(self) -> str:
        """Of the runtime that serves the next frame, unless a better one is ready by then."""
        return self._now.description

    @property
    def why_not_better(self) -> str | None:
        """Why the better one does not serve, in words; None while it does."""
        if self._now is not self._first:
            return None
        return self._failed or "it is being made ready"

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Prepare what serves frames of `shape` (Y, X), and begin with the better one."""
        frames = (shape, dtype)
        with self._lock:
            self._frames = frames
            ready = not self._works and frames in self._warm
            begin = not ready and not self._works and self._failed is None
            begin = begin and not self._ended.is_set()
            self._works = self._works or begin
        if not ready:
            self._now = self._first
        if begin:
            if self._thread is not None:
                self._thread.join()
            self._thread = threading.Thread(target=self._make_ready, name="better runtime")
            self._thread.start()
        if not ready:
            self._first.warm_up(shape, dtype)
        self._change()

    def _make_ready(self) -> None:
        better = self._better
        try:
            if better is None:
                better = self._open()
            while (frames := self._to_warm()) is not None:
                better.warm_up(*frames)
                with self._lock:
                    self._better = better
                    self._warm = [*self._warm, frames][-_SIZES_KEPT:]
        except _NOT_READY as error:
            with self._lock:
                self._failed = _one_line(error)
                self._works = False
                self._better = None
                self._warm = []
            if better is not None:
                _close(better)
            return
        with self._lock:
            unseen = self._better is None
        if unseen:  # closed before it was warm
            better.close()

    def _to_warm(self) -> _Frames | None:
        """The size that frames have now, where it is not warm yet; None ends the thread."""
        with self._lock:
            if not self._ended.is_set() and self._frames not in self._warm:
                return self._frames
            self._works = False
            return None

    def _change(self) -> None:
        """Take the better one if it is ready; tell once what became of it."""
        with self._lock:
            better = self._better
            ready = not self._works and self._frames in self._warm
            failed = self._failed
        if better is not None and ready:
            self._now = better
            if not self._told_better:
                self._told_better = True
                self._tell(f"engine '{self.spec.name}' now runs on {better.description}")
        elif failed is not None and not self._told_failed:
            self._told_failed = True
            self._tell(f"engine '{self.spec.name}' stays on {self._now.description}: {failed}")

    def _fall_back(self, error: Exception) -> RuntimeChanged:
        """Serve with `first` for good; what to raise, so that the frame is done again."""
        better, reason = self._now, _one_line(error)
        with self._lock:
            self._failed = reason
            self._better = None
            self._warm = []
            frames = self._frames
        self._now = self._first
        _close(better)
        line = (
            f"engine '{self.spec.name}' goes on with {self._now.description}: "
            f"{better.description} failed ({reason})"
        )
        self._told_failed = True
        self._tell(line)
        if frames is not None:
            self._first.warm_up(*frames)
        return RuntimeChanged(line)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 in, (N, C', Y, X) float32 out, by the best that is ready.

        Raises `RuntimeChanged` when the better one fails, and what `first` raises.
        """
        self._change()
        if self._now is self._first:
            return self._now.infer(batch)
        try:
            return self._now.infer(batch)
        except (Failure, RuntimeError) as error:
            raise self._fall_back(error) from error

    @property
    def whole(self) -> Whole | None:
        """The short way of the runtime that serves the next frame, where it has one.

        Raises `RuntimeChanged` as `infer` does.
        """
        self._change()
        whole = whole_of(self._now)
        if whole is None or self._now is self._first:
            return whole

        def guarded(
            pixels: NDArray[Any],
            camera: CameraModel,
            waves: Sequence[NDArray[np.float32]] | None,
        ) -> NDArray[Any] | None:
            try:
                return whole(pixels, camera, waves)
            except (Failure, RuntimeError) as error:
                raise self._fall_back(error) from error

        return guarded

    def close(self) -> None:
        """Free everything; waits for what is being made ready. Safe to call twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            better, self._better = self._better, None
            self._warm = []
        self._now = self._first
        if better is not None:
            better.close()
        self._first.close()


def _close(runtime: InferenceRuntime) -> None:
    """Close what has failed; a broken device may refuse even that."""
    try:
        runtime.close()
    except (Failure, RuntimeError) as error:
        log.warning("%s could not be closed: %s", runtime.description, _one_line(error))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
