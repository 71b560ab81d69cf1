"""A/B: a second engine's result of the same frame takes the raw image's place; no Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from liverestore.view.display import result_pane
from liverestore.view.pairing import EngineSign

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liverestore.view.display import DisplayState, PaneState
    from liverestore.view.pairing import Shown

__all__ = ["A_MARK", "B_MARK", "common_badge", "with_rival"]

A_MARK = "A \u00b7 "
B_MARK = "B \u00b7 "
"""How the badges of the two engines begin; the engine's name follows."""


def with_rival(
    state: DisplayState, shown: Shown, rival: str | None, *, look_at_raw: bool
) -> DisplayState:
    """`state` with the second engine's result on the left; as it is without a `rival`.

    Both are of the same frame, always. With `look_at_raw`, and as long as there is no
    second result, the left side shows the raw image and says so.
    """
    if rival is None or state.raw.image is None:
        return state
    restored = state.restored
    if shown.restored is not None:
        made = shown.restored.provenance
        restored = replace(restored, word="A", badge=f"{A_MARK}{made.engine}")
    return replace(state, left=_left(state.raw, shown, rival, look_at_raw), restored=restored)


def common_badge(badges: Iterable[str]) -> str:
    """What is true of all `badges`: the letter alone where their engines differ.

    >>> common_badge(["A · denoise", "A · denoise"]), common_badge(["A · denoise", "A · mean5"])
    ('A · denoise', 'A')
    >>> common_badge(["B · mean5", "RAW"])
    'B / RAW'
    """
    said = list(dict.fromkeys(badges))
    if len(said) == 1:
        return said[0]
    return " / ".join(dict.fromkeys(badge.split(" \u00b7 ")[0] for badge in said if badge))


def _left(raw: PaneState, shown: Shown, rival: str, look_at_raw: bool) -> PaneState:
    raw = replace(raw, badge="RAW")
    if look_at_raw:
        return raw
    second = shown.restored.rival if shown.restored is not None else None
    # A silent engine has no second result either, and the camera goes on.
    if second is None or shown.engine is EngineSign.SILENT:
        waiting = f"no result of {rival} yet - this is the raw image"
        if shown.engine is EngineSign.SILENT:
            waiting = "engines not answering - this is the raw image"
        return replace(raw, banner="\n".join(text for text in (raw.banner, waiting) if text))
    pane = result_pane(second, "B")
    return replace(pane, badge=f"{B_MARK}{second.provenance.engine}", banner=raw.banner)
