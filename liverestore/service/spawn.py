"""Starts one process of a run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess

from liverestore.service.plan import RunPlan

__all__ = ["Target", "spawn"]

Target = Callable[[RunPlan], None]
"""Entry point of a process; importable by its name."""


def spawn(name: str, target: Target, plan: RunPlan) -> BaseProcess:
    """Start `target(plan)` as process `name`; call it from the main thread.

    Spawned, never forked: threads, sockets and GPU contexts do not survive a fork.
    """
    process = multiprocessing.get_context("spawn").Process(target=target, args=(plan,), name=name)
    with _one_blas_thread(), _deaf_to_ctrl_c():
        process.start()
    return process


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A child inherits that Ctrl-C is blocked, from its first moment on (not on Windows).

    Blocked, not ignored: a Ctrl-C in this very moment still reaches the supervisor after it.
    """
    if sys.platform == "win32":
        yield
        return
    # The first start would start this helper of multiprocessing too, which unblocks Ctrl-C.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Small matrix products on all cores wait for each other more than they compute.

    Measured on two busy cores: 64 to 87 ms instead of 12 for a frame of the simulated
    specimen. BLAS reads this once, when a spawned process first loads it.
    """
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
