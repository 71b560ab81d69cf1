"""Writing all of it or saying why not."""

from __future__ import annotations

import errno
import os
import sys
from typing import BinaryIO

__all__ = ["reason", "write_all"]

_LONG_ON_WINDOWS = 248
"""Longest path of a folder; that of a file may have 259 characters."""


def write_all(file: BinaryIO, data: memoryview | bytes) -> None:
    """Write all of `data` to an unbuffered `file`, which may take it in parts.

    Raises OSError where the disk takes no more.
    """
    rest = memoryview(data)
    while rest:
        taken = file.write(rest)
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[taken:]


def reason(error: OSError) -> str:
    """Why a write failed, for a person."""
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    length = len(str(error.filename or ""))
    if sys.platform == "win32" and length >= _LONG_ON_WINDOWS:
        # Windows itself only says that it cannot find the path.
        return (
            f"its path has {length} characters, and Windows takes 259 unless long paths are "
            "switched on; record into a folder with a shorter path"
        )
    if error.strerror:
        return error.strerror
    # numpy and tifffile report a short write without saying why.
    return f"the disk took no more: {error}"
