"""Numbered results of a pure function, made ahead of time by other processes.

What NumPy makes (specimens in two dimensions, point spread functions) would keep a GPU waiting
if it were made when it is asked for.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Generic, TypeVar

__all__ = ["Prepared"]

T = TypeVar("T")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _begin() -> None:
    # Ctrl-C is for the training, which then ends its helpers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


class Prepared(Generic[T]):
    """`make(number)`, in `workers` processes ahead of time; with none, when it is asked for.

    `make` is a function that another process can import, or a `functools.partial` of one.
    """

    def __init__(self, make: Callable[[int], T], workers: int = 0) -> None:
        self._make = make
        self._futures: dict[int, Future[T]] = {}
        self._pool: ProcessPoolExecutor | None = None
        if workers > 0:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, initializer=_begin)

    def want(self, numbers: Iterable[int]) -> None:
        """These will be asked for soon, in this order; what was wanted before is forgotten."""
        if self._pool is None:
            return
        wanted = list(numbers)
        for number in self._futures.keys() - set(wanted):
            self._futures.pop(number).cancel()
        for number in wanted:
            if number not in self._futures:
                self._futures[number] = self._pool.submit(self._make, number)

    def get(self, number: int) -> T:
        """The result of that number; raises what `make` raised."""
        future = self._futures.get(number)
        return self._make(number) if future is None else future.result()

    def close(self) -> None:
        """End the processes; safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._futures.clear()
