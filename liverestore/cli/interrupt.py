"""Ctrl-C as a wish to end after the work at hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from liverestore.service.ending_signals import ending_signals, let_go_of_terminal

__all__ = ["INTERRUPTED", "Interrupt", "ended_by_sigterm"]

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C ended (128 + SIGINT)."""


class Interrupt:
    """Ctrl-C ends the work after the frame at hand, so that no frame is half written.

    So do SIGTERM, a closed terminal, and Ctrl-Break of Windows. A second one ends it at once.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether Ctrl-C was pressed."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in ending_signals()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        let_go_of_terminal(number)
        self.asked = True
        for one in self._before:
            signal.signal(one, signal.default_int_handler)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM, a closed terminal, and Ctrl-Break of Windows end the block as Ctrl-C does.

    So the shutter is closed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    others = [number for number in ending_signals() if number is not signal.SIGINT]

    def on_signal(number: int, frame: FrameType | None) -> None:
        let_go_of_terminal(number)
        signal.default_int_handler(number, frame)

    before = {number: signal.signal(number, on_signal) for number in others}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
