"""A process of another version of liverestore in a run, as after an update on the disk."""

from __future__ import annotations

from liverestore.status import Hello, Word
from liverestore.transport.control import Unread
from liverestore.version import __version__

__all__ = ["other_version"]


def other_version(name: str, word: Word | Unread) -> str | None:
    """One line where `word` shows that process `name` is of another version, else None."""
    if isinstance(word, Unread):
        what = f"says what liverestore {__version__} does not know ({word.why})"
    elif isinstance(word, Hello) and word.version != __version__:
        what = f"is liverestore {word.version or 'of another version'}"
    else:
        return None
    return (
        f"{name} {what}, but this run began with {__version__}, and a run takes one version only; "
        "it was changed on the disk meanwhile"
    )
