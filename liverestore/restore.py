"""One frame through one engine: counts in, counts out, and a record of what was done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.dpm import Dpm
from liverestore.errors import Failure, UserError
from liverestore.frame import Frame, Provenance, Restored
from liverestore.model_spec import ModelSpec
from liverestore.normalise import Padding, as_pixels
from liverestore.optics import Optics
from liverestore.refocus import Aim, aim
from liverestore.tiling import infer_tiled

__all__ = ["Infer", "Whole", "brightest_e", "restore", "restore_planes"]

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, C, Y, X) float32 to (N, 1, Y, X); its result may be overwritten by the next call."""

Whole = Callable[
    [NDArray[Any], CameraModel, Sequence[NDArray[np.float32]] | None], NDArray[Any] | None
]
"""(Y, X) pixels, camera and, to refocus, N distances in waves, to (Y, X) or (N, Y, X) pixels: all
of restoring on a device. The result belongs to the caller; None where the device has no memory
for the whole frame, which `Infer` may still restore."""

_WHOLE_DTYPES = ("uint8", "uint16", "float32")
_LARGEST_WHOLE_PX = 4096 * 4096
"""Larger frames go through in tiles."""
_TILE_PX = 2048
_BATCH_PX = 1024 * 1024
"""Planes of a virtual stack go through together up to this many pixels, or one by one."""
_SATURATED_SHARE = 1e-3
_PLACE_PX = 3
"""Edge of a place whose mean is its brightness: about as large as a spot, with little noise."""
_PLACES = 20_000
"""Looked at in a frame, so that it costs well under a millisecond."""
_BRIGHT_SHARE = 1e-3
"""Of the places, those that are the brightest."""
_BRIGHT_SIGMAS = 3.09
"""Where a normal distribution has that share above it."""
_OUT_OF_RANGE = 2.0
"""Factor beyond the trained light at which it is said."""


def restore(
    frame: Frame,
    spec: ModelSpec,
    infer: Infer,
    camera: CameraModel,
    dpm: Dpm | NDArray[np.float32] | float | None = None,
    *,
    optics: Optics | None = None,
    whole: Whole | None = None,
    runtime: str = "",
) -> Restored:
    """Restore one frame; the same input always gives the same output.

    Counts are variance-stabilised with `camera`, padded by mirroring to what the network
    takes, inferred, cut back and inverted exactly: the result has the shape and dtype of the
    frame and its numbers are counts, rounded and clipped for integer pixels. An engine whose
    domain is "counts" gets the counts as they are. Fixed pattern that `camera` has maps of is
    taken out and stays out. `whole`, of a runtime that has it, does all of that on its device
    and is taken instead of `infer` for frames that need no tiles. `runtime` is what runs them,
    for the record. A model of the zoo (`spec.zoo`) brings steps of its own: what leaves is counts
    where those keep the scale, and else a warning says that it is not.

    An engine that refocuses needs `dpm`, the distance from the plane in focus to the plane
    wanted: one number, a (Y, X) array, or a `Dpm`, in um, positive deeper into the sample;
    and `optics`, in whose waves the network counts. Distances beyond its reach are clipped;
    that, and optics it was not trained for, stand in the warnings of the provenance.

    Raises `UserError` for NaN or infinite pixels, for a `dpm` or optics that are missing, do
    not fit or are given to an engine that does not refocus, for maps that are not of this
    frame's chip and binning, and `Failure` when the engine gives something that is no picture
    of that size.
    """
    started_ns = time.perf_counter_ns()
    aims = (aim(dpm, frame.header, spec, optics),) if spec.refocuses or dpm is not None else (None,)
    return next(_restored(frame, spec, infer, camera, aims, whole, runtime, started_ns))


