"""Frames and requests that are not understood: said once, and not for ever."""

from __future__ import annotations

from typing import Protocol

from liverestore.errors import Failure

__all__ = ["check_understood"]

_PATIENCE_S = 10.0


class _Hears(Protocol):
    @property
    def refusal(self) -> str | None: ...
    @property
    def deaf_s(self) -> float: ...


def check_understood(inlet: _Hears) -> None:
    """Raises `Failure` where for 10 s no frame that came through `inlet` was understood.

    The process is started again then, as often as one that died.
    """
    if inlet.deaf_s > _PATIENCE_S:
        raise Failure(
            f"for {inlet.deaf_s:.0f} s no frame was understood ({inlet.refusal}); a run takes one "
            "version of liverestore only: start it again"
        )
