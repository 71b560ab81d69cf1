"""Renaming and removing files that another program looks into at this very moment.

Windows refuses both while anyone has the file open without saying that it may be moved, and
virus scanners and indexers open what is new for some milliseconds. Elsewhere neither happens.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["move_over", "patiently", "remove", "rename"]

T = TypeVar("T")

_PAUSES_S = (0.02, 0.05, 0.1, 0.2, 0.4, 0.4)
"""Between the attempts; who has a file open for longer uses it."""


def patiently(act: Callable[[], T]) -> T:
    """What `act` returns; tried again for about a second where Windows refuses it.

    Raises what `act` raises: at once where it is no `PermissionError`, or not on Windows, where
    that is about the rights of a folder and does not pass.
    """
    if sys.platform == "win32":
        for pause_s in _PAUSES_S:
            try:
                return act()
            except PermissionError:
                time.sleep(pause_s)
    return act()


def move_over(new: Path, path: Path) -> Path:
    """Put the file `new` in the place of `path`, in one step. Raises `OSError`."""
    return patiently(lambda: new.replace(path))


def rename(old: Path, path: Path) -> Path:
    """Give the file or folder `old` the name `path`, which nothing has. Raises `OSError`."""
    return patiently(lambda: old.rename(path))


def remove(path: Path) -> None:
    """Remove the file or the folder `path`; nothing is done where there is none.

    Raises `OSError`; of a folder some files are gone by then.
    """
    patiently(lambda: shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True))
