"""Rates as they are read on the terminal."""

from __future__ import annotations

__all__ = ["rate_text"]


def rate_text(fps: float) -> str:
    """Frames a second; below one with another digit, because stacks can take seconds.

    >>> rate_text(25.04), rate_text(0.042), rate_text(0.0)
    ('25.0 fps', '0.04 fps', '0.0 fps')
    """
    return f"{fps:.2f} fps" if 0 < fps < 1 else f"{fps:.1f} fps"
