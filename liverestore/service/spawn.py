"""Starts one process of a run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess

from liverestore.service.ending_signals import deaf_to_ctrl_c
from liverestore.service.plan import RunPlan

__all__ = ["Target", "spawn"]

Target = Callable[[RunPlan], None]
"""Entry point of a process; importable by its name."""


def spawn(name: str, target: Target, plan: RunPlan) -> BaseProcess:
    """Start `target(plan)` as process `name`; call it from the main thread.

    Spawned, never forked: threads, sockets and GPU contexts do not survive a fork.
    """
    process = multiprocessing.get_context("spawn").Process(target=target, args=(plan,), name=name)
    with _one_blas_thread(), deaf_to_ctrl_c():
        process.start()
    return process


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
