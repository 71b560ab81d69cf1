"""Of settings that are asked for faster than a camera takes them, the last one counts."""

from __future__ import annotations

from collections.abc import Iterable

from liverestore.status import Word
from liverestore.status_commands import SetExposure, SetRoi, SetZ

__all__ = ["latest"]


def latest(words: Iterable[Word]) -> list[Word]:
    """`words` in their order, without settings that a later one of them overrules.

    Two settings overrule each other where they are of one kind, and exposures of one channel,
    with no other order in between: a picture that is snapped has what was set before it.
    """
    kept: list[Word] = []
    settings: dict[tuple[type[Word], str | None], Word] = {}
    for word in words:
        if isinstance(word, SetExposure | SetZ | SetRoi):
            key = type(word), word.channel if isinstance(word, SetExposure) else None
            settings.pop(key, None)
            settings[key] = word
            continue
        kept += [*settings.values(), word]
        settings.clear()
    return [*kept, *settings.values()]
