"""Distances from the plane in focus as they are read on the screen; no Qt."""

from __future__ import annotations

__all__ = ["signed_um"]


def signed_um(um: float) -> str:
    """A distance with its sign.

    >>> signed_um(0.5), signed_um(0.0)
    ('+0.5 µm', '0 µm')
    """
    return f"{um:+.3g} µm".replace("-", "\u2212") if um else "0 µm"
