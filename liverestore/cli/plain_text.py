"""Output where not every letter can be written, or where nobody reads it any more.

A terminal of Windows takes every letter. What goes into a file or a pipe there is written in the
code page of the country, and Python ends a program at the first letter that it lacks.
"""

from __future__ import annotations

import codecs
import errno
import io
import sys
import unicodedata
from typing import TextIO

__all__ = ["plain_where_needed", "reader_gone"]

_ERRORS = "liverestore.plain"
_PLAIN = str.maketrans(
    {
        "\N{MICRO SIGN}": "u",
        "\N{GREEK SMALL LETTER MU}": "u",
        "\N{DEGREE SIGN}": "deg",
        "\N{PLUS-MINUS SIGN}": "+/-",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{MIDDLE DOT}": "*",
        "\N{BULLET}": "*",
        "\N{RIGHTWARDS ARROW}": "->",
        "\N{LESS-THAN OR EQUAL TO}": "<=",
        "\N{GREATER-THAN OR EQUAL TO}": ">=",
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
        "\N{BOX DRAWINGS LIGHT HORIZONTAL}": "-",
        "\N{BOX DRAWINGS HEAVY HORIZONTAL}": "-",
        "\N{BOX DRAWINGS LIGHT VERTICAL}": "|",
    }
)


def plain_where_needed(*streams: TextIO) -> None:
    """Make `streams` write letters that their encoding lacks as plain ones; "?" for the rest."""
    codecs.register_error(_ERRORS, _plainly)
    for stream in streams:
        # Others, as in tests and notebooks, take what they are given.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    # Compatibility forms: a raised 2 becomes a 2, three dots in one become three.
    spelt = unicodedata.normalize("NFKD", letters.translate(_PLAIN)).translate(_PLAIN)
    kept = (letter if letter.isascii() else "?" for letter in spelt if not _mark(letter))
    return "".join(kept), error.end


def _mark(letter: str) -> bool:
    """Whether it is the accent that was taken off a letter."""
    return bool(unicodedata.combining(letter))


def reader_gone(error: OSError) -> bool:
    """Whether a write failed because whoever read the output has gone, as `head` does."""
    # A closed pipe of Windows says that the argument is wrong, and names no file.
    windows = sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or windows
