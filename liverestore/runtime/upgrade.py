"""Restoring goes on with what is there while something faster is made ready."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import LiverestoreError
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole
from liverestore.runtime.base import InferenceRuntime, whole_of

__all__ = ["UpgradingRuntime"]


class UpgradingRuntime:
    """Runs `first` until what `open_better` gives is warm, and that from the next frame on.

    Opening and warming happen in a thread, for the frame size that was asked for last; the
    change happens between two calls of `infer`. When it fails, `first` goes on for good. `tell`
    gets one line either way, from the thread that calls `infer`.
    """

    def __init__(
        self,
        first: InferenceRuntime,
        open_better: Callable[[], InferenceRuntime],
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._now = first
        self._open = open_better
        self._tell = tell
        self._frames: tuple[tuple[int, int], str] | None = None
        self._better: InferenceRuntime | None = None
        self._reason: str | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self._now.spec

    @property
    def description(self) -> str:
        """Of the runtime that serves the next frame, unless a better one is ready by then."""
        return self._now.description

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Prepare what runs now for frames of `shape` (Y, X), and begin with the better one."""
        self._change()
        self._now.warm_up(shape, dtype)
        self._frames = (shape, dtype)
        if self._thread is None and not self._ended.is_set():
            self._thread = threading.Thread(target=self._make_ready, name="better runtime")
            self._thread.start()

    def _make_ready(self) -> None:
        better: InferenceRuntime | None = None
        try:
            better = self._open()
            warmed = None
            # The size may change while it warms up for the one before.
            while warmed != self._frames and not self._ended.is_set():
                warmed = self._frames
                assert warmed is not None, "this thread begins with the first size"
                better.warm_up(*warmed)
        except (LiverestoreError, RuntimeError) as error:
            # RuntimeError is what the libraries of GPUs raise.
            if better is not None:
                better.close()
            with self._lock:
                self._reason = " ".join(str(error).split())
            return
        with self._lock:
            if not self._ended.is_set():
                self._better = better
                return
        better.close()

    def _change(self) -> None:
        """Take the better one if it is ready; tell once what became of it."""
        with self._lock:
            better, self._better = self._better, None
            reason, self._reason = self._reason, None
        if better is not None:
            old, self._now = self._now, better
            old.close()
            self._tell(f"engine '{self.spec.name}' now runs on {better.description}")
        elif reason is not None:
            self._tell(f"engine '{self.spec.name}' stays on {self._now.description}: {reason}")

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 in, (N, C', Y, X) float32 out, by the best that is ready."""
        self._change()
        return self._now.infer(batch)

    @property
    def whole(self) -> Whole | None:
        """The short way of the runtime that serves the next frame, where it has one."""
        self._change()
        return whole_of(self._now)

    def close(self) -> None:
        """Free everything; waits for what is being made ready. Safe to call twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with self._lock:
            better, self._better = self._better, None
        if better is not None:
            better.close()
        self._now.close()
