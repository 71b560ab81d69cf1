"""The plan of a series that looks for the exposure: which exposures, how often, in what order.

Exposures fall by a constant factor. They are taken in rounds, each in another order, with a
reference at the present exposure before and after every frame, so that neither movement nor
bleaching can look like a change of quality.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from liverestore.errors import UserError

__all__ = ["LEAST_ROUNDS", "MOST_ROUNDS", "SHORTEST_SHARE", "STEP", "SeriesPlan", "Shot"]

STEP = 1.6
"""Factor from one exposure to the next."""
SHORTEST_SHARE = 1 / 43
"""Of the first exposure, where nobody says another: eight steps."""
LEAST_ROUNDS = 3
"""So many frames of one exposure tell how much they differ."""
MOST_ROUNDS = 10
_LEAD = 2
"""References before the first and after the last frame: two on each side belong to a frame."""
_LEAST_LEVELS = 3


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure of the series."""

    exposure_ms: float
    level: int | None
    """Index of its exposure in the plan; None for a reference."""


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """Exposures from `reference_ms` down to `shortest_ms`, in `rounds` at most.

    Raises `UserError` for exposures so close that there are fewer than three.
    """

    reference_ms: float
    shortest_ms: float
    rounds: int = MOST_ROUNDS

    def __post_init__(self) -> None:
        if not 0 < self.shortest_ms <= self.reference_ms / STEP ** (_LEAST_LEVELS - 1) * 1.001:
            raise UserError(
                f"exposure: got a series from {self.reference_ms:g} ms down to "
                f"{self.shortest_ms:g} ms, allowed is a factor of "
                f"{STEP ** (_LEAST_LEVELS - 1):.2g} or more; begin at a longer exposure"
            )
        if not LEAST_ROUNDS <= self.rounds <= MOST_ROUNDS:
            raise UserError(
                f"exposure: got {self.rounds} rounds, allowed are {LEAST_ROUNDS} to {MOST_ROUNDS}"
            )

    @property
    def exposures_ms(self) -> tuple[float, ...]:
        """Longest first, three digits each; the first is the reference's own."""
        count = 1 + math.floor(math.log(self.reference_ms / self.shortest_ms, STEP) + 1e-3)
        below = [float(f"{self.reference_ms / STEP**n:.3g}") for n in range(1, count)]
        return (self.reference_ms, *below)

    def round(self, number: int) -> Iterator[Shot]:
        """Round `number` (from 0): every exposure once, each followed by a reference.

        The first begins with the references that its first frame needs on that side.
        """
        reference = Shot(self.reference_ms, None)
        if number == 0:
            yield from [reference] * _LEAD
        # Shuffled, and the second of two rounds backwards: what changes evenly cancels.
        order = np.random.default_rng(number // 2).permutation(len(self.exposures_ms))
        for level in order[::-1] if number % 2 else order:
            yield Shot(self.exposures_ms[level], int(level))
            yield reference

    def last(self) -> Iterator[Shot]:
        """What the last frame still needs behind it."""
        yield from [Shot(self.reference_ms, None)] * (_LEAD - 1)

    def light_ms(self, rounds: int) -> float:
        """Light of so many rounds and of what opens and closes them."""
        each = sum(self.exposures_ms) + len(self.exposures_ms) * self.reference_ms
        return rounds * each + (2 * _LEAD - 1) * self.reference_ms

    def within(
        self, irradiance_mw_cm2: float | None, most_j_cm2: float | None
    ) -> SeriesPlan | None:
        """The same with as many of its rounds as `most_j_cm2` holds; None: not even the fewest.

        Without an irradiance, or a limit (None), all of them.
        """
        if irradiance_mw_cm2 is None or most_j_cm2 is None:
            return self
        for rounds in range(self.rounds, LEAST_ROUNDS - 1, -1):
            if self.light_ms(rounds) * irradiance_mw_cm2 * 1e-6 <= most_j_cm2 * (1 + 1e-9):
                return SeriesPlan(self.reference_ms, self.shortest_ms, rounds)
        return None

    def shots(self, rounds: int) -> int:
        """Exposures of so many rounds."""
        return 2 * rounds * len(self.exposures_ms) + 2 * _LEAD - 1
