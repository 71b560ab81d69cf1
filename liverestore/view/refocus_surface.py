"""The surface that a refocusing engine is asked for, as the hand changes it; no Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from liverestore.dpm import AnyTerm, Dpm, parse_dpm
from liverestore.dpm_terms import Term

__all__ = ["Extent", "Surface", "extent_um", "surface_words"]

Extent = tuple[float, float]
"""(width, height) in um between the middles of the outermost pixels of a frame."""

_DECIMALS = 3
"""A nanometre: finer than any focus drive, and short to read."""


@dataclass(frozen=True, slots=True)
class Surface:
    """A plane, tilted or not, and perhaps more (`rest`) that was asked for elsewhere."""

    z_um: float = 0.0
    """Of the plane in the middle of the frame, positive deeper into the sample."""
    along_x: float = 0.0
    """um per um, and so is the next."""
    along_y: float = 0.0
    rest: tuple[AnyTerm, ...] = ()

    @classmethod
    def of(cls, text: str) -> Surface:
        """The surface that `text` names. Raises `UserError` as `parse_dpm` does."""
        z_um = along_x = along_y = 0.0
        rest: list[AnyTerm] = []
        for term in parse_dpm(text).terms:
            if isinstance(term, Term) and term.kind == "uniform":
                z_um += term.numbers[0]
            elif isinstance(term, Term) and term.kind == "plane":
                z_um += term.numbers[0]
                along_x += term.numbers[1]
                along_y += term.numbers[2]
            else:
                rest.append(term)
        return cls(z_um, along_x, along_y, tuple(rest))

    @property
    def dpm(self) -> Dpm:
        """For the engine."""
        if self.tilted:
            plane = Dpm.plane(self.z_um, self.along_x, self.along_y)
        else:
            plane = Dpm.uniform(self.z_um)
        if not self.rest:
            return plane
        rest = Dpm(self.rest)
        return rest if plane.uniform_um == 0.0 else plane + rest

    @property
    def text(self) -> str:
        """For `SetDpm`."""
        return str(self.dpm)

    @property
    def tilted(self) -> bool:
        """Whether the plane is not level."""
        return self.along_x != 0.0 or self.along_y != 0.0

    @property
    def level(self) -> bool:
        """Whether all pixels have the same distance."""
        return not self.tilted and not self.rest

    def at(self, z_um: float) -> Surface:
        """The same surface, moved so that its plane lies at `z_um`."""
        return replace(self, z_um=round(z_um, _DECIMALS) + 0.0)

    def tilt_um(self, extent: Extent) -> tuple[float, float]:
        """How much deeper the right edge is than the left one, and the lower than the upper."""
        return self.along_x * extent[0], self.along_y * extent[1]

    def with_tilt(self, tilt_um: tuple[float, float], extent: Extent) -> Surface:
        """The same surface with another tilt over a frame of `extent`."""
        slopes = (
            float(f"{um / size:.6g}") if size > 0 else 0.0
            for um, size in zip(tilt_um, extent, strict=True)
        )
        along_x, along_y = slopes
        return replace(self, along_x=along_x, along_y=along_y)


def extent_um(shape: tuple[int, int], pixel_size_um: float) -> Extent:
    """Of a frame of `shape` (Y, X)."""
    return (shape[1] - 1) * pixel_size_um, (shape[0] - 1) * pixel_size_um


def surface_words(parameters: dict[str, float | int | str]) -> str:
    """How an image was refocused, from the parameters of its provenance; empty if it was not."""
    target = ", as confocal" if parameters.get("target") == "confocal" else ""
    if "virtual_z_um" in parameters:
        z_um = float(parameters["virtual_z_um"])
        return f"refocused by {_signed(z_um) if z_um else '0'} µm{target}"
    if "dpm" not in parameters:
        return ""
    ends = (float(parameters[f"dpm_{end}_um"]) for end in ("min", "max"))
    low, high = (_signed(um) for um in ends)
    clipped = ", clipped to the engine's reach" if parameters.get("dpm_clipped_px") else ""
    return f"refocused to a surface from {low} to {high} µm{clipped}{target}"


def _signed(um: float) -> str:
    return f"{um:+.3g}".replace("-", "\u2212")
