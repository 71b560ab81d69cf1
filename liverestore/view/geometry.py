"""From image pixels to screen pixels: what part of a frame is read, and the scale bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["ScaleBar", "VisiblePart", "scale_bar", "visible_part"]


@dataclass(frozen=True, slots=True)
class VisiblePart:
    """The samples of a frame that the screen can show.

    `rows` and `columns` index the (Y, X) pixels; `rect` is (x, y, width, height) in image
    pixels of the area for which the samples stand.
    """

    rows: slice
    columns: slice
    rect: tuple[float, float, float, float]


def _span(low: float, high: float, size: int, step: int) -> tuple[int, int] | None:
    """(first, stop) of the samples that cover low..high; None when nothing is inside."""
    # The first sample lies on a grid fixed to the image: panning must not make it shimmer.
    first = max(0, math.floor(low / step) * step)
    stop = min(size, math.ceil(high))
    return (first, stop) if stop > first else None


def visible_part(
    shape: tuple[int, int],
    view: tuple[float, float, float, float],
    screen: tuple[float, float],
) -> VisiblePart | None:
    """The part of a frame of `shape` (Y, X) that lies in `view`, as coarse as the screen.

    `view` is (x0, y0, x1, y1) in image pixels, `screen` (width, height) in device pixels.
    Where several image pixels fall on one screen pixel, one of them is taken, not their
    mean: averaging would denoise the raw pane and flatter it beside the restored one.
    None when no pixel of the frame is in view.
    """
    x0, y0, x1, y1 = view
    if not (x1 > x0 and y1 > y0 and screen[0] > 0 and screen[1] > 0):
        return None
    step = max(1, math.floor(min((x1 - x0) / screen[0], (y1 - y0) / screen[1])))
    rows = _span(y0, y1, shape[0], step)
    columns = _span(x0, x1, shape[1], step)
    if rows is None or columns is None:
        return None
    height = math.ceil((rows[1] - rows[0]) / step) * step
    width = math.ceil((columns[1] - columns[0]) / step) * step
    return VisiblePart(
        slice(rows[0], rows[1], step),
        slice(columns[0], columns[1], step),
        (float(columns[0]), float(rows[0]), float(width), float(height)),
    )


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A bar of round length: in the sample, and on the screen."""

    length_um: float
    length_px: float
    """In the same screen pixels as the `available_px` asked for."""
    text: str


def _length_text(length_um: float) -> str:
    if length_um < 1.0:
        return f"{length_um * 1000:g} nm"
    if length_um < 1000.0:
        return f"{length_um:g} µm"
    return f"{length_um / 1000:g} mm"


def scale_bar(
    pixel_size_um: float | None, screen_px_per_pixel: float, available_px: float
) -> ScaleBar | None:
    """The longest bar of 1, 2 or 5 times a power of ten um that fits in `available_px`.

    `screen_px_per_pixel` is the zoom: screen pixels per image pixel. None where the pixel
    size is not known: a length is never guessed.

    >>> scale_bar(0.1, 2.0, 120.0)
    ScaleBar(length_um=5.0, length_px=100.0, text='5 µm')
    """
    if pixel_size_um is None or not (pixel_size_um > 0 and screen_px_per_pixel > 0):
        return None
    screen_px_per_um = screen_px_per_pixel / pixel_size_um
    longest_um = available_px / screen_px_per_um
    if not (math.isfinite(longest_um) and longest_um > 0):
        return None
    exponent = math.floor(math.log10(longest_um))
    # One decade lower as well: log10 of 0.999999... may round up.
    candidates = [
        float(f"{m}e{e}") for e in (exponent - 1, exponent, exponent + 1) for m in (1, 2, 5)
    ]
    fitting = [c for c in candidates if c <= longest_um * (1 + 1e-12)]
    length_um = max(fitting)
    return ScaleBar(length_um, length_um * screen_px_per_um, _length_text(length_um))
