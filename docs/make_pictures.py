"""Make the pictures of README and docs from a running demo.

    python docs/make_pictures.py [demo | tools | exposure | saturated | demo_two_channels | ...]

Starts the demo's processes with the live window painting offscreen, and grabs it in each
mode after some seconds, so that every number on the pictures was measured.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from rich.console import Console

from liverestore.cli.run import DEFAULT_ENGINE, run_plan
from liverestore.rig import RigConfig, load_rig
from liverestore.rig_surfaces import RigSurfaces
from liverestore.service.child import run_child
from liverestore.service.plan import RunPlan
from liverestore.status import SetLive, SetRival, Stop
from liverestore.transport.control import ControlLink

if TYPE_CHECKING:
    from liverestore.view.window import LiveWindow

IMAGES = Path(__file__).parent / "images"
FIRST_S = 12.0
"""From the first frame to the first picture: until the rates are those of a steady run."""
NEXT_S = 3.0
RIVAL_S = 8.0
"""From asking for a second engine to a picture of it."""


@dataclass(frozen=True)
class Shot:
    """One picture: its file, the mode in words, and the window's (width, height) in px."""

    name: str
    mode: str = "side by side"
    size: tuple[int, int] = (1280, 800)
    keys: bool = False
    tools: bool = False
    theme: str = "dark"
    rival: str | None = None
    composite: bool = False
    z_um: float | None = None
    """Refocused to there, with the tool."""
    surface: bool = False
    """A tilted plane and a sphere, with the editor."""
    stack: str | None = None
    """The virtual stack, looked at in this way, with the tool."""
    tool: str | None = None
    """One tool of the drawer, alone."""
    map_of: str | None = None
    """What a map of trust over the restored image shows, in the tool's words."""
    measured: Literal["", "asked", "done"] = ""
    """The exposure looked for: the question before any light, or what came of it."""
    wait_s: float = NEXT_S
    """Until the picture: what the tool tells must have been measured."""


DEMO = (
    Shot("live-view", size=(1600, 900)),
    Shot("live-view-side-by-side"),
    Shot("live-view-curtain", "curtain"),
    Shot("live-view-blink", "blink"),
    Shot("live-view-difference", "difference"),
    Shot("live-view-keys", "curtain", keys=True),
    Shot("live-view-tools", tools=True, size=(1600, 1000)),
    Shot("live-view-light", "curtain", theme="light", tools=True),
    Shot("live-view-rival", rival="median5"),
    Shot("live-view-4k", "curtain", size=(3840, 2160)),
)
REFOCUS = (
    Shot("refocus", z_um=3.0),
    Shot("refocus-surface", surface=True),
    Shot("virtual-stack-orthogonal", stack="orthogonal", size=(1600, 900)),
    Shot("virtual-stack-depth", stack="depth colour"),
    Shot("virtual-stack-in-focus", stack="all in focus"),
)
TOOLS = (
    Shot("live-view-dose", tool="Light"),
    Shot("live-view-train", tool="Train", wait_s=15.0),
    Shot("trust-detectable", tool="Trust", map_of="What could be refuted", wait_s=30.0),
)
EXPOSURE = (
    Shot("live-view-exposure-asked", tool="Exposure", measured="asked"),
    Shot("live-view-exposure", tool="Exposure", measured="done"),
)
SATURATED = (
    Shot("trust-refuted", tool="Trust", map_of="Where data and image differ", wait_s=30.0),
)
CHANNELS = (Shot("live-view-channels", composite=True),)


