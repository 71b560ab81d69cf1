"""Make the pictures of README and docs from a running demo.

    python docs/make_pictures.py

Starts the demo's processes with the live window painting offscreen, and grabs it in each
mode after some seconds, so that every number on the pictures was measured.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from liverestore.cli.run import DEFAULT_ENGINE, run_plan
from liverestore.rig import load_rig
from liverestore.service.child import run_child
from liverestore.service.plan import RunPlan
from liverestore.status import Stop
from liverestore.transport.control import ControlLink

if TYPE_CHECKING:
    from liverestore.view.window import LiveWindow

IMAGES = Path(__file__).parent / "images"
FIRST_S = 12.0
"""From the first frame to the first picture: until the rates are those of a steady run."""
NEXT_S = 3.0


@dataclass(frozen=True)
class Shot:
    """One picture: its file, the mode in words, and the window's (width, height) in px."""

    name: str
    mode: str = "side by side"
    size: tuple[int, int] = (1280, 800)
    keys: bool = False


SHOTS = (
    Shot("live-view", size=(1600, 900)),
    Shot("live-view-side-by-side"),
    Shot("live-view-curtain", "curtain"),
    Shot("live-view-blink", "blink"),
    Shot("live-view-difference", "difference"),
    Shot("live-view-keys", "curtain", keys=True),
    Shot("live-view-4k", "curtain", size=(3840, 2160)),
)


def window_pictures(plan: RunPlan, *, folder: Path) -> None:
    """A view process that grabs its own window in every mode, then stops the run."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

    def body(link: ControlLink, stop: threading.Event) -> None:
        from PySide6.QtCore import QEvent

        from liverestore.model_spec import live_engines
        from liverestore.view.live_feed import LiveFeed
        from liverestore.view.offscreen import offscreen_application
        from liverestore.view.window import LiveWindow

        app = offscreen_application()
        feed = LiveFeed(plan.endpoints.raw.for_client(), plan.endpoints.restored.for_client(), link)
        window = LiveWindow(
            feed,
            title="liverestore",
            engines=live_engines(),
            camera=plan.rig.camera,
        )
        window.show()

        def run_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not stop.is_set():
                app.processEvents()
                time.sleep(0.005)

        while window.shown_fps is None and not stop.is_set():
            run_for(0.1)
        run_for(FIRST_S - NEXT_S)
        for shot in SHOTS:
            _set_up(window, shot)
            run_for(NEXT_S)
            window.grab().save(str(folder / f"{shot.name}.png"))
        feed.send(Stop())
        window.close()
        window.deleteLater()
        app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))

    run_child("view", plan.endpoints.control, body)


def _set_up(window: LiveWindow, shot: Shot) -> None:
    from liverestore.view.compare import Mode

    window.resize(*shot.size)
    window.set_mode(Mode(shot.mode))
    if shot.keys == window.keys.isHidden():
        window.keys.toggle()


def main() -> None:
    """Make them all."""
    IMAGES.mkdir(exist_ok=True)
    run_plan(
        load_rig("demo"),
        DEFAULT_ENGINE,
        view=partial(window_pictures, folder=IMAGES),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    main()
