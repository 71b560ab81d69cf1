"""A process that works only while no other wants the processor."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["give_way"]

_IDLE_PRIORITY_CLASS = 0x40
"""Of the Windows API."""


def give_way() -> str:
    """Lower the priority of this process, and of all threads that it starts, for good.

    Linux: the idle scheduling policy, which runs only what nobody else would, and gives way at
    once; macOS: the lowest nice value; Windows: the idle priority class. Returns what was done,
    in words. Raises `OSError` where the system refuses.
    """
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        # Told, or a handle of 64 bits would be passed as a number of 32.
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = [ctypes.c_void_p, ctypes.c_ulong]
        if not kernel.SetPriorityClass(kernel.GetCurrentProcess(), _IDLE_PRIORITY_CLASS):
            raise ctypes.WinError(ctypes.get_last_error())
        return "idle priority class"
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        return "idle scheduling"
    os.nice(19)
    return "nice 19"
