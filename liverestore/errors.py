"""Errors a person reads: one line that says what was got, what is allowed, what to do."""

from __future__ import annotations

__all__ = ["EndOfStream", "Failure", "LiverestoreError", "UserError"]


class LiverestoreError(Exception):
    """Base of every error this package raises on purpose.

    Its text is one line for a person; `exit_code` is what the command line returns.
    """

    exit_code = 1


class UserError(LiverestoreError):
    """The request cannot be met as it stands; the text names the remedy."""

    exit_code = 2


class Failure(LiverestoreError):
    """The request was fine, but a device, a file, a process or a runtime failed."""


class EndOfStream(LiverestoreError):
    """A finite source (a replayed movie) has handed out its last frame."""

    exit_code = 0
