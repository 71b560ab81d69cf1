"""Several contenders for the same cores, timed in turns, so that a busy machine hurts all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from liverestore.speed.records import Ratio, Timing

__all__ = ["TURN_S", "Contender", "Race", "ratio", "timing"]

TURN_S = 0.15
"""Time that a contender gets in one turn, so that the caches are its own."""
_MOST_IN_TURN = 24
_LEAST_ROUNDS = 3
_SLOW = 4
"""Frames that take so many turns need no other frame before them."""

Clock = Callable[[], float]


def _nothing() -> None:
    pass


def _unwatched(_timed: bool) -> None:
    pass


@dataclass(slots=True)
class Contender:
    """`run` does the work of one frame; `close` lets go of what it holds."""

    name: str
    run: Callable[[], None]
    close: Callable[[], None] = _nothing
    watch: Callable[[bool], None] = _unwatched
    """Told whether the frames to come are timed."""
    rounds: list[list[float]] = field(default_factory=list)
    """Seconds of each timed frame, one list for each turn."""


class Race:
    """`step` gives every contender one turn: a frame that is not timed, then timed ones.

    The first frame of a turn finds the caches and the threads of the contender before; it is
    left out, unless frames take so long that this makes no difference. Each round begins with
    another contender. `clock` gives seconds; the timed frames of a turn take about `turn_s`.
    """

    def __init__(
        self,
        contenders: Sequence[Contender],
        clock: Clock = time.perf_counter,
        turn_s: float = TURN_S,
    ) -> None:
        self._contenders = list(contenders)
        self._clock = clock
        self._turn_s = turn_s
        self.done = 0
        """Rounds that are complete."""
        self.spent_s = 0.0
        """On them."""

    def step(self) -> None:
        """One round; a round that is interrupted leaves nothing behind."""
        started = self._clock()
        turns: list[tuple[Contender, list[float]]] = []
        count = len(self._contenders)
        for place in range(count):
            contender = self._contenders[(place + self.done) % count]
            turns.append((contender, self._turn(contender)))
        for contender, seconds in turns:
            contender.rounds.append(seconds)
        self.done += 1
        self.spent_s += self._clock() - started

    def _turn(self, contender: Contender) -> list[float]:
        clock = self._clock
        known = contender.rounds[-1][0] if contender.rounds else 0.0
        first_s = known
        if known < _SLOW * self._turn_s:
            contender.watch(False)
            before = clock()
            contender.run()
            first_s = clock() - before
        contender.watch(True)
        seconds: list[float] = []
        for _ in range(min(_MOST_IN_TURN, max(1, round(self._turn_s / max(first_s, 1e-6))))):
            before = clock()
            contender.run()
            seconds.append(clock() - before)
        return seconds

    def over(self, seconds: float) -> bool:
        """Whether `seconds` are spent, or would be overrun by half a round; after 3 rounds."""
        if self.done < _LEAST_ROUNDS:
            return False
        return self.spent_s * (1 + 0.5 / self.done) >= seconds


def timing(contender: Contender) -> Timing | None:
    """Rate and percentiles of all its timed frames; None where none was timed."""
    return Timing.of([seconds for turn in contender.rounds for seconds in turn])


def ratio(ours: Contender, theirs: Contender) -> Ratio | None:
    """Rate of `ours` over the rate of `theirs`, round by round: median and quartiles.

    Within a round each counts with its median frame. None where there is no common round.
    """
    found = [
        float(np.median(b) / np.median(a))
        for a, b in zip(ours.rounds, theirs.rounds, strict=False)
        if a and b
    ]
    if not found:
        return None
    low, middle, high = (float(value) for value in np.percentile(found, (25, 50, 75)))
    return Ratio(median=middle, low=low, high=high, rounds=len(found))
