"""Make the pictures of README and docs from a running demo.

    python docs/make_pictures.py

Starts the demo's processes with the live window painting offscreen, and grabs it after
some seconds, so that every number on the picture was measured.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from liverestore.cli.run import DEFAULT_ENGINE, run_plan
from liverestore.rig import load_rig
from liverestore.service.child import run_child
from liverestore.service.plan import RunPlan
from liverestore.status import Stop
from liverestore.transport.control import ControlLink

IMAGES = Path(__file__).parent / "images"
SIZE = (1600, 900)
SECONDS = 12.0


def window_picture(plan: RunPlan, *, png: Path) -> None:
    """A view process that grabs its own window, then stops the run."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

    def body(link: ControlLink, stop: threading.Event) -> None:
        from liverestore.model_spec import list_engines
        from liverestore.view.live_feed import LiveFeed
        from liverestore.view.offscreen import offscreen_application
        from liverestore.view.window import LiveWindow

        app = offscreen_application()
        feed = LiveFeed(plan.endpoints.raw.for_client(), plan.endpoints.restored.for_client(), link)
        window = LiveWindow(
            feed,
            title="liverestore",
            engines=[spec.name for spec in list_engines()],
            camera=plan.rig.camera,
        )
        window.resize(*SIZE)
        window.show()
        seen_since = None
        while not stop.is_set() and (seen_since is None or time.monotonic() - seen_since < SECONDS):
            app.processEvents()
            time.sleep(0.005)
            if seen_since is None and window.shown_fps is not None:
                seen_since = time.monotonic()
        window.grab().save(str(png))
        feed.send(Stop())
        window.close()

    run_child("view", plan.endpoints.control, body)


def main() -> None:
    """Make them all."""
    IMAGES.mkdir(exist_ok=True)
    run_plan(
        load_rig("demo"),
        DEFAULT_ENGINE,
        view=partial(window_picture, png=IMAGES / "live-view.png"),
        console=Console(stderr=True),
    )


if __name__ == "__main__":
    main()
