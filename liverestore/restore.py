"""One frame through one engine: counts in, counts out, and a record of what was done."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, Provenance, Restored
from liverestore.model_spec import ModelSpec
from liverestore.normalise import Padding, as_pixels
from liverestore.tiling import infer_tiled

__all__ = ["restore"]

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, C, Y, X) float32 to the same; its result may be overwritten by the next call."""

_LARGEST_WHOLE_PX = 4096 * 4096
"""Larger frames go through in tiles."""
_TILE_PX = 2048
_SATURATED_SHARE = 1e-3


def restore(
    frame: Frame,
    spec: ModelSpec,
    infer: Infer,
    camera: CameraModel,
    dpm: None = None,
    *,
    runtime: str = "",
) -> Restored:
    """Restore one frame; the same input always gives the same output.

    Counts are variance-stabilised with `camera`, padded by mirroring to what the network
    takes, inferred, cut back and inverted exactly: the result has the shape and dtype of the
    frame and its numbers are counts, rounded and clipped for integer pixels. An engine whose
    domain is "counts" gets the counts as they are. `runtime` is what runs `infer`, for the
    record. `dpm` is for engines that refocus; none does yet.

    Raises `UserError` for NaN or infinite pixels and for a `dpm`, `Failure` when the engine
    gives something that is no picture of that size.
    """
    started_ns = time.perf_counter_ns()
    pixels = frame.pixels
    if dpm is not None:
        raise UserError(f"engine '{spec.name}' does not refocus; leave out the DPM")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UserError(
            f"frame {frame.header.number} has NaN or infinite pixels; an engine needs numbers "
            "everywhere: replace them before restoring"
        )
    shape = frame.header.shape
    padding = Padding(shape, spec.padded(shape))
    parameters: dict[str, float | int | str] = {}
    if spec.domain == "stabilised":
        entering = camera.stabilise(pixels)
        parameters.update(camera.numbers())
    else:
        entering = pixels.astype(np.float32)
    batch = padding.pad(entering)[None, None]
    if shape[0] * shape[1] > _LARGEST_WHOLE_PX:
        result = infer_tiled(infer, batch, _TILE_PX, spec.halo_px, spec.divisor)
        parameters["tile_px"] = _TILE_PX
    else:
        result = infer(batch)
    if result.shape != batch.shape:
        raise Failure(
            f"engine '{spec.name}' gave an array of shape {result.shape} for {batch.shape}; "
            "its package does not match its weights"
        )
    leaving = padding.crop(result[0, 0])
    # The result may lie in a buffer of the engine, so it is copied in both branches.
    counts = camera.unstabilise(leaving) if spec.domain == "stabilised" else leaving.copy()
    out = as_pixels(counts, pixels.dtype)
    finished_ns = time.perf_counter_ns()
    return Restored(
        out,
        frame,
        Provenance(
            engine=spec.name,
            version=spec.version,
            sha256=spec.sha256,
            runtime=runtime,
            parameters=parameters,
            started_ns=started_ns,
            finished_ns=finished_ns,
            warnings=_warnings(frame, spec, camera),
        ),
    )


def _warnings(frame: Frame, spec: ModelSpec, camera: CameraModel) -> tuple[str, ...]:
    """What the data cannot support, in words for the screen."""
    words = list(spec.warnings_for(frame.header))
    if spec.domain == "stabilised" and camera.origin == "assumed":
        words.append(
            "noise could not be estimated from these frames: give the rig's camera numbers"
        )
    if frame.pixels.dtype.kind == "u":
        top = 2 ** (8 * frame.pixels.dtype.itemsize) - 1
        depth = frame.header.bit_depth
        if depth is not None:
            top = min(top, 2**depth - 1)
        share = np.count_nonzero(np.greater_equal(frame.pixels, top)) / frame.pixels.size
        if share > _SATURATED_SHARE:
            words.append(f"{100 * share:.1f} % of the pixels are saturated: too low there")
    return tuple(words)
