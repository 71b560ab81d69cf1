"""Which back end runs an engine here: one table, best first, each imported when asked."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Literal

from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.runtime.base import InferenceRuntime

__all__ = ["BACKENDS", "Backend", "Choice", "choose", "open_runtime"]

Precision = Literal["f32", "bf16"]


@dataclass(frozen=True, slots=True)
class Backend:
    """A module with `is_incompatible(spec)` and the name of its runtime class."""

    name: str
    module: str
    runtime: str
    takes_precision: bool


BACKENDS: tuple[Backend, ...] = (
    Backend("filter", "liverestore.runtime.filters", "FilterRuntime", False),
    Backend("openvino", "liverestore.runtime.openvino", "OpenVinoRuntime", True),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The back end for an engine (None: there is none here), and why not the others."""

    backend: Backend | None
    refused: dict[str, str]
    """Back end -> reason."""


def choose(spec: ModelSpec) -> Choice:
    """The first back end that can run `spec` on this machine."""
    refused: dict[str, str] = {}
    for backend in BACKENDS:
        reason = importlib.import_module(backend.module).is_incompatible(spec)
        if not reason:
            return Choice(backend, refused)
        refused[backend.name] = reason
    return Choice(None, refused)


def open_runtime(
    spec: ModelSpec,
    *,
    threads: int | None = None,
    precision: Precision | Literal["fast"] = "f32",
) -> InferenceRuntime:
    """A runtime for `spec`, the best this machine has.

    `threads` bounds the processor cores it takes; `precision` "bf16" is faster and less
    exact, and is refused by back ends that have no such choice. "fast" means bf16 where the
    processor has it and the engine only denoises, else f32: a denoiser adds a correction to
    what it got, so that bf16 changes the result by 1 % of the noise (measured: 0.013 of its
    standard deviation, 0.06 at most) at more than twice the rate. Raises `UserError` when
    nothing here can run the engine, with each reason.
    """
    choice = choose(spec)
    if choice.backend is None:
        reasons = "; ".join(f"{name}: {why}" for name, why in choice.refused.items())
        raise UserError(f"engine '{spec.name}' cannot run here: {reasons}")
    module = importlib.import_module(choice.backend.module)
    if precision == "fast":
        fast = choice.backend.takes_precision and spec.task == "denoise" and module.has_bf16()
        precision = "bf16" if fast else "f32"
    options: dict[str, object] = {"threads": threads}
    if choice.backend.takes_precision:
        options["precision"] = precision
    elif precision != "f32":
        raise UserError(
            f"engine '{spec.name}' got precision {precision}; {choice.backend.name} computes "
            "in f32 only; leave it out"
        )
    runtime: InferenceRuntime = getattr(module, choice.backend.runtime)(spec, **options)
    return runtime
