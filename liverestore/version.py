"""The version of this program; alone in its module, so that every room may import it."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
