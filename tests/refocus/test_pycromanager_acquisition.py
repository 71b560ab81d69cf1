"""The image hook in a real `Acquisition` of pycromanager, Python backend, Micro-Manager's demo."""

import json
import queue
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import liverestore
from liverestore.camera.image_hook import ImageHook
from liverestore.errors import Failure, UserError
from liverestore.service.acquisition_hook import image_processor

ROOT = Path(__file__).parents[2]
RIG = """name = "Demo, air 20x"
[source]
kind = "micromanager"
config_file = "unused.cfg"
[camera]
offset_counts = 100.0
gain_e_per_count = 1.0
read_noise_e = 2.5
[optics]
pixel_size_um = 0.325
numerical_aperture = 0.8
wavelength_nm = 550.0
immersion_index = 1.0
sample_index = 1.35
depth_um = 10.0
"""
# A process of its own: pycromanager keeps one engine in a process for ever.
ACQUIRE = """
import json, sys
import numpy as np
import mm_test_adapters
from ndstorage import Dataset
from pycromanager import Acquisition, Core, multi_d_acquisition_events, start_headless
from liverestore.service.acquisition_hook import image_processor

folder, rig = sys.argv[1:]
adapters = str(mm_test_adapters.device_adapter_path())
start_headless(adapters, "MMConfig_demo.cfg", python_backend=True, buffer_size_mb=64)
core = Core()
core.set_property("Camera", "OnCameraCCDXSize", "64")
core.set_property("Camera", "OnCameraCCDYSize", "48")
core.set_property("Camera", "PixelType", "16bit")
core.set_exposure(2.0)
core.set_position("Z", 3.5)

def stands():
    return [core.get_position("Z"), core.get_x_position(), core.get_y_position()]

def run(name, interval_s):
    stood, begun = [], []

    def before_exposure(event):
        stood.append(stands())
        return event

    def exposing(event):
        begun.append(len(event) if isinstance(event, list) else 1)
        return event

    process = image_processor("bend", rig=rig, zstack="-5:5:0.5")
    with Acquisition(
        directory=folder, name=name, image_process_fn=process,
        post_hardware_hook_fn=before_exposure, post_camera_hook_fn=exposing,
    ) as acquisition:
        process.attach(acquisition)
        acquisition.acquire(
            multi_d_acquisition_events(num_time_points=10, time_interval_s=interval_s)
        )
    stood.append(stands())
    acquisition.get_dataset().close()
    data = Dataset(f"{folder}/{name}_1")
    raw = [data.read_image(time=t, image="raw", z=10) for t in range(10)]
    planes = np.array([
        [data.read_image(time=t, image="virtual", z=z) for z in range(21)] for t in range(10)
    ])
    tags = data.read_metadata(time=9, image="virtual", z=4)
    return {
        "begun": begun, "images": process.images, "restored": process.restored, "stood": stood,
        "axes": {name: len(values) for name, values in data.axes.items()},
        "count": len(data.get_image_coordinates_list()),
        "shape": planes.shape, "dtype": str(planes.dtype),
        "means": [float(planes[3, z].mean() - raw[3].mean()) for z in (0, 10, 20)],
        "z_um": tags["ZPosition_um_Virtual"], "made_by": json.loads(tags["Liverestore"])["engine"],
        "error": str(process.error),
    }

# With an interval each image is snapped, without one a sequence of the camera takes all.
print(json.dumps([run("snapped", 0.02), run("sequence", 0.0)]))
"""


@pytest.fixture
def rig(home, make_package):
    """A rig file, of the engine `bend`."""
    make_package()
    (home / "unused.cfg").touch()
    (home / "demo20x.toml").write_text(RIG, encoding="utf-8")
    return home / "demo20x.toml"


