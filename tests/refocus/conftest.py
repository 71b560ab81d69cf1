"""A refocusing engine of three operations, whose answer can be worked out by hand."""

import hashlib

import pytest
import yaml
from refocus_run import Run

from liverestore.frame import Frame, FrameHeader
from liverestore.optics import Optics

CARD = {
    "task": "refocus",
    "input": "stabilised",
    "divisor": 16,
    "halo_px": 16,
    "photon_range_e": [30, 1000],
    "pixel_size_range_um": [0.28, 0.36],
    "dpm": "waves of defocus at the rim of the pupil",
    "reach_um": 10.0,
    "optics": {
        "numerical_aperture": [0.75, 0.8],
        "wavelength_nm": [500.0, 620.0],
        "immersion_index": 1.0,
        "sample_index": [1.33, 1.4],
        "depth_um": [5.0, 40.0],
    },
}


def write_package(root, name="bend", **changes):
    """Package `name` in `root`: output = picture + 0.1 x waves. A change to None leaves out."""
    onnx = pytest.importorskip("onnx", reason="writing a network takes the train extra")
    from onnx import TensorProto, helper

    def tensor(label, channels):
        return helper.make_tensor_value_info(label, TensorProto.FLOAT, ["n", channels, "y", "x"])

    nodes = [
        helper.make_node("Split", ["stabilised"], ["picture", "waves"], axis=1, num_outputs=2),
        helper.make_node("Mul", ["waves", "tenth"], ["shift"]),
        helper.make_node("Add", ["picture", "shift"], ["restored"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bend",
        [tensor("stabilised", 2)],
        [tensor("restored", 1)],
        [helper.make_tensor("tenth", TensorProto.FLOAT, [], [0.1])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    weights = model.SerializeToString()
    folder = root / "engines" / name
    folder.mkdir(parents=True)
    (folder / "weights.onnx").write_bytes(weights)
    card = {key: value for key, value in {**CARD, **changes}.items() if value is not None}
    rdf = {
        "version": "1.0",
        "description": "Adds a tenth of the waves.",
        "weights": {
            "onnx": {"source": "weights.onnx", "sha256": hashlib.sha256(weights).hexdigest()}
        },
        "config": {"liverestore": card},
    }
    (folder / "rdf.yaml").write_text(yaml.safe_dump(rdf), encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIVERESTORE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def make_package(home):
    """Write the package, with changes to its card, where engines are looked for."""

    def make(name="bend", **changes):
        return write_package(home, name, **changes)

    return make


@pytest.fixture
def air():
    """Inside the card's ranges, and with a sign of z."""
    return Optics(0.8, 550.0, 1.0, 1.35, 0.325, depth_um=10.0)


@pytest.fixture
def frame_of_pixels():
    def make(pixels, **known):
        header = FrameHeader(
            run_id="r",
            number=3,
            shape=pixels.shape,
            dtype=pixels.dtype.name,
            captured_ns=1,
            captured_utc="2026-01-01T00:00:00+00:00",
            camera="c",
            **known,
        )
        return Frame(pixels, header)

    return make


@pytest.fixture
def start():
    runs = []

    def make(**options):
        runs.append(Run(**options))
        return runs[-1]

    yield make
    for run in runs:
        run.loop.close()
