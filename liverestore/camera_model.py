"""Everything about the camera's noise in one place: the model, and how to come by it."""

from __future__ import annotations

from liverestore.camera_estimate import estimate_from_frame, estimate_from_movie
from liverestore.camera_maps import CameraMaps
from liverestore.camera_stabilise import CameraModel, expected_stabilised

__all__ = [
    "CameraMaps",
    "CameraModel",
    "estimate_from_frame",
    "estimate_from_movie",
    "expected_stabilised",
]
