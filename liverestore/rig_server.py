"""The other machine on which a rig's frames are restored."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["EngineServerConfig", "is_text_surface"]

# Letters stand only before a colon, but for the e of 1e-3: the name of a map ends in letters.
_SURFACE = re.compile(r"(?:[a-z]+:|(?:plane|quadratic|smooth);|[-+0-9.,;eE\s])+")


class EngineServerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an engine is served (`liverestore engine serve`)."""

    address: Annotated[str, Meta(min_length=1, max_length=300)]
    """tcp://HOST:PORT"""
    key: Annotated[str, Meta(min_length=1, max_length=300)]
    """The line that `liverestore keys` prints there, or its name once it is authorised here."""


def is_text_surface(spec: str) -> bool:
    """Whether a surface is told in words and numbers, so that no file is read for it.

    >>> is_text_surface("plane:1,0.1,0 + sphere:-2,400"), is_text_surface("map.npy")
    (True, False)
    """
    return _SURFACE.fullmatch(spec) is not None
