"""Which objective the core says is in the light path, told with the frames.

A turret that somebody turns changes the optics of all frames from then on, and nothing in a frame
need show it. The core knows: the label of the turret's position, and the pixel size that its
configuration gives for it. Both are read from the core's cache, which asks no hardware.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from liverestore.frame import OBJECTIVE_TAG, PIXEL_SIZE_TAG

__all__ = ["ObjectiveTags", "turret_of"]

_READ_EVERY_S = 0.2
_NAMES = ("objective", "nosepiece")
_LABEL = "Label"


def turret_of(core: Any) -> str | None:
    """Label of the device that turns objectives, None where none is known.

    It is the one that the core's pixel sizes hang on, else one whose name says so.
    """
    loaded = tuple(str(label) for label in core.get_loaded_devices())
    candidates = []
    for size in core.get_available_pixel_size_configs():
        data = core.get_pixel_size_config_data(size)
        candidates += [data.getSetting(n).getDeviceLabel() for n in range(data.size())]
    candidates += [label for label in loaded if any(name in label.lower() for name in _NAMES)]
    for label in candidates:
        if label in loaded and core.has_property(label, _LABEL):
            return str(label)
    return None


class ObjectiveTags:
    """Tags for the frames of `core`, renewed five times a second at most."""

    def __init__(self, core: Any, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._core = core
        self._clock_s = clock_s
        self._turret = turret_of(core)
        self._read_s = -_READ_EVERY_S
        self._tags: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        """What the core says now; without what it does not know."""
        now_s = self._clock_s()
        if now_s - self._read_s < _READ_EVERY_S:
            return self._tags
        self._read_s = now_s
        tags = {}
        if self._turret is not None:
            # A turret that was never read and never set is in no cache: not known.
            with contextlib.suppress(RuntimeError, ValueError):
                tags[OBJECTIVE_TAG] = str(self._core.get_property_from_cache(self._turret, _LABEL))
        with contextlib.suppress(RuntimeError):  # a tag is not worth a frame
            # 0 where none is configured for the present objective.
            size_um = float(self._core.get_pixel_size_um(True))
            if size_um > 0:
                tags[PIXEL_SIZE_TAG] = f"{size_um:g}"
        self._tags = tags
        return tags