def window_pictures(plan: RunPlan, *, shots: tuple[Shot, ...], folder: Path) -> None:
    """A view process that grabs its own window for each of `shots`, then stops the run."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

    def body(link: ControlLink, stop: threading.Event) -> None:
        from PySide6.QtCore import QEvent

        from liverestore.model_spec import live_engines
        from liverestore.view.channels import looks_of
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
            channels=looks_of(plan.rig.channels),
        )
        shelf = window.refocus.surfaces.tool.shelf
        shelf.offer(RigSurfaces(plan.rig.name, plan.rig.surfaces, {}))
        window.show()

        def run_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end and not stop.is_set():
                app.processEvents()
                time.sleep(0.005)

        while window.shown_fps is None and not stop.is_set():
            run_for(0.1)
        run_for(FIRST_S - NEXT_S)
        for shot in shots:
            _set_up(window, shot)
            if shot.rival is not None:
                feed.send(SetRival(name=shot.rival))
                run_for(RIVAL_S)
            if shot.stack is not None:
                # Of one frame, and the raw one beside it is the same.
                feed.send(SetLive(on=False))
                while window.stack.show.stack is None and not stop.is_set():
                    run_for(0.1)
            run_for(shot.wait_s)
            if shot.measured:
                window.exposure.tool.measure.click()
                run_for(NEXT_S)
            if shot.measured == "done":
                window.exposure.question.go.click()
                while window.exposure.tool.chart.shown is None and not stop.is_set():
                    run_for(0.1)
                run_for(NEXT_S)
            window.grab().save(str(folder / f"{shot.name}.png"))
            window.exposure.put_away()
            if shot.rival is not None:
                feed.send(SetRival(name=None))
        feed.send(Stop())
        window.close_now()
        window.deleteLater()
        app.sendPostedEvents(None, int(QEvent.Type.DeferredDelete))

    run_child("view", plan.endpoints.control, body)


def _set_up(window: LiveWindow, shot: Shot) -> None:
    from liverestore.view.compare import Mode
    from liverestore.view.stack_plan import StackPlan
    from liverestore.view.stack_projections import StackView

    window.resize(*shot.size)
    window.look.set_theme(shot.theme)
    window.set_mode(Mode(shot.mode))
    if shot.keys == window.keys.isHidden():
        window.keys.toggle()
    for tool in ("Histogram", "ROI", "Profile"):
        if shot.tools != window.drawer.shown(tool):
            window.drawer.toggle(tool)
    if shot.tools:
        _draw(window)
    for tool, shown in (("Refocus", shot.z_um is not None), ("Stack", shot.stack is not None)):
        if shown != window.drawer.shown(tool):
            window.drawer.toggle(tool)
    for tool in ("Light", "Train", "Trust", "Exposure"):
        if (shot.tool == tool) != window.drawer.shown(tool):
            window.drawer.toggle(tool)
    window.trust.tool.maps.setCurrentText(shot.map_of or "No map")
    if shot.surface != window.drawer.shown("Surface"):
        window.drawer.toggle("Surface")
    window.refocus.surfaces.use("plane:3,0.14,-0.05" if shot.surface else "0")
    if shot.surface:
        window.refocus.surfaces.tool.kind.setCurrentText("sphere")
        window.refocus.surfaces.tool.add.click()
    if shot.z_um is not None:
        window.refocus.set_z(shot.z_um)
    elif shot.stack is not None:
        window.refocus.set_z(0.0)
        window.stack.choose(StackPlan(-5.0, 5.0, 0.5))
        window.stack.show.choose_view(StackView(shot.stack))
    window.stack.switch(shot.stack is not None)
    if shot.composite:
        window.channels.bar.composite.click()


def _draw(window: LiveWindow) -> None:
    """An ROI on the upper cell and a line across filaments, where there are none."""
    from PySide6.QtWidgets import QApplication, QScrollArea

    from liverestore.view.drawing import Shape

    drawing = window.measuring.drawing
    for shape, drawn, start, end in (
        (Shape.ROI, drawing.roi, (70.0, 130.0), (190.0, 250.0)),
        (Shape.LINE, drawing.line, (300.0, 330.0), (420.0, 400.0)),
    ):
        if drawn is None:
            drawing.armed = shape
            drawing.press(start, 3.0)
            drawing.drag(end)
            drawing.release()
    window.measuring.disarm()
    QApplication.processEvents()
    for area in window.drawer.findChildren(QScrollArea):
        area.verticalScrollBar().setValue(0)


def main() -> None:
    """Make them all, or those of the sets that are named."""
    IMAGES.mkdir(exist_ok=True)
    asked = sys.argv[1:]
    for name, rig, engine, shots in (
        ("demo", load_rig("demo"), DEFAULT_ENGINE, DEMO),
        ("tools", load_rig("demo"), DEFAULT_ENGINE, TOOLS),
        ("exposure", _small(load_rig("demo")), DEFAULT_ENGINE, EXPOSURE),
        ("saturated", _saturated(load_rig("demo")), DEFAULT_ENGINE, SATURATED),
        ("demo_two_channels", load_rig("demo_two_channels"), DEFAULT_ENGINE, CHANNELS),
        ("demo_refocus", _small(load_rig("demo_refocus")), "refocus-deepz", REFOCUS),
    ):
        if asked and name not in asked:
            continue
        run_plan(
            rig,
            engine,
            view=partial(window_pictures, shots=shots, folder=IMAGES),
            console=Console(stderr=True),
        )


def _saturated(rig: RigConfig) -> RigConfig:
    """`rig` with a camera whose range ends below the brightest places of the specimen."""
    assert rig.specimen is not None, "a demo rig has a simulated specimen"
    specimen = msgspec.structs.replace(rig.specimen, peak_photons_per_ms=80.0)
    camera = msgspec.structs.replace(rig.camera, bit_depth=12)
    return msgspec.structs.replace(rig, specimen=specimen, camera=camera)


def _small(rig: RigConfig) -> RigConfig:
    """`rig` with frames that a processor restores, or refocuses, several times a second."""
    assert rig.specimen is not None, "a demo rig has a simulated specimen"
    specimen = msgspec.structs.replace(rig.specimen, shape=(256, 256))
    return msgspec.structs.replace(rig, specimen=specimen)


if __name__ == "__main__":
    main()
