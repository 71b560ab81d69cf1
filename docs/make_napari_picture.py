"""Make the picture of the plugin in napari, from the simulated specimen of a rig.

    xvfb-run -a -s "-screen 0 1400x1000x24" python docs/make_napari_picture.py

Needs the extra `napari` and a display with OpenGL; Xvfb is one.
"""

from __future__ import annotations

import time
from pathlib import Path

import napari
import npe2
import numpy as np
from qtpy.QtWidgets import QApplication

import liverestore

ROOT = Path(__file__).parents[1]
RIG = "demo_refocus"
SETTLE_S = 1.5


def frames(count: int) -> np.ndarray:
    """(T, Y, X) raw frames of the rig's camera."""
    with liverestore.live(RIG, "null", frames=count) as run:
        return np.stack([made.source.pixels for made in run])


def wait(seconds: float) -> None:
    """Let napari work."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    """Restore a layer as a person would, and grab the window."""
    plugins = npe2.PluginManager.instance()
    plugins.discover()
    if "liverestore" not in plugins:
        manifest = ROOT / "liverestore" / "napari_plugin" / "napari.yaml"
        plugins.register(npe2.PluginManifest.from_file(manifest))
    pixel_um = liverestore.load_rig(RIG).optics.pixel_size_um
    viewer = napari.Viewer()
    viewer.window.resize(1280, 800)
    cells = viewer.add_image(
        frames(1)[0], name="cells", scale=(pixel_um, pixel_um), units=("um", "um")
    )
    cells.contrast_limits = tuple(np.percentile(cells.data, [0.5, 99.9]))
    _, widget = viewer.window.add_plugin_dock_widget("liverestore", "Restore a layer")
    desk = widget.desk
    desk.engine.value, desk.rig.value = "refocus-deepz", RIG
    desk.target.value, desk.where.value = desk.target.choices[1], "-5:5:1"
    desk.restore.native.click()
    while len(viewer.layers) < 2:
        wait(0.1)
    wait(SETTLE_S)
    viewer.window.screenshot(str(ROOT / "docs" / "images" / "napari.png"), canvas_only=False)
    viewer.close()


if __name__ == "__main__":
    main()
