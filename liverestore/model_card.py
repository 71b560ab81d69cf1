"""Reads the card of an engine's package with care: it may come from anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from liverestore.errors import UserError

__all__ = ["inside", "read_card", "word_of"]

_MAX_CARD_BYTES = 1 << 20
_DEEPEST = 50


def read_card(file: Path) -> str:
    """Its text. Raises `UserError`, `OSError`, `ValueError`, and `RecursionError` for brackets."""
    with file.open("rb") as opened:
        data = opened.read(_MAX_CARD_BYTES + 1)
    if len(data) > _MAX_CARD_BYTES:
        raise UserError(f"{file}: is larger than 1 MiB, which no card of an engine is")
    text = data.decode("utf-8")
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            raise RecursionError  # the parser would take minutes to come to that
    return text


def word_of(table: dict[str, Any], key: str) -> str:
    """A text or a number; a list may be endless although its file is short. Raises `TypeError`."""
    value = table[key]
    if not isinstance(value, str | int | float):
        raise TypeError(f"a text or a number for {key}")
    return str(value)


def inside(folder: Path, source: str) -> Path:
    """The file `source` of the package in `folder`. Raises `UserError` where it lies elsewhere."""
    path = folder / source
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"engine '{folder.name}': the weights {source!r} lie outside of its folder; a package "
            "has all its files in one folder"
        )
    return path
