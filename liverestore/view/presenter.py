"""Turns what arrives into what is to be painted, moment by moment; no Qt."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from liverestore.meters import RateMeter
from liverestore.view.display import DisplayState, resolve
from liverestore.view.level_keeper import LevelKeeper
from liverestore.view.levels import saturated_fraction
from liverestore.view.light_text import light_cell
from liverestore.view.luts import lut_table
from liverestore.view.pairing import Pairing, Shown
from liverestore.view.rival import with_rival
from liverestore.view.status_cells import Ages, Cell, Measured, cells

if TYPE_CHECKING:
    from liverestore.frame import Frame, Restored
    from liverestore.status import RunStatus
    from liverestore.view.feed import ShownPair
    from liverestore.view.levels import Levels

__all__ = ["Presenter"]

_AGES_OF_S = 2.0
"""The ages in the status line are medians over the results of so long."""
_NUMBERS_EVERY_S = 0.2
"""Numbers change, and saturation is counted, at a rate that can be read."""


class Presenter:
    """Keeps what the display needs to know of the past: pairing, levels, rates.

    Time is handed in as `now_ns`, in nanoseconds of the clock of the frames'
    `captured_ns`. Raises `UserError` for an unknown `lut`.
    """

    def __init__(self, *, lut: str = "grey", ignore_percent: float = 0.1) -> None:
        lut_table(lut)
        self.lut = lut
        self.rival: str | None = None
        """The second engine whose results are compared with the first; None: raw is."""
        self.look_at_raw = False
        """Whether the left side shows raw although a second engine could be there."""
        self._ages: deque[tuple[float, Ages]] = deque()
        self._pairing = Pairing()
        self._rate = RateMeter()
        self.levels = LevelKeeper(ignore_percent)
        """Of both images; the next `step` shows what is changed in it."""
        self.mark_saturated = False
        """Whether saturated and zero pixels of the raw image are marked."""
        self._before: Shown | None = None
        self._cells: tuple[Cell, ...] = ()
        self._cells_at_s: float | None = None
        self._saturated: float | None = None
        self.not_shown = 0
        """Pairs that the feed replaced by newer ones; the next numbers tell it."""

    @property
    def saturated(self) -> float | None:
        """Share (0..1) of saturated pixels that the status line tells; None: not known."""
        return self._saturated

    def step(
        self,
        pair: ShownPair | None,
        status: RunStatus | None,
        now_ns: int,
        notices: tuple[str, ...] = (),
    ) -> DisplayState:
        """What to paint at `now_ns`, after `pair` arrived (None: nothing did)."""
        now_s = now_ns / 1e9
        if pair is not None:
            self._pairing.offer(pair, now_s)
        shown = self._pairing.shown(now_s)
        before, self._before = self._before, shown
        made = shown.restored is not None and (
            before is None or shown.restored is not before.restored
        )
        # A frame refocused once more is no new frame, and its age says nothing of the engine.
        again = _same_frame(before, shown)
        came = made or before is None or shown.raw is not before.raw
        if shown.raw is not None and came and not again:
            self._rate.tick(now_s)
        if shown.restored is not None and made and not again:
            self._note_ages(before.restored if before is not None else None, shown.restored, now_ns)
        old = before.raw if before is not None else None
        if _shape(old) != _shape(shown.raw):
            self.levels.reset()
            self._cells_at_s = None
        raw_levels, restored_levels = self._find_levels(shown, now_s)
        if self._cells_at_s is None or now_s - self._cells_at_s >= _NUMBERS_EVERY_S:
            self._cells_at_s = now_s
            self._saturated = None if shown.raw is None else saturated_fraction(shown.raw)
            ages = Ages.median([ages for _, ages in self._ages])
            measured = Measured(self._rate.rate(now_s), self._saturated, ages, self.not_shown)
            *others, runtime = cells(status, measured, shown, now_ns)
            self._cells = (*others, light_cell(status), runtime)
        state = resolve(
            shown,
            status,
            self._cells,
            levels=restored_levels if restored_levels is not None else raw_levels,
            raw_levels=None if self.levels.linked else raw_levels,
            mark_saturated=self.mark_saturated,
            lut=self.lut,
            notices=notices,
        )
        return with_rival(state, shown, self.rival, look_at_raw=self.look_at_raw)

    def _note_ages(self, before: Restored | None, restored: Restored, now_ns: int) -> None:
        if before is not None and _engines(before) != _engines(restored):
            # What the engine before needed says nothing about this one.
            self._ages.clear()
        self._ages.append((now_ns / 1e9, Ages.of(restored, now_ns)))
        while self._ages[0][0] < self._ages[-1][0] - _AGES_OF_S:
            self._ages.popleft()

    def shown_fps(self, now_ns: int) -> float | None:
        """New frames shown per second, over the last two seconds; None with none."""
        return self._rate.rate(now_ns / 1e9)

    def _find_levels(self, shown: Shown, now_s: float) -> tuple[Levels | None, Levels | None]:
        raw, restored = shown.raw, shown.restored
        return self.levels.step(
            None if raw is None else raw.pixels,
            None if restored is None else restored.pixels,
            now_s,
        )


def _engines(restored: Restored) -> tuple[str, str | None]:
    rival = restored.rival
    return restored.provenance.engine, None if rival is None else rival.provenance.engine


def _same_frame(before: Shown | None, shown: Shown) -> bool:
    """Whether another result of the frame on the screen took the place of the one before."""
    if before is None or before.restored is None or shown.restored is None:
        return False
    old, new = before.restored.source.header, shown.restored.source.header
    same = (old.run_id, old.number, old.channel) == (new.run_id, new.number, new.channel)
    return same and shown.matched and before.matched and shown.restored is not before.restored


def _shape(frame: Frame | None) -> tuple[int, int] | None:
    return None if frame is None else frame.header.shape