def restore_planes(
    frame: Frame,
    spec: ModelSpec,
    infer: Infer,
    camera: CameraModel,
    planes_um: Sequence[float],
    *,
    optics: Optics | None,
    whole: Whole | None = None,
    runtime: str = "",
    batch_px: int | None = None,
    most: int | None = None,
) -> Iterator[Restored]:
    """A virtual z-stack of one frame: `restore` to each of the distances `planes_um`, in order.

    The parameters of each plane name its distance as `virtual_z_um`. Small frames go through
    the engine several planes at a time, which changes nothing but the time it takes; such
    planes share `started_ns` and `finished_ns`, those of all of them. A batch has up to `batch_px`
    pixels (None: as many as measured to be best), or one plane, and `most` planes at most. Raises
    as `restore` does, before the first plane.
    """
    started_ns = time.perf_counter_ns()
    aims = [aim(float(z_um), frame.header, spec, optics) for z_um in planes_um]
    together = max(1, (batch_px or _BATCH_PX) // math.prod(spec.padded(frame.header.shape)))
    together = min(together, most or together)
    # Batches of one size, where that needs no more of them: a network is compiled for each.
    together = math.ceil(len(aims) / math.ceil(len(aims) / together))
    for first in range(0, len(aims), together):
        batch = aims[first : first + together]
        yield from _restored(frame, spec, infer, camera, batch, whole, runtime, started_ns)
        started_ns = time.perf_counter_ns()


def _restored(
    frame: Frame,
    spec: ModelSpec,
    infer: Infer,
    camera: CameraModel,
    aims: Sequence[Aim | None],
    whole: Whole | None,
    runtime: str,
    started_ns: int,
) -> Iterator[Restored]:
    """`frame` once for each of `aims` (None: an engine that takes none), as one batch."""
    pixels, shape = frame.pixels, frame.header.shape
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise UserError(
            f"frame {frame.header.number} has NaN or infinite pixels; an engine needs numbers "
            "everywhere: replace them before restoring"
        )
    parameters: dict[str, float | int | str] = {}
    if spec.domain == "stabilised":
        camera = camera.for_frame(frame.header)
        parameters.update(camera.numbers())
    tiled = shape[0] * shape[1] > _LARGEST_WHOLE_PX
    waves = [target.waves for target in aims if target is not None]
    done = None
    if whole is not None and spec.zoo is None and not tiled and pixels.dtype.name in _WHOLE_DTYPES:
        done = whole(pixels, camera, waves or None)
    if done is not None:
        pictures = list(done) if waves else [done]
    elif spec.zoo is not None:
        parameters["values"] = spec.zoo.values
        pictures = [_by_zoo(pixels, spec, infer)]
    else:
        if tiled:
            parameters["tile_px"] = _TILE_PX
        pictures = _by_network(frame, spec, infer, camera, aims, tiled)
    words, light = _about_light(frame, spec, camera)
    parameters.update(light)
    warnings = _warnings(frame, spec, camera) + words
    if spec.zoo is not None:
        warnings = spec.zoo.warnings_for(pixels) + warnings
    made = zip(aims, pictures, strict=True)
    finished_ns = time.perf_counter_ns()
    for target, out in made:
        yield Restored(
            out,
            frame,
            Provenance(
                engine=spec.name,
                version=spec.version,
                sha256=spec.sha256,
                runtime=runtime,
                parameters=parameters if target is None else {**parameters, **target.parameters},
                started_ns=started_ns,
                finished_ns=finished_ns,
                warnings=warnings if target is None else warnings + target.warnings,
            ),
        )


def _by_zoo(pixels: NDArray[Any], spec: ModelSpec, infer: Infer) -> NDArray[Any]:
    """(Y, X) pixels through a model of the zoo, with the steps of its own card."""
    assert spec.zoo is not None, "asked only of models of the zoo"
    try:
        return spec.zoo.restore(pixels, infer)
    except Failure as error:
        said = str(error)
        raise type(error)(said if spec.name in said else f"engine '{spec.name}': {said}") from error


def _by_network(
    frame: Frame,
    spec: ModelSpec,
    infer: Infer,
    camera: CameraModel,
    aims: Sequence[Aim | None],
    tiled: bool,
) -> list[NDArray[Any]]:
    """(Y, X) pixels for each of `aims`, with everything but the network done here."""
    shape = frame.header.shape
    padding = Padding(shape, spec.padded(shape))
    batch = _batch(frame, spec, camera, padding, aims)
    if tiled:
        result = infer_tiled(infer, batch, _TILE_PX, spec.halo_px, spec.divisor)
    else:
        result = infer(batch)
    if result.shape != (len(aims), 1, *padding.outer):
        raise Failure(
            f"engine '{spec.name}' gave an array of shape {result.shape} for {batch.shape}; "
            "its package does not match its weights"
        )
    made = []
    for picture in result[:, 0]:
        leaving = padding.crop(picture)
        counts = camera.unstabilise(leaving) if spec.domain == "stabilised" else leaving.copy()
        made.append(as_pixels(counts, frame.pixels.dtype))
    return made


def _batch(
    frame: Frame,
    spec: ModelSpec,
    camera: CameraModel,
    padding: Padding,
    aims: Sequence[Aim | None],
) -> NDArray[np.float32]:
    """What the network gets: (N, C, Y, X), the picture and, where it refocuses, the waves."""
    stabilised = spec.domain == "stabilised"
    if not spec.refocuses:
        entering = camera.stabilise(frame.pixels) if stabilised else frame.pixels.astype(np.float32)
        return padding.pad(entering)[None, None]
    batch = np.empty((len(aims), spec.channels, *padding.outer), np.float32)
    if padding.needed or not stabilised:
        entering = camera.stabilise(frame.pixels) if stabilised else frame.pixels.astype(np.float32)
        batch[0, 0] = padding.pad(entering)
    else:
        camera.stabilise(frame.pixels, out=batch[0, 0])
    batch[1:, 0] = batch[0, 0]
    for place, target in zip(batch, aims, strict=True):
        assert target is not None, "a refocusing engine is aimed"
        place[1] = padding.pad(target.waves)
    return batch


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


def _about_light(
    frame: Frame, spec: ModelSpec, camera: CameraModel
) -> tuple[tuple[str, ...], dict[str, float | int | str]]:
    """Whether the light is far from what `spec` was trained for, in words and for the record.

    The words name the bound that was passed and not the frame's own number, which differs from
    frame to frame and would flicker on the screen; that one stands in the parameters.
    """
    span = spec.photon_range_e
    if span is None or camera.origin == "assumed" or min(frame.header.shape) < _PLACE_PX:
        return (), {}
    found_e = brightest_e(frame.pixels, camera)
    low, high = span[0] / _OUT_OF_RANGE, span[1] * _OUT_OF_RANGE
    # Readout alone makes places as bright as this; what hides in it is not called too dark.
    read_e = _BRIGHT_SIGMAS * camera.read_noise_e / _PLACE_PX
    if found_e > high:
        said = f"light above {high:g} e"
    elif found_e < math.hypot(low, read_e):
        said = f"light below {low:g} e"
    else:
        return (), {}
    words = (
        f"{said} at the brightest places: engine '{spec.name}' was trained for {span[0]:g} to "
        f"{span[1]:g} e there"
    )
    return (words,), {"brightest_e": float(f"{found_e:.3g}")}


def brightest_e(pixels: NDArray[Any], camera: CameraModel) -> float:
    """Photoelectrons that a thousandth of the places of a frame (Y, X) exceeds."""
    height, width = pixels.shape
    across = width // _PLACE_PX
    down = min(height // _PLACE_PX, max(1, _PLACES // across))
    # Bands of rows all over the frame.
    first = np.linspace(0, height - _PLACE_PX, down).astype(np.intp)
    rows = sum(pixels[first + n, : across * _PLACE_PX].astype(np.float32) for n in range(_PLACE_PX))
    assert isinstance(rows, np.ndarray)
    places = sum(rows[:, n::_PLACE_PX] for n in range(_PLACE_PX))
    assert isinstance(places, np.ndarray)
    rank = int((1 - _BRIGHT_SHARE) * (places.size - 1))
    counts = float(np.partition(places.ravel(), rank)[rank]) / _PLACE_PX**2
    return (counts - camera.offset_counts) * camera.gain_e_per_count
