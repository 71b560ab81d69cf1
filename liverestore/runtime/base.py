"""The seam between restoring and whatever executes a network."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from liverestore.errors import Failure
from liverestore.model_spec import ModelSpec
from liverestore.restore import Whole

__all__ = ["NOT_ASKED", "InferenceRuntime", "RuntimeChanged", "whole_of"]


NOT_ASKED = "nobody asked for it"
"""Why a back end that has to be asked for does not serve."""


class RuntimeChanged(Failure):
    """A runtime failed and another one took its place: the same frame can be restored again."""


class InferenceRuntime(Protocol):
    """Executes one network on one device."""

    @property
    def spec(self) -> ModelSpec:
        """What the network expects and promises."""
        ...

    @property
    def description(self) -> str:
        """For people and provenance, for example "openvino 2026.4.1 CPU f32"."""
        ...

    def warm_up(self, shape: tuple[int, int], dtype: str = "uint16") -> None:
        """Prepare for frames of `shape` (Y, X) and `dtype`, so that the first is not late."""
        ...

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, C, Y, X) float32 in, (N, C', Y, X) float32 out.

        Y and X are multiples of `spec.divisor`. The returned buffer may be reused by the
        next call. Raises `Failure`.
        """
        ...

    def close(self) -> None:
        """Free the device; safe to call twice."""
        ...


def whole_of(runtime: InferenceRuntime) -> Whole | None:
    """The short way of a runtime that restores whole frames on its device; None of others.

    To be asked for each frame, since a runtime may be changing to a better one.
    """
    whole: Whole | None = getattr(runtime, "whole", None)
    return whole
