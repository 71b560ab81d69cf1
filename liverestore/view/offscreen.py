"""The live view as a PNG, on machines without a display."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from PySide6.QtCore import QEvent, QEventLoop, Qt
from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import QApplication

from liverestore.errors import Failure
from liverestore.view.feed import MemoryFeed
from liverestore.view.probe import FONT_ALIASES
from liverestore.view.window import LiveWindow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.feed import ShownPair

__all__ = ["offscreen_application", "render_png"]

_applications: list[QApplication] = []
"""Qt allows one application per process; it must live as long as the process."""


def offscreen_application() -> QApplication:
    """The process's Qt application; a new one paints into memory, not on a screen.

    Ask `available.why_no_offscreen` first: where system libraries are missing, Qt may end
    the process. Raises `Failure` where Qt finds no font to write with.
    """
    app = cast("QApplication | None", QApplication.instance())
    if app is None:
        asked_for = os.environ.get("QT_QPA_PLATFORM")
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        try:
            app = QApplication(["liverestore"])
        finally:
            if asked_for is None:
                del os.environ["QT_QPA_PLATFORM"]
            else:
                os.environ["QT_QPA_PLATFORM"] = asked_for
        _applications.append(app)
    if not set(QFontDatabase.families()) - FONT_ALIASES:
        raise Failure(
            "the view cannot be painted: no font is installed; "
            "install one: sudo apt-get install fontconfig fonts-dejavu-core"
        )
    return app


def render_png(
    pair: ShownPair | None,
    status: RunStatus | None,
    path: Path,
    size: tuple[int, int] = (1600, 900),
    *,
    engines: Sequence[str] = (),
    camera: CameraConfig | None = None,
    lut: str = "grey",
    title: str = "liverestore",
) -> None:
    """Paint the live view as it looks with `pair` and `status` to the PNG file `path`.

    `size` is (width, height) in pixels. The age on the picture is the time from capture to
    result. Must run in the process's main thread. Raises `Failure` where the file cannot
    be written or Qt has no font.
    """
    app = offscreen_application()
    feed = MemoryFeed()
    if status is not None:
        feed.report(status)
    window = LiveWindow(
        feed,
        title=title,
        engines=engines,
        camera=camera,
        lut=lut,
        clock_ns=lambda: _moment_ns(pair),
        live=False,
    )
    try:
        window.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        window.resize(*size)
        window.show()
        _settle(app)
        if pair is not None:
            feed.offer(pair)
        window.tick()
        _settle(app)
        picture = window.grab()
        if not picture.save(str(path), "PNG"):
            raise Failure(f"cannot write {path}: is the folder there, writable and not full?")
    finally:
        window.close_now()
        window.deleteLater()
        app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))


def _moment_ns(pair: ShownPair | None) -> int:
    if pair is None:
        return 0
    if pair.restored is not None:
        return pair.restored.provenance.finished_ns
    return pair.raw.header.captured_ns


def _settle(app: QApplication) -> None:
    """Let layouts and the events that follow from them happen."""
    for _ in range(3):
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents)
