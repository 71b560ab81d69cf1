"""The plugin in napari itself: its manifest, the widget by clicks, the reader."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from liverestore.errors import UserError
from liverestore.napari_plugin.layers import TARGETS, Wanted, pixel_size_um, pixels_of, result_axes
from liverestore.zstack import ZStack

ROOT = Path(__file__).parents[2]
REQUIRED = bool(os.environ.get("LIVERESTORE_REQUIRE_NAPARI"))
in_napari = pytest.mark.skipif(
    importlib.util.find_spec("napari") is None and not REQUIRED,
    reason="napari is not installed (extra test-napari; LIVERESTORE_REQUIRE_NAPARI=1 demands it)",
)

# A process of its own: napari sets up Qt, warnings and threads for itself.
IN_NAPARI = """
import json, sys, time
import numpy as np
import npe2
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

root, folder = sys.argv[1:]
plugins = npe2.PluginManager.instance()
plugins.discover()
manifest = npe2.PluginManifest.from_file(f"{root}/liverestore/napari_plugin/napari.yaml")
if "liverestore" not in plugins:
    plugins.register(manifest)
manifest.validate_imports()
# The viewer without its window, whose canvas needs OpenGL.
QApplication([])
viewer = ViewerModel()
told = {}

def until(condition, seconds=60):
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            sys.exit(f"nothing came; the widget says: {desk.said.value}")
        QApplication.processEvents()
        time.sleep(0.005)

def idle():
    return desk.restore.enabled

widget = plugins.get_manifest("liverestore").contributions.widgets[0].get_callable()(viewer)
desk = widget.desk
widget.show()
desk.restore.native.click()
told["nothing to do"] = desk.said.value
movie = np.random.default_rng(0).poisson(30, (4, 64, 64)).astype(np.uint16)
cells = viewer.add_image(
    movie, name="cells", scale=(1, 0.325, 0.325), units=("pixel", "um", "um"), metadata={"a": 1}
)
until(lambda: desk.layer.value is cells)
told["first engine"] = desk.engine.value
told["hidden"] = desk.where.native.isHidden()

desk.restore.native.click()
told["while it works"] = [desk.restore.enabled, desk.cancel.enabled]
until(lambda: len(viewer.layers) == 2 and idle())
made = viewer.layers[-1]
told["denoised"] = {
    "name": made.name, "shape": made.data.shape, "dtype": str(made.data.dtype),
    "scale": list(made.scale), "units": [str(unit) for unit in made.units],
    "limits": list(made.contrast_limits) == list(cells.contrast_limits),
    "engine": made.metadata["liverestore"]["provenance"]["engine"], "kept": made.metadata["a"],
    "std": float(made.data.std() / movie.std()), "said": desk.said.value,
}

desk.engine.value = "refocus-deepz"
told["shown"] = not desk.where.native.isHidden()
desk.where.value = "far"
desk.restore.native.click()
told["no number"] = desk.said.value
desk.where.value = "2"
desk.restore.native.click()
until(idle)
told["no optics"] = desk.said.value
desk.rig.value, desk.target.value = "demo_refocus", desk.target.choices[1]
desk.where.value = "-2:2:2"
desk.restore.native.click()
until(lambda: len(viewer.layers) == 3 and idle())
stack = viewer.layers[-1]
told["stack"] = {
    "shape": stack.data.shape, "scale": list(stack.scale), "translate": list(stack.translate),
    "planes": stack.metadata["liverestore"]["virtual_planes_um"],
}

told["of the same layer"] = desk.layer.value is cells
desk.where.value = "-5:5:0.1"
desk.restore.native.click()
until(lambda: desk.progress.value >= 1)
desk.cancel.native.click()
until(idle)
told["cancelled"] = [len(viewer.layers), desk.said.value]

colours = viewer.add_image(np.zeros((8, 8, 3), np.uint8), rgb=True, name="photo")
told["follows"] = desk.layer.value is colours
desk.restore.native.click()
told["colours"] = desk.said.value

