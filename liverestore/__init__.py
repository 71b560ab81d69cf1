"""Live restoration of microscope images.

What scripts need is here, loaded when it is first asked for: `import liverestore` itself loads
neither a network nor Qt. Everything else is reached through its module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from liverestore.version import __version__

if TYPE_CHECKING:
    from liverestore.camera_model import CameraModel as CameraModel
    from liverestore.cli.checks import run_checks as doctor
    from liverestore.dpm import Dpm as Dpm
    from liverestore.errors import LiverestoreError as LiverestoreError
    from liverestore.frame import Frame as Frame
    from liverestore.frame import Restored as Restored
    from liverestore.model_spec import list_engines as engines
    from liverestore.movie import open_movie as open_movie
    from liverestore.optics import Optics as Optics
    from liverestore.rig import load_rig as load_rig
    from liverestore.service.acquisition_hook import image_processor as image_processor
    from liverestore.service.core_run import live as live
    from liverestore.service.mda_listener import frame_listener as frame_listener
    from liverestore.service.restorer import Restorer as Restorer
    from liverestore.service.restorer import restore_array as restore_array

__all__ = [
    "CameraModel",
    "Dpm",
    "Frame",
    "LiverestoreError",
    "Optics",
    "Restored",
    "Restorer",
    "__version__",
    "doctor",
    "engines",
    "frame_listener",
    "image_processor",
    "live",
    "load_rig",
    "open_movie",
    "restore_array",
]

_PLACES = {
    "CameraModel": ("camera_model", "CameraModel"),
    "Dpm": ("dpm", "Dpm"),
    "Frame": ("frame", "Frame"),
    "LiverestoreError": ("errors", "LiverestoreError"),
    "Optics": ("optics", "Optics"),
    "Restored": ("frame", "Restored"),
    "Restorer": ("service.restorer", "Restorer"),
    "doctor": ("cli.checks", "run_checks"),
    "engines": ("model_spec", "list_engines"),
    "frame_listener": ("service.mda_listener", "frame_listener"),
    "image_processor": ("service.acquisition_hook", "image_processor"),
    "live": ("service.core_run", "live"),
    "load_rig": ("rig", "load_rig"),
    "open_movie": ("movie", "open_movie"),
    "restore_array": ("service.restorer", "restore_array"),
}
"""Name -> its module, and what it is called there."""


def __getattr__(name: str) -> Any:
    """Load `name` when it is first asked for (PEP 562)."""
    if name not in _PLACES:
        raise AttributeError(f"module 'liverestore' has no attribute {name!r}")
    module, attribute = _PLACES[name]
    value = getattr(importlib.import_module(f"liverestore.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
