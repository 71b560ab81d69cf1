"""What the window has to say, and what it says to the run: news, notices, trouble, commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverestore.errors import LiverestoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.status import Command, RunStatus
    from liverestore.view.feed import ShownPair, ViewFeed
    from liverestore.view.statusbar import NoticeBar
    from liverestore.view.toast import Toast

__all__ = ["Messages"]


class Messages:
    """Between the `feed` and two places for words: `toast`, which goes away, and `bar`.

    A feed that fails is no end of the window: its error is a notice until the feed answers.
    `own` are the notices of the window's other parts, asked for whenever they are needed;
    `clock_ns` is the window's clock.
    """

    def __init__(
        self,
        feed: ViewFeed,
        toast: Toast,
        bar: NoticeBar,
        clock_ns: Callable[[], int],
        own: Callable[[], tuple[str | None, ...]],
    ) -> None:
        self.feed = feed
        self._toast, self._bar = toast, bar
        self._clock_ns, self._own = clock_ns, own
        self._trouble: tuple[str, ...] = ()
        self._warnings: tuple[str, ...] = ()
        self._events: tuple[str, ...] | None = None

    @property
    def notices(self) -> tuple[str, ...]:
        """All that should stay until it was read, beside what the run itself reports."""
        return (*filter(None, self._own()), *self._warnings, *self._trouble)

    def fetch(self) -> tuple[ShownPair | None, RunStatus | None]:
        """The newest pair and report; (None, None), and a notice, where the feed fails."""
        try:
            pair, status = self.feed.newest(), self.feed.status()
        except LiverestoreError as error:
            self._trouble = (str(error),)
            return None, None
        self._trouble = ()
        if status is not None:
            self._tell(status.events)
        return pair, status

    def send(self, command: Command) -> None:
        """Ask the run for `command`."""
        try:
            self.feed.send(command)
        except LiverestoreError as error:
            self._trouble = (str(error),)
            self._bar.show_notices(self._trouble)

    def say(self, text: str) -> None:
        """Show `text` over the images for some seconds."""
        self._toast.say(text, self._clock_ns() / 1e9)

    def warn(self, text: str) -> None:
        """Show `text` in the bar until it is read or `calm` is called."""
        self._warnings = (text,)
        self._bar.show_notices(self._warnings)

    def calm(self) -> None:
        """Take back what `warn` said: it is tried again."""
        self._warnings = ()

    def _tell(self, events: tuple[str, ...]) -> None:
        """Say what is new; what happened before the window was there is no news."""
        new = [] if self._events is None else [e for e in events if e not in self._events]
        self._events = events
        if new:
            self.say("\n".join(new))