for kind in ("ome.zarr", "ome.tif"):
    viewer = ViewerModel()
    layers = viewer.open(f"{folder}/{kind}/restored.{kind}", plugin="liverestore")
    first = layers[0]
    told[kind] = {
        "names": [layer.name for layer in layers], "shape": first.data.shape,
        "scale": list(first.scale), "translate": list(first.translate),
        "labels": list(first.axis_labels), "frame": np.asarray(first.data[1, 2]).tolist(),
        "engine": first.metadata["liverestore"]["record"]["provenance"]["engine"],
    }
    plain = viewer.open(f"{folder}/{kind}/restored.{kind}", plugin="napari")
    told[kind]["napari's own"] = np.asarray(plain[0].data).shape
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A file of each kind: 2 times, 2 channels, 3 virtual planes of 16x24."""
    import useq

    from liverestore.camera_model import CameraModel
    from liverestore.optics import Optics
    from liverestore.service.mda_listener import frame_listener

    root = tmp_path_factory.mktemp("recordings")
    plan = useq.MDASequence(time_plan={"interval": 0, "loops": 2}, channels=["DAPI", "FITC"])
    for kind, name in (("ome-zarr", "ome.zarr"), ("ome-tiff", "ome.tif")):
        with frame_listener(
            "refocus-deepz", sequence=plan, zstack="-2:2:2", save=root / name, save_format=kind,
            optics=Optics(0.8, 550.0, 1.0, 1.35, 0.325, depth_um=20.0),
            camera=CameraModel(100.0, 1.0, 2.0),
        ) as listener:  # fmt: skip
            for number, event in enumerate(plan):
                image = np.full((16, 24), 150 + 10 * number, np.uint16)
                listener(image, event, {"pixel_size_um": 0.325})
    return root


@pytest.fixture(scope="module")
def told(recordings):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_NAPARI, str(ROOT), str(recordings)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=110,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@in_napari
def test_a_layer_is_restored_beside_the_window(told):
    assert told["nothing to do"] == "there is no image layer; open an image first"
    assert told["first engine"] == "denoise-live"
    assert told["while it works"] == [False, True]
    made = told["denoised"]
    assert made["std"] < 0.5
    assert (made["shape"], made["dtype"]) == ([4, 64, 64], "uint16")
    assert (made["scale"], made["units"]) == (
        [1, 0.325, 0.325],
        ["pixel", "micrometer", "micrometer"],
    )
    assert (made["name"], made["engine"], made["kept"]) == (
        "cells [denoise-live]",
        "denoise-live",
        1,
    )
    assert made["limits"]
    assert made["said"].startswith("done by denoise-live (")  # fmt: skip


@in_napari
def test_a_stack_gets_an_axis_that_is_to_scale(told):
    assert told["hidden"]
    assert told["shown"]
    assert told["no number"].startswith("got 'far' as a distance")
    assert "needs the optics of the microscope" in told["no optics"]
    assert told["stack"] == {
        "shape": [4, 3, 64, 64],
        "scale": [1, 2, 0.325, 0.325],
        "translate": [0, -2, 0, 0],
        "planes": [-2, 0, 2],
    }


@in_napari
def test_cancel_adds_no_layer_and_colours_are_refused(told):
    assert told["cancelled"] == [3, "cancelled; no layer is added"]
    assert told["of the same layer"]
    assert told["follows"]
    assert "has colours" in told["colours"]


@in_napari
@pytest.mark.parametrize("kind", ["ome.zarr", "ome.tif"])
def test_our_files_open_with_their_sizes_channels_and_what_made_them(told, recordings, kind):
    from liverestore.movie import open_movie

    seen = told[kind]
    assert seen["names"] == ["restored DAPI", "restored FITC"]
    assert seen["shape"] == [2, 3, 16, 24]
    np.testing.assert_allclose(seen["scale"], [1, 2, 0.325, 0.325])
    assert (seen["translate"], seen["labels"]) == ([0, -2, 0, 0], ["t", "z", "y", "x"])
    assert seen["engine"] == "refocus-deepz"
    with open_movie(recordings / kind / f"restored.{kind}") as movie:
        # The second time, first channel, third plane.
        np.testing.assert_array_equal(seen["frame"], movie[6 + 2])
    assert seen["napari's own"] == [2, 2, 3, 16, 24]


def layer(**facts):
    plain = {
        "rgb": False, "multiscale": False, "name": "l", "data": np.zeros((5, 8, 9)),
        "scale": np.array([2.0, 0.1, 0.1]), "translate": np.array([0.0, 3.0, 4.0]),
        "units": ("second", "micrometer", "micrometer"), "axis_labels": ("t", "y", "x"),
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **facts})


def test_the_size_of_a_pixel_is_known_where_its_unit_is_a_length():
    assert pixel_size_um(layer()) == 0.1
    assert pixel_size_um(layer(units=("pixel", "nanometer", "nanometer"))) == pytest.approx(1e-4)
    assert pixel_size_um(layer(units=("pixel",) * 3)) is None


def test_voxels_have_their_shape_in_any_unit():
    stack = ZStack(-2.0, 0.5, 9)
    told = result_axes(layer(), stack, 0.1)
    assert told["scale"] == [2.0, 0.5, 0.1, 0.1]
    assert told["translate"] == [0.0, -2.0, 3.0, 4.0]
    assert told["axis_labels"] == ["t", "virtual z", "y", "x"]
    in_pixels = layer(units=("pixel",) * 3, scale=np.ones(3))
    assert result_axes(in_pixels, stack, 0.25)["scale"] == [1.0, 2.0, 1.0, 1.0]
    assert result_axes(layer(), None, None)["scale"] == [2.0, 0.1, 0.1]


def test_the_finest_of_several_resolutions_is_restored_and_colours_are_refused():
    fine, coarse = np.zeros((8, 8)), np.zeros((4, 4))
    assert pixels_of(layer(multiscale=True, data=[fine, coarse])) is fine
    with pytest.raises(UserError, match="allowed are grey images"):
        pixels_of(layer(rgb=True))


@pytest.mark.parametrize(
    ("target", "where", "made"),
    [
        (TARGETS[0], " 2.5 ", {"z_um": 2.5}),
        (TARGETS[1], "-1:1:1", {"zstack": "-1:1:1"}),
        (TARGETS[2], "plane:1,0.1,0", {"dpm": "plane:1,0.1,0"}),
    ],
)
def test_what_is_chosen_is_what_the_restorer_gets(target, where, made):
    wanted = Wanted("e", "my rig", refocuses=True, target=target, where=where)
    assert wanted.options() == {"rig": "my rig", **made}
    assert (wanted.stack is None) == (target != TARGETS[1])
    assert Wanted("e", None, refocuses=False, where="x").options() == {"rig": None}
    with pytest.raises(UserError, match="got no target"):
        Wanted("e", None, refocuses=True, where=" ").options()
