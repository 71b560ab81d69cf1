"""Which back end runs an engine here: one table, best first, each imported when asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.base import NOT_ASKED, InferenceRuntime
from liverestore.runtime.sparing import SparingRuntime
from liverestore.runtime.upgrade import UpgradingRuntime

__all__ = [
    "BACKENDS",
    "Backend",
    "Choice",
    "choose",
    "open_on_processor",
    "open_runtime",
    "serving_words",
]

Precision = Literal["f32", "bf16", "f16"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A module with `is_incompatible(spec)` and the name of its runtime class."""

    name: str
    module: str
    runtime: str
    precisions: tuple[Precision, ...] = ("f32",)
    """What it computes in; exact first, then fast."""
    gpu: bool = False
    """Whether it runs on a graphics card."""


BACKENDS: tuple[Backend, ...] = (
    Backend("filter", "liverestore.runtime.filters", "FilterRuntime"),
    # Only where the user names a server; it is as far away as a GPU, and may fail as one.
    Backend("triton", "liverestore.runtime.triton", "TritonRuntime", gpu=True),
    Backend(
        "tensorrt", "liverestore.runtime.tensorrt", "TensorRtRuntime", ("f32", "f16"), gpu=True
    ),
    Backend("torch", "liverestore.runtime.torch_cuda", "TorchRuntime", ("f32", "f16"), gpu=True),
    Backend("openvino", "liverestore.runtime.openvino", "OpenVinoRuntime", ("f32", "bf16")),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The back end for an engine (None: there is none here), and why not the others."""

    backend: Backend | None
    refused: dict[str, str]
    """Back end -> reason."""

    @property
    def words(self) -> str:
        """What serves and why nothing faster does, in one line for a person."""
        serves = "nothing here can run it" if self.backend is None else self.backend.name
        reasons: dict[str, list[str]] = {}
        for name, why in self.refused.items():
            # That a network is no filter is no news.
            if why != NOT_ASKED and (name != "filter" or self.backend is None):
                reasons.setdefault(why, []).append(name)
        told = "; ".join(f"not {' or '.join(names)}: {why}" for why, names in reasons.items())
        return f"{serves} ({told})" if told else serves


def choose(spec: ModelSpec, backends: Sequence[Backend] = BACKENDS) -> Choice:
    """The first of `backends` that can run `spec` on this machine."""
    refused: dict[str, str] = {}
    for backend in backends:
        reason = importlib.import_module(backend.module).is_incompatible(spec)
        if not reason and backend.gpu and spec.zoo is not None:
            served = backend.name == "triton"  # whose repository holds our own engines only
            reason = "it is a model of the zoo" if served else spec.zoo.cpu_only
        if not reason:
            return Choice(backend, refused)
        refused[backend.name] = reason
    return Choice(None, refused)


def open_runtime(
    spec: ModelSpec,
    *,
    threads: int | None = None,
    precision: Precision | Literal["fast"] = "f32",
    ready: bool = True,
    tell: Callable[[str], None] = lambda _line: None,
) -> InferenceRuntime:
    """A runtime for `spec`, the best this machine has.

    `threads` bounds the processor cores it takes; `precision` "bf16" or "f16" is faster and
    less exact, and is refused by back ends that have no such choice. "fast" means, on a GPU,
    f16 from the first to the last convolution; on the processor bf16 where it has that and the
    engine only denoises, else f32: a denoiser adds a correction to what it got, so that bf16
    changes the result by 1 % of the noise (measured: 0.013 of its standard deviation, 0.06 at
    most) at more than twice the rate.

    A GPU takes seconds to make ready. With `ready` False the processor restores meanwhile, and
    the GPU takes over between two frames; `tell` gets a line when it does, or why it does not.
    A device without memory for a whole frame goes on in smaller tiles (`SparingRuntime`), which
    `tell` gets a line of as well.
    Raises `UserError` when nothing here can run the engine, with each reason.
    """
    choice = choose(spec)
    backend = choice.backend
    if backend is None:
        reasons = "; ".join(
            f"{name}: {why}" for name, why in choice.refused.items() if why != NOT_ASKED
        )
        raise UserError(f"engine '{spec.name}' cannot run here: {reasons}")
    if backend.name == "filter":
        return _opened(spec, backend, threads, precision)
    meanwhile = _without_gpu(spec) if backend.gpu and not ready else None
    if meanwhile is None:
        return SparingRuntime(_opened(spec, backend, threads, precision), tell)
    word: Precision | Literal["fast"] = precision if precision in ("f32", "fast") else "fast"
    return UpgradingRuntime(
        SparingRuntime(_opened(spec, meanwhile, threads, word), tell),
        lambda: SparingRuntime(_opened(spec, backend, threads, precision), tell),
        tell,
    )


def open_on_processor(spec: ModelSpec, *, threads: int | None = None) -> InferenceRuntime:
    """A runtime for `spec` that leaves the GPU to others and multiplies in 32 bits.

    Raises `UserError` where the processor cannot run it.
    """
    backend = _without_gpu(spec)
    if backend is None:
        raise UserError(f"engine '{spec.name}' cannot run on the processor; choose another")
    return _opened(spec, backend, threads, "f32")


def _without_gpu(spec: ModelSpec) -> Backend | None:
    return choose(spec, [backend for backend in BACKENDS if not backend.gpu]).backend


def serving_words(runtime: InferenceRuntime) -> str:
    """What executes `runtime` at this moment and why nothing faster does, in one line."""
    choice = choose(runtime.spec)
    why = runtime.why_not_better if isinstance(runtime, UpgradingRuntime) else None
    meanwhile = _without_gpu(runtime.spec)
    if why is None or choice.backend is None or meanwhile is None:
        return choice.words
    return f"{meanwhile.name} (not {choice.backend.name}: {why})"


def _opened(
    spec: ModelSpec,
    backend: Backend,
    threads: int | None,
    precision: Precision | Literal["fast"],
) -> InferenceRuntime:
    module = importlib.import_module(backend.module)
    if precision == "fast":
        precision = _fast(spec, backend)
    if precision not in backend.precisions:
        raise UserError(
            f"engine '{spec.name}' got precision {precision}; {backend.name} computes in "
            f"{' or '.join(backend.precisions)} only; leave it out"
        )
    options: dict[str, object] = {"threads": threads}
    if len(backend.precisions) > 1:
        options["precision"] = precision
    runtime: InferenceRuntime = getattr(module, backend.runtime)(spec, **options)
    return runtime


def _fast(spec: ModelSpec, backend: Backend) -> Precision:
    """The fast precision of `backend`, where it is exact enough for `spec`."""
    if spec.zoo is not None:
        return "f32"  # what its test tensors were checked in
    fast = backend.precisions[-1]
    if fast == "bf16":
        has_bf16 = importlib.import_module(backend.module).has_bf16
        return "bf16" if spec.task == "denoise" and has_bf16() else "f32"
    return fast
