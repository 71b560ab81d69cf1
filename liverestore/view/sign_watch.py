"""Finds out what one frame tells of the side of the focus, for the optics of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liverestore.view.sign_words import SignWords, optics_in, sign_words

if TYPE_CHECKING:
    from concurrent.futures import Future

    from liverestore.frame import Restored
    from liverestore.optics import Optics
    from liverestore.view.background import Background

__all__ = ["SignWatch"]


class SignWatch:
    """Calculates once for each optics and reach, in the background; remembers the last ones."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._found: dict[tuple[Optics, float], Future[SignWords]] = {}
        self._parameters: dict[str, float | int | str] | None = None
        self._optics: Optics | None = None

    def words(self, made: Restored | None, reach_um: float | None) -> SignWords | None:
        """What is to be said of `made`; None where it was not refocused, or is not known yet."""
        if made is None or reach_um is None:
            return None
        parameters = made.provenance.parameters
        if parameters is not self._parameters:
            self._parameters = parameters
            self._optics = optics_in(parameters)
        optics = self._optics
        if optics is None:
            return None
        key = (optics, reach_um)
        if key not in self._found:
            self._found[key] = self._background.start(lambda: sign_words(optics, reach_um))
        found = self._found[key]
        return found.result() if found.done() and not found.cancelled() else None
