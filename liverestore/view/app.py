"""The live window as the main thread of its own process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from liverestore.rig import CameraConfig
from liverestore.rig_surfaces import RigSurfaces
from liverestore.view.channels import ChannelLook
from liverestore.view.feed import ViewFeed
from liverestore.view.memory import Memory
from liverestore.view.settings import SettingsFile, settings_path, view_folder
from liverestore.view.window import LiveWindow

__all__ = ["show_window"]

_LOOK_MS = 100


def show_window(
    feed: ViewFeed,
    *,
    rig: str,
    title: str,
    engines: Sequence[str],
    camera: CameraConfig | None,
    channels: Sequence[ChannelLook] = (),
    no_optics: str = "",
    surfaces: RigSurfaces | str | None = None,
    ended: Callable[[], bool],
    report_rate: Callable[[float | None], None],
) -> None:
    """Show the window until its user closes it or `ended()` says that the run wants it gone.

    It looks as the last window of `rig` did, and has the user's own keys. `no_optics` says why
    nothing can be refocused with that rig; empty where it can. `surfaces` are those kept with
    the rig, or why they cannot be read.

    Ask `available.why_no_view` first: where Qt cannot start it may end the process.
    """
    app = QApplication.instance() or QApplication([title])
    window = LiveWindow(
        feed,
        title=title,
        engines=engines,
        camera=camera,
        channels=channels,
        memory=Memory(SettingsFile(settings_path(rig))),
        own_keys=view_folder() / "keys.json",
        no_optics=no_optics,
    )
    shelf = window.refocus.surfaces.tool.shelf
    if isinstance(surfaces, str):
        shelf.say(surfaces)
    else:
        shelf.offer(surfaces)
    watch = QTimer()

    def look() -> None:
        report_rate(window.shown_fps)
        if ended():
            window.close_now()

    watch.timeout.connect(look)
    watch.start(_LOOK_MS)
    window.closed.connect(app.quit)
    window.show()
    app.exec()
    watch.stop()
    window.deleteLater()
    app.processEvents()
