"""The light of a microscope as its Micro-Manager core controls it: shutter, and lamp property.

For a calibration, which needs darkness and steady light by turns. Nothing is believed: what was
set is asked back.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from pycromanager import Core

from liverestore.camera.mm_core import reason_of
from liverestore.errors import Failure, UserError
from liverestore.rig import RigConfig

__all__ = ["CoreLight"]


class CoreLight:
    """Opens and closes the light of the core that runs in this process.

    A context manager: at its end the shutter is closed and the lamp and the autoshutter are as
    they were. Raises `UserError` for a lamp or a shutter that the configuration does not have.
    """

    def __init__(self, rig: RigConfig) -> None:
        # There is one core in a process: that of the source, which has started.
        self._core: Any = Core()
        self._wanted = rig.calibration
        self._where = f"rig {rig.origin or rig.name}"
        self._shutter = rig.illumination.shutter or str(self._core.get_shutter_device())
        devices = tuple(self._core.get_loaded_devices())
        if self._shutter and self._shutter not in devices:
            raise UserError(
                f"{self._where}: illumination.shutter: got {self._shutter!r}, the configuration "
                f"has {', '.join(devices)}; choose one of them"
            )
        self._auto = bool(self._core.get_auto_shutter())
        self._lamp = self._find_lamp()
        self._lamp_before = self._core.get_property(*self._lamp) if self._lamp else None

    def _find_lamp(self) -> tuple[str, str] | None:
        if self._wanted.lamp is None:
            return None
        device, _, name = self._wanted.lamp.partition(".")
        devices = tuple(self._core.get_loaded_devices())
        if device not in devices:
            raise UserError(
                f"{self._where}: calibration.lamp: no device {device!r} in the configuration; it "
                f"has {', '.join(devices)}"
            )
        names = tuple(self._core.get_device_property_names(device))
        if name not in names:
            raise UserError(
                f"{self._where}: calibration.lamp: {device} has no property {name!r}; it has "
                f"{', '.join(names)}"
            )
        return device, name

    def __enter__(self) -> CoreLight:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._shutter:
                self._set_shutter(is_open=False)
                self._core.set_auto_shutter(self._auto)
            if self._lamp_before is not None:
                self.set_lamp(self._lamp_before)
        except RuntimeError as problem:
            raise Failure(
                f"the light: could not be set back ({reason_of(problem)}); close the shutter "
                "by hand"
            ) from None

    @property
    def closed_by(self) -> str | None:
        """What makes it dark without a hand, in words; None where a hand has to."""
        if self._shutter:
            return f"the shutter {self._shutter} says that it is closed"
        if self._wanted.lamp_off is not None:
            return f"{self._wanted.lamp} is at {self._wanted.lamp_off}"
        return None

    def close(self) -> None:
        """Make it dark, as far as the core can. Raises `Failure` where a device does not obey."""
        if self._shutter:
            self._set_shutter(is_open=False)
        if self._wanted.lamp_off is not None:
            self.set_lamp(self._wanted.lamp_off)

    def open(self) -> None:
        """Let light onto the camera. Raises `Failure` where a device does not obey."""
        if self._wanted.lamp_off is not None and self._lamp_before is not None:
            self.set_lamp(self._lamp_before)
        if self._shutter and self._shutter == str(self._core.get_shutter_device()):
            # Then it opens for exposures alone.
            self._core.set_auto_shutter(True)
        elif self._shutter:
            self._set_shutter(is_open=True)

    def set_lamp(self, value: str) -> None:
        """Set the lamp's property and wait for it.

        Raises `UserError` for a value that it does not take.
        """
        if self._lamp is None:
            raise UserError("calibration: got a level of the lamp, but no lamp; give --lamp")
        device, name = self._lamp
        try:
            self._core.set_property(device, name, value)
            self._core.wait_for_device(device)
        except RuntimeError as error:
            raise UserError(
                f"lamp {device}.{name}: does not take {value!r} ({reason_of(error)}); allowed is "
                f"{self._allowed()}"
            ) from None

    def lamp_limits(self) -> tuple[float, float]:
        """Lowest and highest value of the lamp's property.

        Raises `UserError` where it has no limits: then the levels must be given.
        """
        if self._lamp is None or not self._core.has_property_limits(*self._lamp):
            raise UserError(
                f"lamp {self._wanted.lamp}: states no limits, allowed is {self._allowed()}; give "
                "its levels: --levels 5,10,20,40"
            )
        return (
            float(self._core.get_property_lower_limit(*self._lamp)),
            float(self._core.get_property_upper_limit(*self._lamp)),
        )

    def _allowed(self) -> str:
        if self._lamp is None:
            return "nothing"
        if self._core.has_property_limits(*self._lamp):
            low = self._core.get_property_lower_limit(*self._lamp)
            high = self._core.get_property_upper_limit(*self._lamp)
            return f"{low:g} to {high:g}"
        values = tuple(self._core.get_allowed_property_values(*self._lamp))
        return ", ".join(values) or "what the device takes"

    def _set_shutter(self, *, is_open: bool) -> None:
        core, word = self._core, "open" if is_open else "close"
        try:
            core.set_auto_shutter(False)
            core.set_shutter_open(self._shutter, is_open)
            core.wait_for_device(self._shutter)
            found = bool(core.get_shutter_open(self._shutter))
        except RuntimeError as error:
            raise Failure(
                f"shutter {self._shutter}: does not {word} ({reason_of(error)}); check its power"
            ) from None
        if found != is_open:
            raise Failure(
                f"shutter {self._shutter}: was told to {word} and did not; check its power"
            )
