"""The signals that ask a program to end, on each system; and children that do not hear Ctrl-C."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker

__all__ = ["deaf_to_ctrl_c", "ending_signals", "hear_ctrl_c_no_more", "let_go_of_terminal"]

_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


def ending_signals() -> tuple[signal.Signals, ...]:
    """Ctrl-C and SIGTERM; where the system has them also SIGHUP, which tells that the terminal was
    closed and that `nohup` switches off, and Ctrl-Break of Windows, where nobody sends SIGTERM.
    """
    told = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGBREAK", None)]
    if _HANGUP is not None and signal.getsignal(_HANGUP) is not signal.SIG_IGN:
        told.append(_HANGUP)
    return tuple(number for number in told if number is not None)


def let_go_of_terminal(number: int) -> None:
    """Where signal `number` tells that the terminal was closed, write nothing to it any more.

    Each line would raise `OSError`, in the middle of what is to be ended in order. An output that
    goes into a file goes there on.
    """
    if number != _HANGUP:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        with contextlib.suppress(OSError):  # closed from the beginning
            if stat.S_ISCHR(os.fstat(output).st_mode):
                os.dup2(nowhere, output)
    os.close(nowhere)


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """A child that is started inside does not hear Ctrl-C, from its first moment on.

    It reaches every process of a terminal, and one that still imports its libraries would die of
    it with a traceback. On POSIX it is blocked, not ignored: a Ctrl-C in this very moment still
    reaches the supervisor after it. On Windows the console's handling is inherited, and a Ctrl-C
    within these milliseconds is lost.
    """
    if sys.platform == "win32":
        ignore = _console_handler()
        ignore(None, True)
        try:
            yield
        finally:
            ignore(None, False)
        return
    # The first start would start this helper of multiprocessing too, which unblocks Ctrl-C.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear_ctrl_c_no_more() -> None:
    """Ctrl-C, a closed terminal, and Ctrl-Break of Windows do nothing to this process any more.

    What was blocked since its start, and came meanwhile, is ignored too.
    """
    for number in ending_signals():
        if number is not signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _console_handler() -> Callable[[None, bool], int]:
    """`SetConsoleCtrlHandler`: with None, whether this process and its children ignore Ctrl-C."""
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.SetConsoleCtrlHandler.argtypes = [ctypes.c_void_p, ctypes.c_int]
    handler: Callable[[None, bool], int] = kernel.SetConsoleCtrlHandler
    return handler
