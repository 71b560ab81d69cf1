"""A real Triton server for the tests: the one that NVIDIA's PyTriton brings.

Its one back end is Python, so that the models exported for ONNX Runtime are given a few lines
that run the same file with OpenVINO.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PYTHON = "LIVERESTORE_TRITON_PYTHON"
"""Python of an environment with nvidia-pytriton and openvino."""

MODEL = """
import sys
sys.path[:0] = [{packages!r}]
import json
import numpy as np
import openvino
import triton_python_backend_utils as backend


class TritonPythonModel:
    def initialize(self, given):
        config = json.loads(given["model_config"])
        self.input, self.output = config["input"][0]["name"], config["output"][0]["name"]
        path = given["model_repository"] + "/1/model.onnx"
        exact = {{"INFERENCE_PRECISION_HINT": "f32"}}
        self.network = openvino.Core().compile_model(path, "CPU", exact)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        pixels = backend.get_input_tensor_by_name(request, self.input).as_numpy()
        result = np.array(self.network([pixels])[0])
        return backend.InferenceResponse([backend.Tensor(self.output, result)])
"""


def why_not():
    """Why no server can run here; empty where one can."""
    if not os.environ.get(PYTHON):
        return f"{PYTHON} names no Python with nvidia-pytriton and openvino"
    return ""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_servable(repository, packages):
    """Have the models of `repository` run by the Python back end."""
    for config in Path(repository).glob("*/config.pbtxt"):
        text = config.read_text(encoding="utf-8")
        assert 'backend: "onnxruntime"' in text
        text = text.replace('backend: "onnxruntime"', 'backend: "python"')
        text = text.replace('"model.onnx"', '"model.py"')
        config.write_text(text, encoding="utf-8")
        code = MODEL.format(packages=str(packages))
        (config.parent / "1" / "model.py").write_text(code, encoding="utf-8")


@contextlib.contextmanager
def serving(repository, folder):
    """A server of `repository`, ready: its process and HOST:PORT of its gRPC service."""
    where = (
        "import pytriton, sys; print(pytriton.__path__[0]); print(*sys.version_info[:2], sep='.')"
    )
    said = subprocess.run(
        [os.environ[PYTHON], "-c", where], capture_output=True, text=True, check=True
    ).stdout.split()
    packages, version = Path(said[0]).parent, said[1]
    server = packages / "pytriton" / "tritonserver"
    make_servable(repository, packages)
    backends = folder / "backends"
    shutil.copytree(server / "backends", backends)
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    port = free_port()
    command = [
        str(server / "bin" / "tritonserver"), f"--model-repository={repository}",
        f"--backend-directory={backends}", f"--grpc-port={port}", "--grpc-address=127.0.0.1",
        "--allow-http=false", "--allow-metrics=false", "--exit-timeout-secs=3",
    ]  # fmt: skip
    libraries = str(packages / "nvidia_pytriton.libs")
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env=os.environ | {"LD_LIBRARY_PATH": libraries}, stdout=log, stderr=log
        )
    try:
        ends = time.monotonic() + 60
        while "Started GRPCInferenceService" not in (folder / "server.log").read_text():
            assert process.poll() is None, (folder / "server.log").read_text()[-3000:]
            assert time.monotonic() < ends, "the server does not start"
            time.sleep(0.1)
        yield process, f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
