"""Engine packages as a model repository of NVIDIA's Triton Inference Server."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from liverestore.errors import Failure, UserError
from liverestore.model_spec import ModelSpec

__all__ = ["MOST_BATCH", "SHA256", "model_config", "write_repository"]

MOST_BATCH = 8
"""Most planes that the server takes, or gathers from several microscopes, in one call."""
SHA256 = "liverestore_sha256"
"""Parameter of a model's configuration: sha256 of its weights, so that a client can check it."""

_CONFIG = """\
# liverestore {version} of engine {name}: (N, {channels}, Y, X) float32, {domain}, in,
# (N, 1, Y, X) out; Y and X are multiples of {divisor}.
name: "{name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: {batch}
input [
  {{ name: "{input}", data_type: TYPE_FP32, dims: [ {channels}, -1, -1 ] }}
]
output [
  {{ name: "{output}", data_type: TYPE_FP32, dims: [ 1, -1, -1 ] }}
]
# Frames of several microscopes that wait at the same time and have one size are computed
# together. No delay: a frame never waits for company.
dynamic_batching {{ max_queue_delay_microseconds: 0 }}
parameters: {{ key: "{key}" value: {{ string_value: "{sha256}" }} }}
"""


def model_config(spec: ModelSpec) -> str:
    """The `config.pbtxt` of an engine. Raises `UserError` for an engine without ONNX weights."""
    if spec.weights is None:
        raise UserError(
            f"engine '{spec.name}': is a filter without weights, which Triton has no use for; "
            "it runs on any machine as it is"
        )
    names = _tensor_names(spec)
    return _CONFIG.format(
        version=spec.version,
        name=spec.name,
        channels=spec.channels,
        domain="variance-stabilised" if spec.domain == "stabilised" else "counts",
        divisor=spec.divisor,
        batch=MOST_BATCH,
        input=names[0],
        output=names[1],
        key=SHA256,
        sha256=spec.sha256,
    )


def write_repository(specs: Sequence[ModelSpec], folder: Path) -> list[Path]:
    """Write `folder/NAME/config.pbtxt` and `folder/NAME/1/model.onnx` of each; their folders.

    Raises `UserError` for an engine without weights and for a model that is there already, and
    `Failure` when the disk refuses. Nothing is overwritten.
    """
    configs = [model_config(spec) for spec in specs]
    for spec in specs:
        if (folder / spec.name).exists():
            raise UserError(
                f"{folder / spec.name}: is there already and is not overwritten; remove it, or "
                "give another folder"
            )
    written = []
    for spec, config in zip(specs, configs, strict=True):
        assert spec.weights is not None
        model = folder / spec.name
        try:
            (model / "1").mkdir(parents=True)
            shutil.copyfile(spec.weights, model / "1" / "model.onnx")
            # Last: a server that watches the folder takes a model for whole once this is there.
            (model / "config.pbtxt").write_text(config, encoding="utf-8", newline="\n")
        except OSError as error:
            raise Failure(f"{model}: cannot be written: {error.strerror or error}") from error
        written.append(model)
    return written


def _tensor_names(spec: ModelSpec) -> tuple[str, str]:
    """Names of the network's input and output, as OpenVINO reads them from the file."""
    from liverestore.runtime.openvino import shared_core

    try:
        model = shared_core().read_model(str(spec.weights))
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise Failure(f"engine '{spec.name}': its weights cannot be read: {line}") from error
    return model.input(0).any_name, model.output(0).any_name
