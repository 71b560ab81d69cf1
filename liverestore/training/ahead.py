"""Training pairs made ahead of the training that takes them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from liverestore.training.accelerator import moved

__all__ = ["Ahead", "PairSource"]


class PairSource(Protocol):
    """Delivers training pairs; the same iteration always gives the same pair."""

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target, (N, C, Y, X) float32, unit noise, independent of each other."""
        ...


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


_Made = tuple[Tensor, Tensor, "torch.cuda.Event | None"]


class Ahead:
    """Makes the pairs of another source a few iterations ahead, in one thread of its own.

    With one torch thread each, drawing noise and training keep two cores busy without waiting
    for each other. For a GPU the pairs are made on, or moved to, that GPU in a CUDA stream of
    their own, so that neither they nor a host that waits for them hold up the training; more of
    them lie in wait, because a new specimen takes as long as several steps. Close it, or use it
    in a `with` statement; the source is closed with it.
    """

    def __init__(
        self, source: PairSource, depth: int | None = None, device: torch.device | None = None
    ) -> None:
        self._source = source
        self._device = device or torch.device("cpu")
        cuda = self._device.type == "cuda"
        self._depth = depth or (8 if cuda else 3)
        self._stream: torch.cuda.Stream | None = None
        if cuda:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
            # What the source holds already may still be on its way.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="pairs")
        self._made: dict[int, Future[_Made]] = {}

    def _make(self, iteration: int) -> _Made:
        with torch.no_grad():
            if self._stream is None:
                seen, target = self._source.pair(iteration)
                return seen, target, None
            with torch.cuda.stream(self._stream):
                seen, target = (moved(t, self._device) for t in self._source.pair(iteration))
                return seen, target, self._stream.record_event()

    def pair(self, iteration: int) -> tuple[Tensor, Tensor]:
        """Input and target of this iteration; the next ones are begun."""
        for wanted in range(iteration, iteration + self._depth):
            if wanted not in self._made:
                self._made[wanted] = self._pool.submit(self._make, wanted)
        seen, target, ready = self._made.pop(iteration).result()
        if ready is not None:
            here = torch.cuda.current_stream(self._device)
            here.wait_event(ready)
            # Their memory belongs to the other stream until this one is done with it.
            seen.record_stream(here)
            target.record_stream(here)
        return seen, target

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the thread and close the source; safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(self._source, _Closable):
            self._source.close()
