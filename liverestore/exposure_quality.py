"""What a user may ask of restored pictures, and how it is said."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from liverestore.errors import UserError

__all__ = ["ALLOWED", "Quality", "parse_quality"]

ALLOWED = (
    "'raw' (restored pictures as good as the raw ones are now), a share such as 80% (the error "
    "may be 1/0.8 of what it is in restored pictures now), or an affine PSNR such as 36dB"
)
_FORM = re.compile(r"(\d+(?:\.\d*)?)\s*(%|dB)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quality:
    """The quality asked for. "raw": as good as raw frames at the present exposure."""

    kind: Literal["raw", "share", "psnr"] = "raw"
    value: float = math.nan
    """Share of 1 or dB; not a number for "raw"."""

    def target(self, raw: float, restored: float, span: float) -> float:
        """The largest mean squared error allowed.

        `raw`, `restored`: mean squared errors at the present exposure; `span`: the range of
        the picture, the peak of the PSNR.
        """
        if self.kind == "raw":
            return raw
        if self.kind == "share":
            return restored / self.value**2
        return span**2 / 10 ** (self.value / 10)

    @property
    def words(self) -> str:
        """What it means, for a person."""
        if self.kind == "raw":
            return "restored pictures as good as the raw ones are at the present exposure"
        if self.kind == "share":
            return (
                f"{100 * self.value:g} % of the quality of restored pictures at the present "
                f"exposure: an error of at most {1 / self.value:.3g} times what it is now "
                f"({-20 * math.log10(self.value):.2g} dB less)"
            )
        return f"restored pictures of {self.value:g} dB affine PSNR"


def parse_quality(text: str) -> Quality:
    """`text` as a user writes it.

    Raises `UserError` for anything but "raw", a share above 0 and up to 100%, and dB.

    >>> parse_quality("80%")
    Quality(kind='share', value=0.8)
    """
    word = text.strip()
    if word.lower() == "raw":
        return Quality()
    form = _FORM.fullmatch(word)
    value = float(form[1]) if form is not None else math.nan
    if form is not None and form[2] == "%" and 0 < value <= 100:
        return Quality("share", value / 100)
    if form is not None and form[2] != "%" and 0 < value <= 200:
        return Quality("psnr", value)
    raise UserError(f"--quality: got {text!r}, allowed is {ALLOWED}")
