"""Networks on an NVIDIA Triton server, or another that speaks the KServe v2 protocol over gRPC.

Which server stands in the environment, `LIVERESTORE_TRITON`, since every process of a run has to
know it: HOST:PORT, or grpcs://HOST:PORT for one with a certificate.
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure, UserError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.base import NOT_ASKED
from liverestore.runtime.triton_repository import SHA256

__all__ = ["SERVER", "ServerReport", "TritonRuntime", "about_server", "is_incompatible", "server"]

SERVER = "LIVERESTORE_TRITON"

_ADDRESS = re.compile(r"(?:(?P<scheme>grpcs?)://)?(?P<at>[^\s/:]+|\[[0-9a-fA-F:]+\]):(?P<port>\d+)")
_PATIENCE_S = 5.0
_WARM_UP_S = 120.0
"""A server may compile a network for a frame size at its first frame."""


def server() -> tuple[str, bool] | None:
    """HOST:PORT and whether it is encrypted, from the environment; None where none is named.

    Raises `UserError` for text that is no address.
    """
    text = os.environ.get(SERVER, "").strip()
    if not text:
        return None
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise UserError(
            f"{SERVER}: got {text!r}; give HOST:PORT of its gRPC service, such as gpu.lab:8001, or "
            "grpcs://HOST:PORT"
        )
    return f"{found['at']}:{found['port']}", found["scheme"] == "grpcs"


def is_incompatible(spec: ModelSpec) -> Literal[False] | str:
    """False when a server is named that `spec` can be asked of, else the reason.

    Whether the server answers is found out when it is opened.
    """
    if server() is None:
        return NOT_ASKED
    if spec.weights is None:
        return "it has no ONNX weights"
    if importlib.util.find_spec("tritonclient") is None:
        return "tritonclient is not installed (pip install 'liverestore[triton]')"
    return False


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What the named server said."""

    words: str
    remedy: str | None = None
    """What to do where it did not answer."""


def about_server() -> ServerReport | None:
    """Ask the server that is named for its version and models; None where none is named."""
    try:
        named = server()
    except UserError as error:
        return ServerReport(str(error), f"correct {SERVER}, or unset it")
    if named is None:
        return None
    if importlib.util.find_spec("tritonclient") is None:
        return ServerReport("tritonclient is not installed", "pip install 'liverestore[triton]'")
    connection = _Connection(*named)
    try:
        about = connection.ask("get_server_metadata")
        index = connection.ask("get_model_repository_index")
    except Failure as error:
        return ServerReport(str(error), "start the server, or open its gRPC port (8001)")
    finally:
        connection.close()
    models = ", ".join(sorted(model.name for model in index.models)) or "no model"
    return ServerReport(f"{about.name} {about.version} at {named[0]}: {models}")


class _Connection:
    """A client of one server whose errors are `Failure`s of one line."""

    def __init__(self, address: str, secure: bool) -> None:
        import tritonclient.grpc

        self.address = address
        self._client: Any = tritonclient.grpc.InferenceServerClient(address, ssl=secure)

    def ask(self, what: str, *given: Any, patience_s: float = _PATIENCE_S, **named: Any) -> Any:
        """The answer to the client's method `what`."""
        from tritonclient.utils import InferenceServerException

        if self._client is None:
            raise Failure(f"the connection to {self.address} is closed")
        try:
            return getattr(self._client, what)(*given, client_timeout=patience_s, **named)
        except InferenceServerException as error:
            line = " ".join(str(error.message() or error).split())[:200]
            raise Failure(f"the Triton server at {self.address}: {line}") from error

    def close(self) -> None:
        """Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


class TritonRuntime:
    """One network on a server, which must say that its weights are those of `spec`."""

    def __init__(self, spec: ModelSpec, *, threads: int | None = None) -> None:
        """Ask the server for the model. `threads` is the server's own matter.

        Raises `Failure` when it does not answer, does not have the model or has other weights.
        """
        import tritonclient.grpc

        named = server()
        if named is None:
            raise Failure(f"engine '{spec.name}': no server is named in {SERVER}")
        self._address = named[0]
        self._spec = spec
        self._grpc: Any = tritonclient.grpc
        self._connection = _Connection(*named)
        try:
            config = self._connection.ask("get_model_config", spec.name).config
            about = self._connection.ask("get_server_metadata")
        except Failure:
            self.close()
            raise
        self._input, self._output = config.input[0].name, config.output[0].name
        told = config.parameters[SHA256].string_value if SHA256 in config.parameters else ""
        if told != spec.sha256:
            self.close()
            got = f"weights {told[:12]}" if told else "no sha256 of its weights"
            raise Failure(
                f"engine '{spec.name}': {self._address} tells {got}, here they are "
                f"{spec.sha256[:12]}; export it again with `liverestore engine triton`"
            )
        self._most = max(1, config.max_batch_size)
        self._description = f"{about.name} {about.version} at {self._address}"

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        return self._spec

    @property
    def description(self) -> str:
        """For people and provenance: server, version and address."""
        return self._description

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Have one frame of `shape` (Y, X) computed; whatever their `dtype`."""
        planes = np.zeros((1, self._spec.channels, *self._spec.padded(shape)), np.float32)
        self._infer(planes, _WARM_UP_S)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 to (N, 1, Y, X). Raises `Failure`."""
        if batch.ndim != 4 or any(n % self._spec.divisor for n in batch.shape[2:]):
            raise Failure(
                f"engine '{self._spec.name}' got a batch {batch.shape}; it takes (N, C, Y, X) "
                f"with Y and X multiples of {self._spec.divisor}"
            )
        parts = [
            self._infer(batch[begin : begin + self._most], _PATIENCE_S)
            for begin in range(0, len(batch), self._most)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _infer(self, batch: NDArray[np.float32], patience_s: float) -> NDArray[np.float32]:
        pixels = self._grpc.InferInput(self._input, batch.shape, "FP32")
        pixels.set_data_from_numpy(np.ascontiguousarray(batch, np.float32))
        wanted = [self._grpc.InferRequestedOutput(self._output)]
        answer = self._connection.ask(
            "infer", self._spec.name, [pixels], outputs=wanted, patience_s=patience_s
        )
        try:
            result: NDArray[np.float32] | None = answer.as_numpy(self._output)
        except ValueError:  # fewer bytes than its shape needs
            result = None
        expected = (len(batch), 1, *batch.shape[2:])
        if result is None or result.shape != expected or result.dtype != np.float32:
            got = "nothing" if result is None else f"{result.dtype} {result.shape}"
            raise Failure(
                f"engine '{self._spec.name}': {self._address} sent {got}, expected "
                f"float32 {expected}"
            )
        return result

    def close(self) -> None:
        """End the connection; safe to call twice."""
        self._connection.close()
