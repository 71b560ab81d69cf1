"""Where the stages of a Micro-Manager core are; of them, only the XY stage is ever moved."""

from __future__ import annotations

from typing import Any

import pymmcore

from liverestore.camera.mm_core import reason_of
from liverestore.errors import Failure, UserError

__all__ = ["CoreStages"]


class CoreStages:
    """The stages of `core`: focus drives, piezos, XY stages."""

    def __init__(self, core: Any, focus: str) -> None:
        """`focus` is the label of the focus drive; empty where there is none."""
        self._core = core
        self.focus = focus
        self.xy = str(core.get_xy_stage_device())
        """Label of the stage that `go_to` moves; empty where there is none."""
        self._drives = tuple(map(str, core.get_loaded_devices_of_type(pymmcore.StageDevice)))

    def drives_um(self) -> dict[str, float]:
        """Position of each drive of one axis by its label: the focus drive and all others.

        Raises `Failure` where a device does not answer.
        """
        return {label: self._ask(label) for label in self._drives}

    def focus_um(self) -> float | None:
        """Of the focus drive; None where there is none. Raises as `drives_um` does."""
        return self._ask(self.focus) if self.focus else None

    def _ask(self, label: str) -> float:
        try:
            return float(self._core.get_position(label))
        except RuntimeError as error:
            raise Failure(
                f"drive {label}: does not say where it is ({reason_of(error)}); check that it is "
                "switched on"
            ) from None

    def xy_um(self) -> tuple[float, float] | None:
        """(x, y) of the XY stage; None where there is none. Raises as `drives_um` does."""
        if not self.xy:
            return None
        try:
            x, y = self._core.get_xy_position(self.xy)
        except RuntimeError as error:
            raise Failure(
                f"XY stage {self.xy}: does not say where it is ({reason_of(error)}); check that it "
                "is switched on"
            ) from None
        return float(x), float(y)

    def go_to(self, x_um: float, y_um: float) -> tuple[float, float]:
        """Move the XY stage, wait for it, and say where it is then; nothing else is moved.

        Raises `UserError` where there is no XY stage or it does not go there.
        """
        if not self.xy:
            raise UserError(
                "positions: got some, but the configuration has no XY stage; set the core's "
                "XYStage device in it, or leave the positions out"
            )
        try:
            self._core.set_xy_position(self.xy, x_um, y_um)
            self._core.wait_for_device(self.xy)
        except RuntimeError as error:
            raise UserError(
                f"XY stage {self.xy}: does not go to {x_um:g}, {y_um:g} um ({reason_of(error)}); "
                "choose a position in its range"
            ) from None
        reached = self.xy_um()
        assert reached is not None, "there is a stage"
        return reached
