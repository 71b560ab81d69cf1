"""Which camera model a recorded movie is restored with, and where it came from."""

from __future__ import annotations

import numpy as np

from liverestore.camera_model import CameraModel
from liverestore.model_spec import ModelSpec
from liverestore.movie import Movie

__all__ = ["choose_camera"]

_FRAMES_FOR_ESTIMATE = 32
_BYTES_FOR_ESTIMATE = 256 * 2**20


def choose_camera(movie: Movie, rig: str | None, spec: ModelSpec) -> tuple[CameraModel, str]:
    """The camera model for `movie`, and one line that says it and its origin.

    An engine that works on plain counts needs none, and nothing is estimated for it.

    The numbers of `rig` where they are complete; else they are estimated, with the rig's
    offset where it has one: from successive frames where the movie has a time axis, else
    from one frame. Where nobody knows whether the axis is time or z, the estimate with
    less noise counts, because structure that changes from plane to plane only adds to it.
    """
    offset = None
    lacks = ""
    if rig is not None:
        from liverestore.rig import load_rig
        from liverestore.rig_camera import camera_of, missing_camera_numbers

        config = load_rig(rig)
        measured = camera_of(config.camera)
        if measured is not None:
            maps = "" if measured.maps is None else ", with its maps"
            return measured, f"{_numbers(measured)} (rig {config.name}{maps})"
        offset = config.camera.offset_counts
        lacks = f"; the rig has no {', '.join(missing_camera_numbers(config.camera))}"
    if spec.domain == "counts":
        return CameraModel(0.0, 1.0, 0.0, "assumed"), f"not needed, {spec.name} works on counts"
    model, how = _estimated(movie, offset)
    return model, f"{_numbers(model)} ({how}{lacks})"


def _estimated(movie: Movie, offset: float | None) -> tuple[CameraModel, str]:
    from liverestore.camera_estimate import estimate_from_frame, estimate_from_movie

    indices = movie.time_series()
    middle = movie[len(movie) // 2]
    fit_in_memory = max(2, _BYTES_FOR_ESTIMATE // middle.nbytes)
    count = min(_FRAMES_FOR_ESTIMATE, fit_in_memory, len(indices))
    if count < 2:
        return estimate_from_frame(middle, offset_counts=offset), "estimated from one frame"
    stack = np.stack([movie[index] for index in indices[:count]])
    model = estimate_from_movie(stack, offset_counts=offset)
    if "T" not in movie.axes:
        single = estimate_from_frame(middle, offset_counts=offset)
        level = float(np.median(middle))
        if _variance(single, level) < _variance(model, level):
            return single, "estimated from one plane"
    return model, f"estimated from {count} frames"


def _numbers(model: CameraModel) -> str:
    return (
        f"offset {model.offset_counts:.4g} counts, gain {model.gain_e_per_count:.3g} e/count, "
        f"read noise {model.read_noise_e:.2g} e"
    )


def _variance(model: CameraModel, level_counts: float) -> float:
    """Of the noise at a mean of `level_counts`, in counts squared."""
    electrons = max(0.0, level_counts - model.offset_counts) * model.gain_e_per_count
    return (electrons + model.read_noise_e**2) / model.gain_e_per_count**2
