"""A folder of this user alone that goes with its process, however that ends."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from types import TracebackType

__all__ = ["PrivateFolder"]

log = logging.getLogger(__name__)

_PREFIX = "liverestore-run-"
_LONGEST_PLACE = 70
"""Characters: the path of a Unix socket ends at 107, and folder and socket take up to 35."""


class PrivateFolder:
    """A new folder of mode 0700 in the system's folder for such things, removed by `close`.

    A process that is killed removes nothing, so the next folder that is made takes away those
    whose processes have gone. A lock on the folder tells: the system lets go of it with the
    process (not on Windows, where nothing is taken away).
    """

    def __init__(self) -> None:
        self.reclaimed = _reclaim()
        """Names of folders of processes that were killed, now removed."""
        if self.reclaimed:
            log.info("removed what killed runs had left: %s", ", ".join(self.reclaimed))
        self.path, self._handle = _new()

    def close(self) -> None:
        """Remove the folder and what is in it; safe to call twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def __enter__(self) -> PrivateFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _place() -> str:
    """The folder for temporary files, or /tmp where that is too deep for sockets."""
    usual = tempfile.gettempdir()
    return usual if sys.platform == "win32" or len(usual) <= _LONGEST_PLACE else "/tmp"


def _new() -> tuple[Path, int | None]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_place()))
        if sys.platform == "win32":
            return path, None
        # Somebody who reclaims may take it for one that was left, before it is locked.
        handle = _lock(path)
        if handle is not None:
            return path, handle


def _reclaim() -> list[str]:
    """Remove the folders of this user that nobody holds; their names."""
    if sys.platform == "win32":
        return []
    gone = []
    for path in sorted(Path(_place()).glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            told = path.lstat()
            if not stat.S_ISDIR(told.st_mode) or told.st_uid != os.getuid():
                continue
            handle = _lock(path)
            if handle is None:
                continue
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)
            gone.append(path.name)
    return gone


def _lock(path: Path) -> int | None:
    """A handle that holds `path` for this process; None where another one does, or it is gone."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been removed between the two.
        held = os.path.samestat(os.fstat(handle), path.lstat())
    except OSError:
        held = False
    if held:
        return handle
    os.close(handle)
    return None
