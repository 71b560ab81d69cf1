"""A Micro-Manager core that holds devices written in Python, ready for pycromanager."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymmcore
from mmpycorex.launcher import _camel_to_snake
from pymmcore_plus._util import PYMM_SIGNALS_BACKEND
from pymmcore_plus.experimental.unicore.core._unicore import UniMMCore
from pymmcore_plus.experimental.unicore.devices._shutter import ShutterDevice

__all__ = ["QuickShutter", "new_core"]


class QuickShutter(ShutterDevice):
    """A shutter that moves at once."""

    def __init__(self) -> None:
        super().__init__()
        self._open = False

    def get_open(self) -> bool:
        """Where it is."""
        return self._open

    def set_open(self, open: bool) -> None:
        """Move it."""
        self._open = open


class _PythonCore(UniMMCore):
    """A core whose sequence can be stopped in the middle of an exposure.

    It works the autoshutter, which UniMMCore leaves to Micro-Manager's own cameras.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stopping = threading.Event()

    def _autoshutter(self, opened: bool) -> None:
        if self.getAutoShutter() and self.getShutterDevice():
            self.setShutterOpen(opened)

    def startContinuousSequenceAcquisition(self, intervalMs: float = 0) -> None:  # noqa: N802, N803
        self.stopping.clear()
        self._autoshutter(True)
        super().startContinuousSequenceAcquisition(intervalMs)

    def startSequenceAcquisition(self, *args: Any) -> None:  # noqa: N802
        self.stopping.clear()
        self._autoshutter(True)
        super().startSequenceAcquisition(*args)

    def snapImage(self) -> None:  # noqa: N802
        self.stopping.clear()
        self._autoshutter(True)
        try:
            super().snapImage()
        finally:
            self._autoshutter(False)

    def stopSequenceAcquisition(self, cameraLabel: str | None = None) -> None:  # noqa: N802, N803
        self.stopping.set()
        thread = self._acquisition_thread
        super().stopSequenceAcquisition(*([cameraLabel] if cameraLabel else []))
        if thread is not None:
            # UniMMCore waits two seconds and then forgets the thread; at the interpreter's
            # end a forgotten thread aborts the process in the middle of its C++ code.
            thread.join()
        self._autoshutter(False)

    def unloadAllDevices(self) -> None:  # noqa: N802
        self.stopping.set()
        super().unloadAllDevices()


def _snake_case_methods() -> dict[str, Any]:
    """The methods of the core under the names that pycromanager's users know."""
    names = {name for name in dir(pymmcore.CMMCore) if not name.startswith("_")}
    return {
        _camel_to_snake(name): getattr(_PythonCore, name)
        for name in names
        if callable(getattr(_PythonCore, name))
    }


@contextmanager
def _signals_without_qt() -> Iterator[None]:
    """A core made meanwhile tells of its events without Qt.

    In a program with a Qt application pymmcore-plus would choose Qt's signals, which need
    qtpy, and an event loop in the thread of the camera.
    """
    before = os.environ.get(PYMM_SIGNALS_BACKEND)
    os.environ[PYMM_SIGNALS_BACKEND] = "psygnal"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PYMM_SIGNALS_BACKEND]
        else:
            os.environ[PYMM_SIGNALS_BACKEND] = before


_SnakeCaseCore = type("_SnakeCaseCore", (_PythonCore,), _snake_case_methods())


def new_core() -> Any:
    """An empty core whose methods have the names that pycromanager's users know."""
    with _signals_without_qt():
        return _SnakeCaseCore()