def test_planes_are_the_z_axis_and_the_stage_stands(rig, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ACQUIRE, str(tmp_path / "data"), str(rig)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    snapped, sequence = json.loads(done.stdout.splitlines()[-1])
    assert (len(snapped["begun"]), sum(snapped["begun"])) == (10, 10)
    assert len(sequence["begun"]) == 1
    for seen in (snapped, sequence):
        assert seen["error"] == "None"
        # Ten exposures for 210 planes.
        assert (seen["images"], seen["restored"]) == (10, 10)
        assert seen["count"] == 10 * (1 + 21)
        assert seen["axes"] == {"time": 10, "image": 2, "z": 21}
        assert (seen["shape"], seen["dtype"]) == ([10, 21, 48, 64], "uint16")
        assert seen["stood"] == [[3.5, 0.0, 0.0]] * (len(seen["begun"]) + 1)
        assert (seen["z_um"], seen["made_by"]) == (-3.0, "bend")
        assert seen["means"][0] + 0.5 < seen["means"][1] < seen["means"][2] - 0.5


IMAGE = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
TAGS = {"Axes": {"time": 3, "channel": "DAPI"}, "Exposure": 2.0, "Camera": "C", "ImageNumber": "7"}


def test_with_the_java_backend_all_images_are_returned(rig):
    process = image_processor("bend", rig=rig, zstack="-1:1:1")
    raw, *planes = process(IMAGE, TAGS)
    assert raw[0] is IMAGE
    axes = TAGS["Axes"]
    assert [tags["Axes"] for _, tags in (raw, *planes)] == [
        axes | {"image": "raw", "z": 1},
        axes | {"image": "virtual", "z": 0},
        axes | {"image": "virtual", "z": 1},
        axes | {"image": "virtual", "z": 2},
    ]
    assert [tags["ZPosition_um_Virtual"] for _, tags in planes] == [-1.0, 0.0, 1.0]
    assert TAGS["Axes"] == {"time": 3, "channel": "DAPI"}


def test_a_surface_or_a_denoiser_adds_one_picture_without_z(rig):
    for process in (
        image_processor("bend", rig=rig, dpm="plane:1,0.01,0"),
        image_processor("mean5", rig=rig),
    ):
        axes = [tags["Axes"] for _, tags in process(IMAGE, TAGS)]
        assert axes == [TAGS["Axes"] | {"image": name} for name in ("raw", "virtual")]


def test_an_event_that_moves_z_is_refused(rig):
    process = image_processor("bend", rig=rig, zstack="-1:1:1")
    with pytest.raises(UserError, match="moves the focus drive; planes are virtual"):
        process(IMAGE, {"Axes": {"time": 0, "z": 2}})


@pytest.mark.parametrize(
    ("engine", "options", "said"),
    [
        ("bend", {}, "give one of zstack="),
        ("bend", {"zstack": "-1:1:1", "dpm": "2"}, "give one of zstack="),
        ("bend", {"zstack": "-50:50:1"}, "reaches from -10 to 10 um"),
        ("mean5", {"zstack": "-1:1:1"}, "does not refocus"),
        ("nothing", {}, "nothing"),
    ],
)
def test_options_that_do_not_fit_are_one_line(rig, engine, options, said):
    with pytest.raises(UserError, match=said):
        image_processor(engine, rig=rig, **options)


class FakeAcquisition:
    """As far as the hook knows it."""

    def __init__(self):
        self._image_processor = SimpleNamespace(output_queue=queue.Queue())
        self.aborted = []

    def abort(self, error):
        self.aborted.append(error)


def test_an_engine_that_fails_ends_the_acquisition_and_not_the_raw_images():
    def broken(_frame):
        raise Failure("no memory")

    hook, acquisition = ImageHook(broken, planes_um=(0.0, 1.0)), FakeAcquisition()
    saved = acquisition._image_processor.output_queue
    hook.attach(acquisition)
    for _ in range(3):
        raw = hook(IMAGE, TAGS)
        assert raw[0] is IMAGE
    acquisition._image_processor.output_queue.put(SimpleNamespace(tags=None, pix=None))
    assert [str(error) for error in acquisition.aborted] == ["no memory"]
    assert (hook.images, hook.restored, saved.qsize()) == (3, 0, 1)


def test_another_pycromanager_is_refused():
    with pytest.raises(Failure, match=r"pycromanager 1\.0\.2"):
        ImageHook(lambda _frame: []).attach(SimpleNamespace())


def test_without_a_rig_a_denoiser_estimates_the_camera_and_keeps_the_raw_image():
    process = liverestore.image_processor(engine="denoise-live")
    noisy = np.random.default_rng(0).poisson(40, (64, 64)).astype(np.uint16)
    (raw, raw_tags), (made, tags) = process(noisy, TAGS)
    assert raw is noisy
    assert (raw_tags["Axes"]["image"], tags["Axes"]["image"]) == ("raw", "virtual")
    assert made.std() < 0.5 * noisy.std()
    assert json.loads(tags["Liverestore"])["engine"] == "denoise-live"


def test_optics_and_camera_may_be_given_without_a_rig(make_package, air):
    make_package()
    camera = liverestore.CameraModel(100.0, 1.0, 2.5)
    process = liverestore.image_processor(
        engine="bend", dpm=liverestore.Dpm.plane(1.0, 0.01, 0.0), optics=air, camera=camera
    )
    (_, _), (_, tags) = process(IMAGE, TAGS)
    told = json.loads(tags["Liverestore"])["parameters"]
    assert (told["dpm"], told["offset_counts"]) == ("plane:1,0.01,0", 100.0)
    with pytest.raises(UserError, match="needs the optics of the microscope"):
        liverestore.image_processor(engine="bend", dpm="2")
