"""A real Micro-Manager core whose camera is unplugged, and plugged in again some time later."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["PulledPlug"]

_ASK_THE_CAMERA = (
    "is_sequence_running",
    "stop_sequence_acquisition",
    "start_continuous_sequence_acquisition",
    "start_sequence_acquisition",
    "snap_image",
    "get_exposure",
    "set_exposure",
    "get_roi",
    "set_roi",
    "clear_roi",
)
"""Of the core, without a label: they are about its camera."""
_NAME_THE_CAMERA = ("get_property", "set_property", "initialize_device")
"""Their first argument is a label."""


class PulledPlug:
    """Pulls the plug of the camera of `core`, and puts it back after `back_after_s`.

    From then on the core answers as with a camera that is gone: a call that reaches it raises
    RuntimeError, and there are no images. Once the plug is back, the device must be loaded and
    initialised again before it answers; what it does then is the real adapter's. `back_after_s`
    None: the plug stays out until `back` is set.
    """

    def __init__(
        self,
        core: Any,
        back_after_s: float | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._label = str(core.get_camera_device())
        self._now_s = now_s
        self._back_s = None if back_after_s is None else now_s() + back_after_s
        self.back = False
        self.initialised = 0
        """Attempts to initialise the camera."""
        self._real = {
            name: getattr(core, name)
            for name in (*_ASK_THE_CAMERA, *_NAME_THE_CAMERA, "get_remaining_image_count")
        }
        if core.is_sequence_running():
            core.stop_sequence_acquisition()
        for name in _ASK_THE_CAMERA:
            setattr(core, name, self._gone)
        core.get_remaining_image_count = lambda: 0
        core.get_property = self._of_device("get_property")
        core.set_property = self._of_device("set_property")
        core.initialize_device = self._initialise

    def _gone(self, *_arguments: Any) -> Any:
        raise RuntimeError(f'Error in device "{self._label}": device not connected (13)')

    def _of_device(self, name: str) -> Callable[..., Any]:
        def call(label: str, *more: Any) -> Any:
            if label == self._label and not self._loaded_anew():
                return self._gone()
            return self._real[name](label, *more)

        return call

    def _loaded_anew(self) -> bool:
        """Before it is initialised a device takes its pre-initialisation properties."""
        return str(self._core.get_device_initialization_state(self._label)).endswith("0")

    def _initialise(self, label: str) -> None:
        if label != self._label:
            self._real["initialize_device"](label)
            return
        self.initialised += 1
        if not self.back and (self._back_s is None or self._now_s() < self._back_s):
            self._gone()
        for name in self._real:
            delattr(self._core, name)
        self._core.initialize_device(label)
