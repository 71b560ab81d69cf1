"""Levels of raw and restored: the same for both or each its own, following or by hand; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from liverestore.view.levels import Autostretch, Levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LevelKeeper", "LevelSettings", "Side"]


class Side(Enum):
    """One of the two images; the values are the words on the screen."""

    RAW = "raw"
    RESTORED = "restored"


class _Follower:
    """Levels of one image: by hand, else of the image."""

    def __init__(self, ignore_percent: float) -> None:
        self.stretch = Autostretch(ignore_percent)
        self.by_hand: Levels | None = None
        self.now: Levels | None = None

    def step(self, pixels: NDArray[np.generic] | None, now_s: float) -> Levels | None:
        self.now = self._levels(pixels, now_s)
        return self.now

    def _levels(self, pixels: NDArray[np.generic] | None, now_s: float) -> Levels | None:
        if self.by_hand is not None:
            return self.by_hand
        if pixels is None:
            return None
        levels = self.stretch.update(pixels, now_s)
        if levels is None or pixels.dtype.kind not in "ui":
            return levels
        # Whole counts: a change that nobody can see must not repaint the image.
        low = float(round(levels[0]))
        return (low, max(float(round(levels[1])), low + 1.0))

    def like(self, other: _Follower) -> None:
        """Go on as `other` stands."""
        self.by_hand, self.now = other.by_hand, other.now
        self.stretch.ignore_percent = other.stretch.ignore_percent
        self.stretch.reset()


@dataclass(frozen=True, slots=True)
class LevelSettings:
    """What a person chose of the levels, so that it can be put back."""

    linked: bool
    edited: Side | None
    """The image whose levels `words` speaks of; None: both."""
    chosen: tuple[tuple[Levels | None, float], ...]
    """(levels in counts or None for autostretch, ignored percentage): of both images while
    linked, then of raw and of restored."""

    @property
    def words(self) -> str:
        """As it is read on the screen."""
        levels, ignore_percent = self.chosen[0 if self.edited is None else 1 + _place(self.edited)]
        text = f"autostretch, ignore {ignore_percent:g} %"
        if levels is not None:
            text = f"{levels[0]:.6g} to {levels[1]:.6g}"
        return text if self.edited is None else f"{self.edited.value} {text}"


def _place(side: Side) -> int:
    return list(Side).index(side)


class LevelKeeper:
    """Levels that are linked (one pair for both images) or separate (each its own).

    Linked, the levels are those of the restored image, else of the raw one: the tails of
    the raw image are noise, and would leave the restored one without contrast. What is set
    by hand or switched to autostretch is `chosen` while separate, and both while linked.
    """

    def __init__(self, ignore_percent: float = 0.1) -> None:
        self._linked = True
        self._both = _Follower(ignore_percent)
        self._own = {side: _Follower(ignore_percent) for side in Side}
        self.chosen = Side.RESTORED
        """The image whose levels are changed while they are separate."""

    @property
    def linked(self) -> bool:
        """Whether both images have the same levels. Separated, each goes on as both stood;
        linked again, both go on as the chosen one stood.
        """
        return self._linked

    @linked.setter
    def linked(self, linked: bool) -> None:
        if linked == self._linked:
            return
        self._linked = linked
        if linked:
            self._both.like(self._own[self.chosen])
        else:
            for own in self._own.values():
                own.like(self._both)

    @property
    def settings(self) -> LevelSettings:
        """What was chosen until now; `put` brings it back."""
        return LevelSettings(
            self._linked,
            None if self._linked else self.chosen,
            tuple((f.by_hand, f.stretch.ignore_percent) for f in self._all),
        )

    def put(self, settings: LevelSettings) -> None:
        """Choose `settings` again; what follows its image takes the next one's levels at once."""
        self._linked = settings.linked
        if settings.edited is not None:
            self.chosen = settings.edited
        for follower, (by_hand, ignore_percent) in zip(self._all, settings.chosen, strict=True):
            follower.by_hand = by_hand
            if by_hand is not None:
                follower.now = by_hand
            follower.stretch.ignore_percent = ignore_percent
            follower.stretch.reset()

    @property
    def autostretch(self) -> bool:
        """Whether the levels that would be changed now follow their image."""
        return self._edited.by_hand is None

    @property
    def ignore_percent(self) -> float:
        """Percentage of pixels that autostretch leaves outside at either end."""
        return self._edited.stretch.ignore_percent

    @property
    def levels(self) -> Levels | None:
        """The levels (counts) that would be changed now; None before the first image."""
        return self._edited.now

    def by_hand(self, side: Side) -> Levels | None:
        """The levels (counts) of one image as set by hand; None where they follow it."""
        return (self._both if self._linked else self._own[side]).by_hand

    def set_levels(self, low: float, high: float) -> None:
        """Show `low` as black and `high` as white (counts) until autostretch is set."""
        self._edited.by_hand = (low, high)
        self._edited.now = (low, high)

    def set_autostretch(self, on: bool, ignore_percent: float) -> None:
        """Let the levels follow the image, or stay where they are."""
        edited = self._edited
        if on:
            edited.by_hand = None
            edited.stretch.ignore_percent = ignore_percent
            edited.stretch.reset()
        elif edited.by_hand is None:
            edited.by_hand = edited.now

    def reset(self) -> None:
        """Take the next images' levels at once, where they follow: another frame size."""
        for follower in self._all:
            follower.stretch.reset()

    def step(
        self,
        raw: NDArray[np.generic] | None,
        restored: NDArray[np.generic] | None,
        now_s: float,
    ) -> tuple[Levels | None, Levels | None]:
        """Levels (counts) of the raw and of the restored image, (Y, X) each, at `now_s`."""
        if self._linked:
            levels = self._both.step(raw if restored is None else restored, now_s)
            return levels, levels
        return (
            self._own[Side.RAW].step(raw, now_s),
            self._own[Side.RESTORED].step(restored, now_s),
        )

    @property
    def _all(self) -> tuple[_Follower, ...]:
        return (self._both, *(self._own[side] for side in Side))

    @property
    def _edited(self) -> _Follower:
        return self._both if self._linked else self._own[self.chosen]
