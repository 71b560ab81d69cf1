"""ONNX Runtime's few calls that bioimageio.core makes, on OpenVINO, where it is not installed.

So bioimageio.core runs with everything that is its own: reading, axes, steps around the network,
test tensors and tolerances. Only the network itself is computed by the runtime that is here.
"""

import importlib.util
import sys
import types
from types import SimpleNamespace

import openvino


class InferenceSession:
    def __init__(self, model, providers=None):
        assert providers in (None, ["CPUExecutionProvider"])
        core = openvino.Core()
        read = core.read_model(model) if isinstance(model, bytes) else core.read_model(str(model))
        self._compiled = core.compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def get_inputs(self):
        return [SimpleNamespace(name=entry.any_name) for entry in self._compiled.inputs]

    def run(self, _outputs, given):
        made = self._compiled([given[entry.any_name] for entry in self._compiled.inputs])
        return [made[place] for place in range(len(self._compiled.outputs))]


def stand_in(monkeypatch):
    """Let `import onnxruntime` find the class above, unless the real one is installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        module = types.ModuleType("onnxruntime")
        module.InferenceSession = InferenceSession
        module.get_available_providers = lambda: ["CPUExecutionProvider"]
        monkeypatch.setitem(sys.modules, "onnxruntime", module)
