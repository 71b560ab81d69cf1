"""How a window looks: its theme, and how large its text is where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from liverestore.view.theme import LARGER, THEMES, scale_for, stylesheet
from liverestore.view.themed import theme_of, wear_theme

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PySide6.QtCore import QSize
    from PySide6.QtWidgets import QWidget

__all__ = ["Look"]

_STATUS_SHARE = 0.9
"""Of the window's width, at most, for the numbers; the buttons beside them need the rest."""

_BAR_SHARE = 0.86
"""Of the window's width, at most, for larger controls: other modes need more of them."""


class _Part(Protocol):
    def rescale(self, scale: float) -> None: ...
    def minimumSizeHint(self) -> QSize: ...  # noqa: N802 - Qt's name


class Look:
    """Keeps theme and text size of `window` and of its parts.

    `bars` are rows of controls, of which nothing may be cut off; `reading` is what one reads
    from afar, with the `status` line; `rest` goes with the bars. Large text makes each of them
    as much larger as there is room for.
    """

    def __init__(
        self,
        window: QWidget,
        *,
        bars: Sequence[_Part],
        reading: Sequence[_Part],
        status: _Part,
        rest: Sequence[_Part],
    ) -> None:
        self._window = window
        self._bars, self._reading, self._status, self._rest = bars, reading, status, rest
        self._asked: tuple[float, int, bool] | None = None
        self.large_text = False
        self.scale = 1.0
        """Of the controls; 1 is the normal size."""
        self.reading_scale = 1.0
        """Of the texts around the images, which end in an ellipsis where they must."""
        self.status_scale = 1.0

    @property
    def theme(self) -> str:
        """Name of the theme worn now."""
        return theme_of(self._window)

    def set_theme(self, theme: str) -> None:
        """Wear `theme`, one of `theme.THEMES`; image areas stay dark."""
        wear_theme(self._window, theme)
        self._dress()

    def next_theme(self) -> None:
        """Wear the next one of `theme.THEMES`."""
        names = tuple(THEMES)
        self.set_theme(names[(names.index(self.theme) + 1) % len(names)])

    def set_large_text(self, on: bool) -> None:
        """Make the text as large as there is room for, or normal."""
        self.large_text = on
        self.fit()

    def fit(self) -> None:
        """Fit text and controls to the window's size."""
        base = scale_for(self._window.width(), self._window.height())
        asked = (base, self._room(), self.large_text)
        if asked == self._asked:
            return
        self._asked = asked
        self.reading_scale = next(self._sizes(base))
        self.scale = base
        for scale in self._sizes(base):
            self.status_scale = scale
            self._resize_parts()
            if self._fits(self._status, _STATUS_SHARE):
                break
        for scale in self._sizes(base):
            self.scale = scale
            self._resize_parts()
            if all(self._fits(bar, _BAR_SHARE) for bar in self._bars):
                break

    def recheck(self) -> None:
        """Make large text smaller where a row got more to show than there is room for."""
        base = scale_for(self._window.width(), self._window.height())
        too_wide = self.scale > base and not all(map(self._fits, self._bars))
        if self.status_scale > base and not self._fits(self._status, _STATUS_SHARE):
            too_wide = True
        if too_wide:
            self._asked = None
            self.fit()

    def _room(self) -> int:
        """The window's width, as far as large text depends on it."""
        return self._window.width() // 16 if self.large_text else 0

    def _sizes(self, base: float) -> Iterator[float]:
        if self.large_text:
            yield from (base * larger for larger in LARGER)
        yield base

    def _fits(self, part: _Part, share: float = 1.0) -> bool:
        return part.minimumSizeHint().width() <= share * self._window.width()

    def _resize_parts(self) -> None:
        self._dress()
        for part in (*self._bars, *self._rest):
            part.rescale(self.scale)
        for part in self._reading:
            part.rescale(self.reading_scale)
        self._status.rescale(self.status_scale)

    def _dress(self) -> None:
        sheet = stylesheet(self.scale, self.theme, self.reading_scale, self.status_scale)
        # Qt dresses every widget again, also with the sheet that they wear.
        if sheet != self._window.styleSheet():
            self._window.setStyleSheet(sheet)
