"""The outcome of one check of this machine."""

from __future__ import annotations

import importlib.metadata
from typing import Literal

import msgspec

__all__ = ["REINSTALL", "Finding", "State", "version"]

State = Literal["ok", "note", "missing"]
REINSTALL = "pip install --force-reinstall liverestore"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one check."""

    name: str
    state: State
    """"note": something optional is not there, or to be known."""
    text: str
    """What was found."""
    remedy: str | None = None
    """What to do about it."""
    essential: bool = True
    """Whether the main job (acquire, restore, record) fails without it."""


def version(package: str) -> str | None:
    """Of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
