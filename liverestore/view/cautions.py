"""What an engine warns of, in few enough words to stand over an image; no Qt."""

from __future__ import annotations

import re

__all__ = ["gathered"]

_CLIPPED = re.compile(r"[\d,]+ of [\d,]+ pixels are wanted farther than engine .+: clipped to .+")
_UM = re.compile(r"(?<=\d) um\b")
_TRAINED = re.compile(r"(.+): engine '(.+)' was trained for (.+)")


def gathered(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """`warnings`, with those about an engine's training in one where there are several.

    A surface that is clipped is left out: the heading of the image says it.

    >>> gathered(("a depth of 2 um: engine 'e' was trained for 5 to 40 um", "dark",
    ...           "an aperture of 1.2: engine 'e' was trained for 0.8"))[0]
    "outside of the training of 'e': a depth of 2 µm (5 to 40 µm), an aperture of 1.2 (0.8)"
    """
    warnings = tuple(_UM.sub(" µm", text) for text in warnings if not _CLIPPED.fullmatch(text))
    found = [_TRAINED.fullmatch(text) for text in warnings]
    parts: dict[str, list[str]] = {}
    for match in found:
        if match is not None:
            parts.setdefault(match[2], []).append(f"{match[1]} ({match[3]})")
    said = []
    for text, match in zip(warnings, found, strict=True):
        of_engine = [] if match is None else parts[match[2]]
        if match is None or len(of_engine) == 1:
            said.append(text)
        else:
            said.append(f"outside of the training of '{match[2]}': {', '.join(of_engine)}")
    return tuple(dict.fromkeys(said))
