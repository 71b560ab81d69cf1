"""Memory that the core's ring of images leaves behind when it is made anew."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable

__all__ = ["RingMemory"]


class RingMemory:
    """Gives the system back what a ring held that another thread had made.

    The core makes its whole ring anew with every sequence. glibc has an arena for each thread, and
    that of the main thread keeps what is freed in it below something that is still in use: a ring
    made with the configuration and made anew by the camera thread was held twice (measured: 256 MB
    too many with a ring of 256 MB, given back within 60 ms). Other C libraries have one heap.
    """

    def __init__(self) -> None:
        self._maker: int | None = None
        self._trim = _glibc_trim()

    def made_anew(self) -> None:
        """The calling thread has begun a sequence."""
        me = threading.get_ident()
        if me != self._maker:
            self._maker = me
            if self._trim is not None:
                # Outside of Python's lock: nobody else waits for it.
                self._trim(0)


def _glibc_trim() -> Callable[[int], int] | None:
    """`malloc_trim`; None where the C library has none."""
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim
