"""Which engine restores which frames, and the change from one to another between two frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from liverestore.runtime.base import InferenceRuntime
from liverestore.runtime.table import serving_words
from liverestore.runtime.upgrade import UpgradingRuntime
from liverestore.service.engine_loading import Frames, Loader, Loading, OpenRuntime

__all__ = ["KEPT_S", "Lineup", "Serving"]

KEPT_S = 10.0
"""So long an engine that serves no longer stays open: who swaps often swaps back, and two
engines that change places are asked for one after the other."""


@dataclass(slots=True)
class Serving:
    """An engine at work; one for all channels that it serves."""

    name: str
    runtime: InferenceRuntime
    frames: Frames | None
    """What it is ready for."""
    _words: str
    _told_of: tuple[str, str | None]

    @property
    def words(self) -> str:
        """What executes it and why nothing faster does, in one line."""
        if (state := _state(self.runtime)) != self._told_of:
            self._words, self._told_of = serving_words(self.runtime), state
        return self._words


def _state(runtime: InferenceRuntime) -> tuple[str, str | None]:
    """Changes when something else executes the engine, or for another reason."""
    why = runtime.why_not_better if isinstance(runtime, UpgradingRuntime) else None
    return runtime.description, why


class Lineup:
    """An engine for all frames, others for single channels, and perhaps a rival.

    `use` and `use_rival` wait for what they load, `ask` and `ask_rival` do not: the engines in
    use go on, and `settle`, called between two frames, takes over what is ready. What is asked
    for last is what counts. An engine that cannot be loaded leaves the one in use, and `tell`
    gets one line. Used from one thread.
    """

    def __init__(
        self,
        open_engine: OpenRuntime,
        tell: Callable[[str], None],
        *,
        kept_s: float = KEPT_S,
    ) -> None:
        """An engine that serves no longer is closed `kept_s` later."""
        self._kept_s = kept_s
        self._idle_since_s: dict[str, float] = {}
        self._loader = Loader(open_engine)
        self._tell = tell
        self._frames: Frames | None = None
        self._ready: dict[str, Serving] = {}
        self._engines: dict[str | None, str] = {}
        """Channel (None: all others) -> engine."""
        self._rival: str | None = None
        self._asked: dict[str | None, str] = {}
        self._asked_rival: str | None = None

    # -- what is asked for ------------------------------------------------------------

    def use(self, name: str, channel: str | None = None) -> None:
        """Restore `channel` (None: all) with engine `name` from now on.

        Raises `UserError` for an unknown engine; the one in use goes on then.
        """
        self._wait_for(name)
        self.ask(name, channel)

    def use_rival(self, name: str) -> None:
        """Restore with engine `name` as well, from now on. Raises as `use` does."""
        self._wait_for(name)
        self.ask_rival(name)

    def ask(self, name: str, channel: str | None = None) -> None:
        """Restore `channel` (None: all) with engine `name` as soon as it is loaded."""
        # All: also those that have an engine of their own, or wait for one.
        places = [channel] if channel is not None else [None, *self._engines, *self._asked]
        for place in places:
            self._asked[place] = name
        self._take_over()

    def ask_rival(self, name: str | None) -> None:
        """Restore each frame with engine `name` as well; None: no longer, at once."""
        if name is None:
            self._rival = None
        self._asked_rival = name
        self._take_over()

    def settle(self) -> None:
        """Between two frames: take over what is ready, close what has not served for a while."""
        while (done := self._loader.take(self._frames)) is not None:
            self._received(done)
        self._take_over()
        needed = {*self._engines.values(), *self._wanted(), self._rival}
        now_s = time.monotonic()
        for name in list(self._ready):
            if name in needed:
                self._idle_since_s.pop(name, None)
            elif now_s - self._idle_since_s.setdefault(name, now_s) >= self._kept_s:
                del self._idle_since_s[name]
                self._loader.retire(self._ready.pop(name).runtime)

    # -- what serves ------------------------------------------------------------------

    def serving(self, channel: str | None = None) -> Serving:
        """What restores frames of `channel`."""
        return self._ready[self._engines.get(channel, self._engines[None])]

    @property
    def rival(self) -> Serving | None:
        """What restores each frame as well."""
        return None if self._rival is None else self._ready[self._rival]

    @property
    def first(self) -> list[Serving]:
        """What restores frames of any channel, without the rival; each once."""
        return [self._ready[name] for name in dict.fromkeys(self._engines.values())]

    @property
    def in_use(self) -> list[Serving]:
        """What restores frames of any channel, and the rival; each once."""
        names = [*self._engines.values(), *([] if self._rival is None else [self._rival])]
        return [self._ready[name] for name in dict.fromkeys(names)]

    def warm_up(self, serving: Serving, frames: Frames) -> None:
        """See that `serving` is ready for `frames`; what is loaded from now on will be.

        Raises `LiverestoreError`.
        """
        self._frames = frames
        if frames != serving.frames:
            serving.runtime.warm_up(*frames)
            serving.frames = frames
            self._loader.started(serving.runtime)

    @property
    def engines(self) -> dict[str, str]:
        """Channel -> engine, where it is another one than that of all others."""
        return {place: name for place, name in self._engines.items() if place is not None}

    @property
    def loading(self) -> str | None:
        """Engines that are being made ready, for a person."""
        return ", ".join(self._wanted()) or None

    def close(self) -> None:
        """Close all runtimes and drop what is loading."""
        self._asked.clear()
        self._asked_rival = self._rival = None
        self._engines.clear()
        for serving in self._ready.values():
            self._loader.retire(serving.runtime)
        self._ready.clear()
        self._loader.close()

    # -- within -----------------------------------------------------------------------

    def _take_over(self) -> None:
        """Let what is ready serve where it was asked for, and load the rest."""
        for place, name in list(self._asked.items()):
            if name in self._ready:
                self._engines[place] = self._asked.pop(place)
        if self._asked_rival in self._ready:
            self._rival, self._asked_rival = self._asked_rival, None
        self._forget_the_same()
        self._loader.want([n for n in self._wanted() if n not in self._ready], self._frames)

    def _wait_for(self, name: str) -> None:
        if name not in self._ready:
            self._keep(self._loader.load(name, self._frames))

    def _wanted(self) -> list[str]:
        names = [*self._asked.values()]
        if self._asked_rival is not None:
            names.append(self._asked_rival)
        return list(dict.fromkeys(names))

    def _keep(self, done: Loading) -> None:
        assert done.runtime is not None, "it failed otherwise"
        if done.name in self._ready:  # waited for meanwhile
            self._loader.retire(done.runtime)
            return
        self._ready[done.name] = Serving(
            done.name, done.runtime, done.warm_for, done.words, _state(done.runtime)
        )

    def _received(self, done: Loading) -> None:
        if done.error is None:
            self._keep(done)
            return
        places = [place for place, name in self._asked.items() if name == done.name]
        for place in places:
            del self._asked[place]
        if places:
            stays: str | None = self.serving(places[0]).name
        else:
            stays = self._rival
        if self._asked_rival == done.name:
            self._asked_rival = None
        goes_on = "" if stays is None else f"; '{stays}' goes on"
        self._tell(f"{done.error}{goes_on}")

    def _forget_the_same(self) -> None:
        """A channel whose engine is that of all others needs no word of its own."""
        rest = self._engines.get(None)
        for place in list(self._engines):
            if place is not None and self._engines[place] == rest and None not in self._asked:
                del self._engines[place]
