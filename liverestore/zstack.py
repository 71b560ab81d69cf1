"""Virtual stacks: planes at even distances from the one in focus, and what a file says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from liverestore.errors import UserError
from liverestore.optics import Optics
from liverestore.sign_of_z import sign_report

__all__ = ["ZStack", "parse_zstack", "refocus_words"]

_MOST_PLANES = 1000


@dataclass(frozen=True, slots=True)
class ZStack:
    """Planes at even distances from the one in focus, in um, the shallowest first."""

    start_um: float
    step_um: float
    count: int

    @property
    def planes_um(self) -> tuple[float, ...]:
        """Distance of each plane."""
        # Rounded to a picometre, so that 3 x 0.1 is 0.3 in the file.
        return tuple(round(self.start_um + n * self.step_um, 6) for n in range(self.count))

    def __str__(self) -> str:
        first, last = self.planes_um[0], self.planes_um[-1]
        return f"{self.count} planes from {first:g} to {last:g} um in steps of {self.step_um:g} um"


def parse_zstack(text: str, what: str = "--zstack") -> ZStack:
    """START:STOP:STEP in um, STOP included where the steps reach it.

    Raises `UserError`, which calls the text `what`, for anything else, a step of 0 or below, and
    START not below STOP.

    >>> parse_zstack("-1:1:0.5").planes_um
    (-1.0, -0.5, 0.0, 0.5, 1.0)
    """
    form = "START:STOP:STEP in um, such as -5:5:0.5"
    try:
        start, stop, step = (float(part) for part in text.split(":"))
    except ValueError:
        raise UserError(f"{what}: got {text!r}; allowed is {form}") from None
    if not all(map(math.isfinite, (start, stop, step))):
        raise UserError(f"{what}: got {text!r}; allowed are finite numbers: {form}")
    if step <= 0:
        raise UserError(
            f"{what}: got a step of {step:g} um in {text!r}; allowed is a step above 0: {form}"
        )
    if start >= stop:
        raise UserError(
            f"{what}: got {text!r}, which ends where or before it starts; allowed is START "
            f"below STOP: {form}; for one plane refocus to it"
        )
    steps = (stop - start) / step
    if steps + 1e-6 >= _MOST_PLANES:
        raise UserError(
            f"{what}: got {text!r}, which is {steps + 1:,.0f} planes; allowed are up to "
            f"{_MOST_PLANES:,}; take a larger step"
        )
    count = math.floor(steps + 1e-6) + 1
    if count < 2:
        raise UserError(
            f"{what}: got {text!r}, whose step is longer than the way; allowed are two planes "
            "or more; take a smaller step, or refocus to one plane"
        )
    return ZStack(start, step, count)


def refocus_words(target: str, optics: Mapping[str | None, Optics]) -> dict[str, str]:
    """What a file says of its refocusing to `target`: by which optics, and how sure of the sign.

    `optics` are those of each channel; one alone goes without its name.
    """
    described = {
        name: f"NA {of.numerical_aperture:g}, {of.wavelength_nm:g} nm, immersion "
        f"{of.immersion_index:g}, sample {of.sample_index:g}, depth {of.depth_um:g} um"
        for name, of in optics.items()
    }
    signs = {name: sign_report(of).sentence for name, of in optics.items()}
    return {
        "refocused_to": target,
        "optics": _by_channel(described),
        "sign_of_z": _by_channel(signs),
    }


def _by_channel(words: Mapping[str | None, str]) -> str:
    if len(words) == 1:
        return next(iter(words.values()))
    return "; ".join(f"{name}: {text}" for name, text in words.items())
