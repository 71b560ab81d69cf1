"""Packages of the BioImage Model Zoo, written by bioimageio.spec itself, around tiny networks."""

import hashlib
import warnings
from datetime import UTC, datetime

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy import ndimage

KERNEL = np.full((3, 3), 1 / 9, np.float32)


def network(path, *, axes="bcyx", gain=1.0, size=None, opset=17):
    """A mean of 3x3 with borders of zeros, as an ONNX file with inputs and outputs of `axes`."""
    dims = {"b": 1, "c": 1, "z": 1, "y": size or "y", "x": size or "x"}
    shape = [dims[axis] for axis in axes]
    order = [axes.index(axis) for axis in "bcyx" if axis in axes]
    weights = numpy_helper.from_array(gain * KERNEL[None, None], "w")
    conv = helper.make_node("Conv", ["plain", "w"], ["made"], pads=[1, 1, 1, 1])
    if axes == "bcyx":
        nodes = [
            helper.make_node("Identity", ["in"], ["plain"]),
            conv,
            helper.make_node("Identity", ["made"], ["out"]),
        ]
    else:
        assert sorted(axes) == sorted("bcyx")
        back = [order.index(place) for place in range(4)]
        nodes = [
            helper.make_node("Transpose", ["in"], ["plain"], perm=order),
            conv,
            helper.make_node("Transpose", ["made"], ["out"], perm=back),
        ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("in", "out")]
    graph = helper.make_graph(nodes, "mean3", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, str(path))


def mean3(picture):
    """What the network does to (Y, X)."""
    return ndimage.convolve(picture.astype(np.float64), KERNEL, mode="constant")


def picture(shape=(32, 48), seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.uniform(100, 400, shape)).astype(np.float32)


def _described(folder):
    for name in ("doc.md", "README.md"):
        (folder / name).write_text("A mean of 3x3.", encoding="utf-8")


def write_05(folder, given, made, *, before=(), after=(), axes="bcyx", fixed=False, halo=None,
             minimum=16, step=8, opset=17):  # fmt: skip
    """A package of format 0.5, written and validated by bioimageio.spec; its folder."""
    from bioimageio.spec import save_bioimageio_package_as_folder
    from bioimageio.spec.model import v0_5

    work = folder.parent / f"{folder.name}-made"
    work.mkdir()
    _described(work)
    size = given.shape[-1] if fixed else None
    network(work / "net.onnx", axes=axes, size=size, opset=opset)
    for name, array in (("in.npy", given), ("out.npy", made)):
        dims = {"b": 1, "c": 1, "y": array.shape[0], "x": array.shape[1]}
        order = [("yx".index(axis)) for axis in axes if axis in "yx"]
        plain = array.transpose(order).reshape([dims[axis] for axis in axes])
        np.save(work / name, plain.astype(np.float32))

    def axis(letter, *, of=None):
        if letter == "b":
            return v0_5.BatchAxis()
        if letter == "c":
            return v0_5.ChannelAxis(channel_names=["intensity"])
        name = v0_5.AxisId(letter)
        if fixed:
            chosen = size
        elif of is not None:
            chosen = v0_5.SizeReference(tensor_id=of, axis_id=name)
        else:
            chosen = v0_5.ParameterizedSize(min=minimum, step=step)
        if of is None:
            return v0_5.SpaceInputAxis(id=name, size=chosen)
        if halo and not fixed:
            return v0_5.SpaceOutputAxisWithHalo(id=name, size=chosen, halo=halo)
        return v0_5.SpaceOutputAxis(id=name, size=chosen)

    raw = v0_5.TensorId("raw")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = v0_5.ModelDescr(
            name="Mean of nine",
            description="A mean of 3x3 pixels.",
            authors=[v0_5.Author(name="A. Nonymous", github_user="bioimageiobot")],
            cite=[v0_5.CiteEntry(text="none", url="https://example.com/none")],
            license=v0_5.LicenseId("MIT"),
            documentation=v0_5.FileDescr(source=work / "README.md"),
            git_repo="https://github.com/bioimage-io/spec-bioimage-io",
            tags=["denoising"],
            inputs=[
                v0_5.InputTensorDescr(
                    id=raw,
                    axes=[axis(letter) for letter in axes],
                    test_tensor=v0_5.FileDescr(source=work / "in.npy"),
                    preprocessing=list(before),
                )
            ],
            outputs=[
                v0_5.OutputTensorDescr(
                    id=v0_5.TensorId("restored"),
                    axes=[axis(letter, of=raw) for letter in axes],
                    test_tensor=v0_5.FileDescr(source=work / "out.npy"),
                    postprocessing=list(after),
                )
            ],
            weights=v0_5.WeightsDescr(
                onnx=v0_5.OnnxWeightsDescr(source=work / "net.onnx", opset_version=opset)
            ),
        )
        save_bioimageio_package_as_folder(model, output_path=folder)
    return folder


def write_04(folder, given, made, *, before=(), after=(), halo=4):
    """A package of format 0.4, likewise."""
    from bioimageio.spec import save_bioimageio_package_as_folder
    from bioimageio.spec.model import v0_4

    work = folder.parent / f"{folder.name}-made"
    work.mkdir()
    _described(work)
    network(work / "net.onnx")
    np.save(work / "in.npy", given[None, None].astype(np.float32))
    np.save(work / "out.npy", made[None, None].astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = v0_4.ModelDescr(
            name="Mean of nine, old",
            description="A mean of 3x3 pixels.",
            authors=[v0_4.Author(name="A. Nonymous")],
            cite=[v0_4.CiteEntry(text="none", url="https://example.com/none")],
            license=v0_4.LicenseId("MIT"),
            documentation=work / "doc.md",
            tags=["denoising"],
            timestamp=datetime(2024, 1, 1, tzinfo=UTC),
            inputs=[
                v0_4.InputTensorDescr(
                    name="raw",
                    axes="bcyx",
                    data_type="float32",
                    shape=v0_4.ParameterizedInputShape(min=[1, 1, 16, 16], step=[0, 0, 8, 8]),
                    preprocessing=list(before),
                )
            ],
            outputs=[
                v0_4.OutputTensorDescr(
                    name="restored",
                    axes="bcyx",
                    data_type="float32",
                    halo=[0, 0, halo, halo],
                    shape=v0_4.ImplicitOutputShape(
                        reference_tensor="raw", scale=[1, 1, 1, 1], offset=[0, 0, 0, 0]
                    ),
                    postprocessing=list(after),
                )
            ],
            test_inputs=[work / "in.npy"],
            test_outputs=[work / "out.npy"],
            weights=v0_4.WeightsDescr(
                onnx=v0_4.OnnxWeightsDescr(source=work / "net.onnx", opset_version=17)
            ),
        )
        save_bioimageio_package_as_folder(model, output_path=folder)
    return folder


def rehash(card, folder):
    """Let `card` state the sha256 that its files have now."""
    for entry in (
        card["weights"]["onnx"],
        card["inputs"][0]["test_tensor"],
        card["outputs"][0]["test_tensor"],
    ):
        entry["sha256"] = hashlib.sha256((folder / entry["source"]).read_bytes()).hexdigest()
