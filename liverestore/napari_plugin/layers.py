"""What a layer of napari means to an engine, and what becomes of it; without napari and Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from liverestore.errors import UserError
from liverestore.frame import Restored
from liverestore.zstack import ZStack, parse_zstack

__all__ = ["TARGETS", "Wanted", "made_of_layer", "pixel_size_um", "pixels_of", "result_axes"]

TARGETS = ("one distance (um)", "a stack START:STOP:STEP (um)", "a surface (DPM)")
"""Ways to say where to refocus to."""
_OF_TARGET = ("z_um", "zstack", "dpm")
_UM_OF_UNIT = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3}
"""By the names that napari gives units."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person chose in the widget."""

    engine: str
    rig: str | None
    """Name of the microscope; None: the camera's numbers are estimated."""
    refocuses: bool
    target: str = TARGETS[0]
    where: str = ""
    """In the words of `target`."""

    def options(self) -> dict[str, Any]:
        """For `Restorer`. Raises `UserError` for a distance that is no number."""
        if not self.refocuses:
            return {"rig": self.rig}
        name = _OF_TARGET[TARGETS.index(self.target)]
        if not self.where.strip():
            raise UserError(f"got no target; write {self.target} into the field Refocus to")
        value: str | float = self.where.strip()
        if name == "z_um":
            try:
                value = float(value)
            except ValueError:
                raise UserError(
                    f"got {value!r} as a distance; write a number in um, such as 2.5"
                ) from None
        return {"rig": self.rig, name: value}

    @property
    def stack(self) -> ZStack | None:
        """The planes asked for; None for one picture of each. Raises `UserError` for others."""
        if not self.refocuses or self.target != TARGETS[1]:
            return None
        return parse_zstack(self.where.strip(), "the stack")


def pixels_of(layer: Any) -> Any:
    """The pixels (..., Y, X) of an image layer; of several resolutions the finest.

    Raises `UserError` for colours.
    """
    if layer.rgb:
        raise UserError(
            f"the layer {layer.name!r} has colours; allowed are grey images: split its channels "
            "(right click on the layer, Split RGB)"
        )
    return layer.data[0] if layer.multiscale else layer.data


def pixel_size_um(layer: Any) -> float | None:
    """Edge of a pixel in the sample; None where the unit of the layer is no length."""
    unit_um = _UM_OF_UNIT.get(str(layer.units[-1]))
    return None if unit_um is None else float(layer.scale[-1]) * unit_um


def result_axes(layer: Any, stack: ZStack | None, rig_pixel_um: float | None) -> dict[str, Any]:
    """Scale, place, units and names of the axes of the result of `layer`, Z added for a stack.

    That axis has the unit of X, so that voxels have their shape: where X is counted in pixels,
    these are the rig's.
    """
    scale, translate = list(layer.scale), list(layer.translate)
    units, names = [str(unit) for unit in layer.units], list(layer.axis_labels)
    if stack is not None:
        unit_um = _UM_OF_UNIT.get(units[-1])
        if unit_um is None:
            unit_um = (rig_pixel_um or 1.0) / float(layer.scale[-1])
        scale.insert(-2, stack.step_um / unit_um)
        translate.insert(-2, stack.start_um / unit_um)
        units.insert(-2, units[-1])
        names.insert(-2, "virtual z")
    return {"scale": scale, "translate": translate, "units": units, "axis_labels": names}


def made_of_layer(layer: Any, last: Restored, planes_um: Sequence[float]) -> dict[str, Any]:
    """Metadata of the result: what made it, of what, and what spoke against it."""
    record = msgspec.to_builtins(last.provenance)
    told = {"source_layer": layer.name, "provenance": record}
    if planes_um:
        told["virtual_planes_um"] = list(planes_um)
    return {**layer.metadata, "liverestore": told}
