"""Four ways to compare raw and restored: what each shows at a moment; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from liverestore.view.display import PaneState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liverestore.frame import Restored
    from liverestore.rig import CameraConfig
    from liverestore.view.display import DisplayState

__all__ = [
    "Blink",
    "Comparison",
    "Mode",
    "NoiseScale",
    "difference",
    "image_name",
    "noise_of",
    "single_pane",
]

COUNTS_CAUTION = (
    "in counts: the camera's offset, gain and read noise are not known; "
    "measure them with: liverestore calibrate"
)


ONE_CHANNEL = (
    "the difference is measured in the noise of one channel:\n"
    "click the name of a channel above, or press Ctrl and its number"
)


class Mode(Enum):
    """How the two images are compared; the values are the words on the screen."""

    SIDE_BY_SIDE = "side by side"
    CURTAIN = "curtain"
    BLINK = "blink"
    DIFFERENCE = "difference"


class Blink:
    """Alternates between raw and restored at `rate_hz` whole rounds a second.

    Time is handed in, in seconds of any one clock. Paused, it stays with what was shown.
    """

    def __init__(self, rate_hz: float = 1.0) -> None:
        self._rate_hz = rate_hz
        self._turned_at_s: float | None = None
        self.restored = False
        """Whether the restored image is the one shown."""
        self.paused = False

    @property
    def rate_hz(self) -> float:
        """Rounds (raw, then restored) a second."""
        return self._rate_hz

    @rate_hz.setter
    def rate_hz(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz

    def step(self, now_s: float) -> bool:
        """Whether the restored image is shown at `now_s`."""
        half_s = 0.5 / self._rate_hz
        if self.paused or self._turned_at_s is None:
            self._turned_at_s = now_s
        elif now_s - self._turned_at_s >= half_s:
            turns = math.floor((now_s - self._turned_at_s) / half_s)
            # After a stall it goes on from now: catching up would only flicker.
            self._turned_at_s = self._turned_at_s + half_s if turns == 1 else now_s
            self.restored = not self.restored
        return self.restored

    def swap(self) -> None:
        """Show the other one and stay there."""
        self.restored = not self.restored
        self.paused = True


@dataclass(slots=True)
class Comparison:
    """The user's choice of mode and what belongs to it."""

    mode: Mode
    blink: Blink
    edge: float = 0.5
    """Place of the curtain's edge as a share (0..1) of the image area's width: fixed to the
    screen, so that zooming never moves it out of reach."""
    limit_sd: float = 5.0
    """The difference's colours reach from minus to plus this many standard deviations."""

    def move_edge(self, edge: float) -> None:
        """Put the edge to `edge`; it stays within the image area."""
        self.edge = min(max(edge, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class NoiseScale:
    """The numbers of the camera that say how large its noise is."""

    offset_counts: float
    gain_e_per_count: float
    read_noise_e: float

    def sd_counts(self, expected: NDArray[np.generic]) -> NDArray[np.float32]:
        """Standard deviation of the counts of pixels whose mean is `expected` counts.

        Shot noise of the photoelectrons, read noise and rounding to whole counts (a twelfth
        of a count squared), the model of EMVA 1288 release 4.0, section 2.
        """
        gain = np.float32(self.gain_e_per_count)
        electrons = (expected.astype(np.float32) - np.float32(self.offset_counts)) * gain
        np.maximum(electrons, 0.0, out=electrons)
        electrons += np.float32(self.read_noise_e**2) + gain * gain / np.float32(12.0)
        sd: NDArray[np.float32] = np.sqrt(electrons, out=electrons)
        sd /= gain
        return sd


def noise_of(restored: Restored, camera: CameraConfig | None) -> NoiseScale | None:
    """The camera's numbers that `restored` was made with, else the rig's; None if unknown.

    A classical filter needs no camera model, so its provenance has none.
    """
    names = ("offset_counts", "gain_e_per_count", "read_noise_e")
    made_with = restored.provenance.parameters
    for values in (
        [made_with.get(name) for name in names],
        [getattr(camera, name, None) for name in names],
    ):
        numbers = [float(v) for v in values if isinstance(v, (int, float))]
        if len(numbers) == len(names) and numbers[1] > 0:
            return NoiseScale(*numbers)
    return None


def difference(
    raw: NDArray[np.generic], restored: NDArray[np.generic], noise: NoiseScale | None
) -> NDArray[np.float32]:
    """(raw - restored) / sigma, (Y, X) float32; in counts where `noise` is None.

    Where an engine took away nothing but noise, its standard deviation is 1 and it shows
    no structure.
    """
    apart: NDArray[np.float32] = raw.astype(np.float32)
    apart -= restored.astype(np.float32)
    if noise is not None:
        apart /= noise.sd_counts(restored)
    return apart


def single_pane(
    state: DisplayState, mode: Mode, *, restored: bool, in_counts: bool
) -> tuple[PaneState, str]:
    """What is written around the one image area of a `mode`, and its badge.

    `restored` says which image blinking shows now, `in_counts` that the difference has no
    noise to be measured by.
    """
    left, made = state.left, state.restored
    if left.image is None:
        return left, ""
    if mode is Mode.DIFFERENCE and state.composite is not None:
        return PaneState(None, "difference", "", "", waiting=ONE_CHANNEL), ""
    banner = _lines(left.banner, made.banner)
    if mode is Mode.DIFFERENCE:
        cautions = (COUNTS_CAUTION, *made.cautions) if in_counts else made.cautions
        unit = "in counts" if in_counts else "in units of the noise"
        caption = f"{left.badge or left.word} \u2212 {made.badge or made.word}, {unit}"
        return replace(
            made, title="difference", caption=caption, cautions=cautions, banner=banner, note=""
        ), ""
    if made.image is None:
        return replace(left, banner=_lines(left.banner, made.waiting)), image_name(left)
    if mode is Mode.BLINK:
        # A greyed image would blink in brightness; the banner says that it is old.
        shown = replace(made if restored else left, dimmed=False, banner=banner)
        return shown, image_name(shown)
    return (
        replace(
            left,
            title=f"{made.title} | {left.title}",
            banner=banner,
            cautions=made.cautions,
            depth=made.depth,
            dimmed=False,
            note=_both_notes(made, left),
        ),
        "",
    )


def image_name(pane: PaneState) -> str:
    """What is written into an image that shares its area with another one."""
    return pane.badge or pane.word.upper()


def _lines(*texts: str) -> str:
    return "\n".join(text for text in texts if text)


def _both_notes(made: PaneState, left: PaneState) -> str:
    """The notes of the two sides of the curtain."""
    return " | ".join(f"{pane.word} {pane.note}" for pane in (made, left) if pane.note)
