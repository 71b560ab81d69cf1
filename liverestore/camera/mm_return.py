"""The camera device of a Micro-Manager core, initialised again after it was unplugged.

The camera alone: loading the whole configuration again would initialise stages too, and some
of them look for their end switches then, with an objective close to the sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from liverestore.camera.absence import CameraGone
from liverestore.camera.mm_core import answers, grey_bytes, reason_of, set_exposure
from liverestore.camera.mm_image import RunOfImages
from liverestore.camera.roi import Roi, set_core_roi
from liverestore.errors import UserError

__all__ = ["LoadedCamera", "WayBack", "gone", "stopped"]

_ROUNDS = 2
"""Some properties are taken only after others that the camera lists later."""


def gone(camera: str, error: RuntimeError) -> CameraGone:
    """That `camera` answers with `error`."""
    return CameraGone(
        f"camera {camera}: does not answer ({reason_of(error)}); check its cable and power"
    )


def stopped(camera: str, number: int) -> CameraGone:
    """That `camera` ended its sequence by itself after frame `number`."""
    return CameraGone(
        f"camera {camera}: stopped by itself after frame {number}; a change of ROI, binning or "
        "another property does that"
    )


@dataclass(frozen=True, slots=True)
class LoadedCamera:
    """What it takes to load the camera `label` again. Make it with `of` while it answers."""

    label: str
    library: str
    name: str
    hub: str
    """Label of the device that it hangs on; "" without one."""
    before: tuple[str, ...]
    """Properties that are set before it is initialised, and after."""
    after: tuple[str, ...]

    @classmethod
    def of(cls, core: Any, label: str) -> LoadedCamera:
        """The camera `label` of `core`; no question goes to the hardware."""
        settable = [
            name
            for name in core.get_device_property_names(label)
            if not core.is_property_read_only(label, name)
        ]
        before = tuple(name for name in settable if core.is_property_pre_init(label, name))
        return cls(
            label,
            str(core.get_device_library(label)),
            str(core.get_device_name(label)),
            str(core.get_parent_label(label)),
            before,
            # The exposure is the caller's to set: a frame names the one that the camera took.
            tuple(name for name in settable if name not in before and name != "Exposure"),
        )

    def settings(self, core: Any) -> dict[str, str]:
        """Property -> value, as the core remembers them without asking the camera."""
        known: dict[str, str] = {}
        for name in (*self.before, *self.after):
            try:
                known[name] = str(core.get_property_from_cache(self.label, name))
            except (RuntimeError, ValueError):
                # Never read and never set: it is as the camera makes it.
                continue
        return known

    def initialise_again(self, core: Any, settings: dict[str, str]) -> None:
        """Load the camera anew and give it `settings`.

        Raises `CameraGone` while it is not there, and `UserError` for a setting that it had and
        does not take any more.
        """
        try:
            if self.label in core.get_loaded_devices():
                core.unload_device(self.label)
            core.load_device(self.label, self.library, self.name)
            if self.hub:
                core.set_parent_label(self.label, self.hub)
            for name in self.before:
                if name in settings:
                    core.set_property(self.label, name, settings[name])
            core.initialize_device(self.label)
            core.set_camera_device(self.label)
        except RuntimeError as error:
            raise CameraGone(
                f"camera {self.label}: cannot be initialised ({reason_of(error)}); check its "
                "cable and power"
            ) from None
        self._set(core, settings)

    def _set(self, core: Any, settings: dict[str, str]) -> None:
        refused: dict[str, str] = {}
        for _ in range(_ROUNDS):
            refused = {}
            for name in self.after:
                try:
                    if name in settings and core.get_property(self.label, name) != settings[name]:
                        core.set_property(self.label, name, settings[name])
                except RuntimeError as error:
                    refused[name] = reason_of(error)
            if not refused:
                return
        name, why = next(iter(refused.items()))
        if not answers(core):
            raise CameraGone(f"camera {self.label}: is gone again ({why})")
        raise UserError(
            f"camera {self.label}: is back and does not take {name} = {settings[name]} any more "
            f"({why}); start the run again"
        )


class WayBack:
    """How the camera of one run comes back: `device` initialised again, or merely started.

    A camera that still answers has stopped by itself, as one does whose ROI or binning is set
    from elsewhere: it is only started again, with what it was set to. If no frame comes of
    that, it is initialised like one that does not answer. `device` None: it cannot be.
    """

    def __init__(self, device: LoadedCamera | None) -> None:
        self._device = device
        self._stopped_after: int | None = None
        self._owed_ms: float | None = None
        """An exposure that the camera was to take when it went away."""
        self.roi: Roi | None = None
        """That was asked for last; None: the whole chip."""

    @contextmanager
    def owing(self, exposure_ms: float) -> Iterator[None]:
        """Within, the camera is set to `exposure_ms`; if it goes away, it comes back with that.

        Else a long exposure that was to be set back would go on as that of every frame.
        """
        try:
            yield
        except CameraGone:
            self._owed_ms = exposure_ms
            raise
        self._owed_ms = None

    def make_ready(self, core: Any, images: RunOfImages) -> None:
        """See `ReturningSource.come_back`; `images` says what the camera had taken."""
        self._make_ready(core, images)
        owed_ms, self._owed_ms = self._owed_ms, None
        if owed_ms is not None:
            # One that it refuses is told once, and the camera is there with that of before.
            with self.owing(owed_ms):
                images.exposure_ms = set_exposure(core, images.camera, owed_ms)

    def _make_ready(self, core: Any, images: RunOfImages) -> None:
        in_vain = self._stopped_after == images.last_number
        self._stopped_after = images.last_number
        device = self._device
        if device is None or (answers(core) and not in_vain):
            return
        device.initialise_again(core, device.settings(core))
        grey_bytes(core, device.label)
        if images.exposure_ms is not None:
            images.exposure_ms = set_exposure(core, device.label, images.exposure_ms)
        if self.roi is not None:
            set_core_roi(core, device.label, self.roi)
