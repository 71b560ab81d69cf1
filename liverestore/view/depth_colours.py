"""Colours that say how deep something lies, and leave its brightness to the light; no Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.view.levels import Levels

__all__ = ["DEPTH_COLOURS", "depth_coloured"]

_LIGHTNESS, _CHROMA = 0.75, 0.12
_SHALLOW_DEG, _DEEP_DEG = 255.0, 92.0
"""Hues, from blue over green to yellow."""


def _arc() -> NDArray[np.uint8]:
    """Hues at even steps, all of one lightness and chroma in Oklab.

    Even steps of hue at one lightness and chroma are even steps for the eye. From blue to yellow
    the blue-yellow part rises from end to end, which people see who do not tell red from green.
    Oklab and its inverse: B. Ottosson, "A perceptual color space for image processing" (2020).
    """
    hue = np.radians(np.linspace(_SHALLOW_DEG, _DEEP_DEG, 256))
    a, b = _CHROMA * np.cos(hue), _CHROMA * np.sin(hue)
    long = (_LIGHTNESS + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (_LIGHTNESS - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (_LIGHTNESS - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.stack(
        [
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        ],
        axis=1,
    )
    # The transfer function of sRGB, IEC 61966-2-1.
    screen = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: NDArray[np.uint8] = np.rint(255 * screen).astype(np.uint8)
    table.setflags(write=False)
    return table


DEPTH_COLOURS = _arc()
"""(256, 3) uint8, from the shallowest plane, blue, to the deepest, yellow."""


def depth_coloured(
    light: NDArray[np.generic], place: NDArray[np.generic], planes: int, levels: Levels
) -> NDArray[np.uint32]:
    """(Y, X) colours 0xffRRGGBB: the hue of the depth, as bright as the light between `levels`.

    `light` (Y, X) is in counts, `place` (Y, X) the plane from 0 to `planes` - 1.
    """
    low, high = levels
    share = (light.astype(np.float32) - np.float32(low)) * np.float32(1 / max(high - low, 1e-6))
    np.clip(share, 0.0, 1.0, out=share)
    which = np.rint(np.linspace(0, 255, max(planes, 2))).astype(np.intp)
    colours = DEPTH_COLOURS[which][place.astype(np.intp)]
    painted = np.full(light.shape, 0xFF000000, np.uint32)
    for channel, shift in enumerate((16, 8, 0)):
        painted |= (colours[..., channel] * share + 0.5).astype(np.uint32) << np.uint32(shift)
    return painted
