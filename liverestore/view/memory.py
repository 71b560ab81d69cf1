"""When settings are written: after they changed and stayed so, never while painting; no Qt."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from liverestore.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from liverestore.view.settings import SettingsFile, ViewSettings

__all__ = ["Memory"]

_LOOK_EVERY_S = 1.0


class Memory:
    """The settings of one window, written by a thread of its own.

    What is shown is looked at once a second and written when it differs from the file and has
    not changed since the look before: dragging an edge writes once, at its end. Time is handed
    in, in seconds of any one clock. With `file` None nothing is remembered.
    """

    def __init__(self, file: SettingsFile | None) -> None:
        self._file = file
        self.settings: ViewSettings | None = None
        """What the window starts with; None: nothing is remembered."""
        self._load_notice = ""
        if file is not None:
            self.settings, self._load_notice = file.load()
        self._written = self.settings
        self._seen: ViewSettings | None = None
        self._looked_at_s: float | None = None
        self._writer: threading.Thread | None = None
        self._trouble = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know of the file, one line each."""
        return tuple(line for line in (self._load_notice, self._trouble) if line)

    def step(self, now_s: float, look: Callable[[], ViewSettings]) -> None:
        """At most once a second, `look` at what is shown and write it where it is new."""
        if self._file is None:
            return
        if self._looked_at_s is not None and now_s - self._looked_at_s < _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        before, self._seen = self._seen, look()
        if self._seen == self._written or self._seen != before or self._busy():
            return
        self._written = settings = self._seen
        self._writer = threading.Thread(
            target=self._write, args=(settings,), name="view-settings", daemon=True
        )
        self._writer.start()

    def close(self, settings: ViewSettings) -> None:
        """Write `settings`, if they are new, and let the thread end."""
        if self._file is None:
            return
        if self._writer is not None:
            self._writer.join()
        if settings != self._written or self._trouble:
            self._written = settings
            self._write(settings)

    def _busy(self) -> bool:
        return self._writer is not None and self._writer.is_alive()

    def _write(self, settings: ViewSettings) -> None:
        if self._file is None:
            return
        try:
            self._file.save(settings)
            self._trouble = ""
        except Failure as failure:
            self._trouble = str(failure)
