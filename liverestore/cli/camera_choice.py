"""Which camera model a recorded movie is restored with, and where it came from."""

from __future__ import annotations

from liverestore.camera_model import CameraModel
from liverestore.model_spec import ModelSpec
from liverestore.movie import Movie

__all__ = ["choose_camera"]


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
    from liverestore.camera_of_stack import camera_of_stack

    return camera_of_stack(
        movie.__getitem__,
        movie.time_series(),
        len(movie) // 2,
        is_time="T" in movie.axes,
        offset_counts=offset,
    )


def _numbers(model: CameraModel) -> str:
    return (
        f"offset {model.offset_counts:.4g} counts, gain {model.gain_e_per_count:.3g} e/count, "
        f"read noise {model.read_noise_e:.2g} e"
    )
