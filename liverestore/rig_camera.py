"""The camera of a microscope out of its rig file."""

from __future__ import annotations

from liverestore.camera_maps import load_maps
from liverestore.camera_stabilise import CameraModel
from liverestore.rig import CameraConfig

__all__ = ["camera_of", "missing_camera_numbers"]

_NEEDED = ("offset_counts", "gain_e_per_count", "read_noise_e")


def missing_camera_numbers(camera: CameraConfig) -> tuple[str, ...]:
    """Names of the fields without which there is no camera model; empty if complete."""
    return tuple(name for name in _NEEDED if getattr(camera, name) is None)


def camera_of(camera: CameraConfig) -> CameraModel | None:
    """The measured camera, with its maps where the rig names some; None if not complete.

    Raises `UserError` for maps that cannot be read.
    """
    offset, gain, noise = camera.offset_counts, camera.gain_e_per_count, camera.read_noise_e
    if offset is None or gain is None or noise is None:
        return None
    maps = None if camera.maps is None else load_maps(camera.maps)
    return CameraModel(offset, gain, noise, row_noise_e=camera.row_noise_e, maps=maps)
