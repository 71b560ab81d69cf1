"""Ctrl-C as a wish to end after the work at hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from liverestore.service.ending_signals import ending_signals

__all__ = ["INTERRUPTED", "Interrupt", "ended_by_sigterm"]

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended (128 + SIGINT)."""


class Interrupt:
    """Ctrl-C ends the work after the frame at hand, so that no frame is half written.

    A second Ctrl-C ends it at once.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether Ctrl-C was pressed."""

    def __enter__(self) -> Interrupt:
        self._in_main = threading.current_thread() is threading.main_thread()
        if self._in_main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._in_main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, *_: object) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, and Ctrl-Break of Windows, end the block as Ctrl-C does.

    So the shutter is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    others = [number for number in ending_signals() if number is not signal.SIGINT]
    before = {number: signal.signal(number, signal.default_int_handler) for number in others}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
