"""Shutter and stage of a Micro-Manager core, as far as light is concerned."""

from __future__ import annotations

from typing import Any

from liverestore.camera.light import LightPath
from liverestore.camera.mm_core import end_sequence, reason_of
from liverestore.errors import UserError
from liverestore.rig import RigConfig

__all__ = ["CoreLight", "end_light"]


class CoreLight:
    """The shutter of `core`, and where its XY stage stands.

    Where the rig names a shutter, it becomes the core's and the core is told to open it for
    exposures alone (autoshutter). Raises `UserError` for a label that is no shutter.
    """

    def __init__(self, core: Any, rig: RigConfig) -> None:
        self._core = core
        wanted = rig.illumination.shutter
        if wanted is not None:
            try:
                core.set_shutter_device(wanted)
                core.set_auto_shutter(True)
            except RuntimeError as error:
                raise UserError(
                    f"rig {rig.origin or rig.name}: illumination.shutter: got {wanted!r}, which "
                    f"the core does not take ({reason_of(error)}); loaded are "
                    f"{', '.join(core.get_loaded_devices())}: name the shutter among them"
                ) from None
        self.shutter: str | None = str(core.get_shutter_device()) or None
        self._stage = str(core.get_xy_stage_device())

    @property
    def automatic(self) -> bool:
        """Whether the core opens the shutter for exposures and closes it after them."""
        return self.shutter is not None and bool(self._core.get_auto_shutter())

    def is_open(self) -> bool | None:
        """What the shutter says; None without one, or where it does not answer."""
        if self.shutter is None:
            return None
        try:
            return bool(self._core.get_shutter_open())
        except RuntimeError:
            return None

    def shut(self, *, by_hand: bool = False) -> str | None:
        """Close the shutter and ask it; see `LightPath.shut`."""
        if self.shutter is None or not (self.automatic or by_hand):
            return None
        try:
            if self._core.get_shutter_open():
                self._core.set_shutter_open(False)
                self._core.wait_for_device(self.shutter)
            if not self._core.get_shutter_open():
                return None
            why = "it says that it is open"
        except RuntimeError as error:
            why = reason_of(error)
        return f"shutter {self.shutter}: does not close ({why}); switch the light off by hand"

    def xy_um(self) -> tuple[float, float] | None:
        """Where the stage stands; None without one, or where it does not answer."""
        if not self._stage:
            return None
        try:
            x, y = self._core.get_xy_position(self._stage)
        except RuntimeError:
            return None
        return float(x), float(y)


def end_light(core: Any, light: LightPath | None) -> str | None:
    """End the sequence of `core` and close its shutter, whoever switches it otherwise.

    What is wrong, in words, or None.
    """
    try:
        end_sequence(core)
    finally:
        left_open = light.shut(by_hand=True) if light is not None else None
    return left_open
