"""What is to be painted, resolved without Qt: a frozen state that the window applies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from liverestore.frame import Frame
from liverestore.view.cautions import gathered
from liverestore.view.fault_cells import still_text
from liverestore.view.moment import moment_of
from liverestore.view.pairing import EngineSign, Shown
from liverestore.view.refocus_surface import surface_words
from liverestore.view.saturation_marks import marks_text
from liverestore.view.status_cells import Cell, Tone, count_text, duration_text, runtime_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liverestore.frame import FrameHeader, Restored
    from liverestore.rig import CameraConfig
    from liverestore.status import RunStatus
    from liverestore.view.composite import Layers
    from liverestore.view.levels import Levels
    from liverestore.view.moment import Moment

__all__ = [
    "Composite",
    "DisplayState",
    "PaneState",
    "both_readouts",
    "composite_readout",
    "photoelectrons",
    "readout",
    "resolve",
    "result_pane",
]


@dataclass(frozen=True, slots=True, eq=False)
class PaneState:
    """One pane: an image or the reason why there is none, and what is written around it."""

    image: Frame | Restored | None
    title: str
    caption: str
    frame_label: str
    waiting: str = ""
    """Said in the middle of an empty pane."""
    details: str = ""
    """Said under the image where there is no read-out."""
    banner: str = ""
    """Said over the image when it is not what one would take it for."""
    cautions: tuple[str, ...] = ()
    """What the data cannot support, in the engine's words."""
    dimmed: bool = False
    word: str = ""
    """What the image is called where both are named: raw, restored, A or B."""
    badge: str = ""
    """Written into the corner of an image that is not where one would look for it."""
    depth: str = ""
    """Written into the image: to where it was refocused."""
    note: str = ""
    """Said under the image: what of its display is not as one would take it for."""
    moment: Moment | None = None
    """When the frame was captured."""


@dataclass(frozen=True, slots=True, eq=False)
class Composite:
    """Several channels in one picture, left and restored."""

    left: Layers | None
    """None where no channel has an image."""
    restored: Layers | None
    left_images: Mapping[str, Frame | Restored]
    """By the names of the channels, in their order."""
    restored_images: Mapping[str, Frame | Restored]


@dataclass(frozen=True, slots=True, eq=False)
class DisplayState:
    """All that the window paints. The LUT is the same for both panes."""

    raw: PaneState
    restored: PaneState
    left: PaneState
    """What the restored image is compared with: `raw`, or the result of a second engine."""
    levels: Levels | None
    """Of the restored image; also of the raw one, unless it has its own."""
    lut: str
    pixel_size_um: float | None
    cells: tuple[Cell, ...]
    notices: tuple[str, ...]
    run_text: str
    run_tone: Tone
    own_raw_levels: Levels | None = None
    """Of the raw image where the levels are separate: equal brightness then does not mean
    equal counts."""
    mark_saturated: bool = False
    channels: int = 1
    """Of the rig; each gets every so many-th frame number."""
    composite: Composite | None = None
    """Painted instead of the images of both panes, which are then those of one channel."""

    @property
    def raw_levels(self) -> Levels | None:
        """Levels (counts) that the raw image is shown with."""
        return self.levels if self.own_raw_levels is None else self.own_raw_levels

    @property
    def header(self) -> FrameHeader | None:
        """Of the raw frame on the screen."""
        return None if self.raw_frame is None else self.raw_frame.header

    @property
    def measured_words(self) -> tuple[str, str]:
        """What tools call the raw and the restored image, which they measure also while a second
        engine's result is seen in the place of raw.
        """
        seen = self.left.image is None or isinstance(self.left.image, Frame)
        return "raw" if seen else f"raw, not {self.left.word}", self.restored.word or "restored"

    @property
    def raw_frame(self) -> Frame | None:
        """The camera's frame, also where a second engine's result is seen in its place."""
        return self.raw.image if isinstance(self.raw.image, Frame) else None


def _frame_label(header: FrameHeader) -> str:
    return f"frame {count_text(header.number)}"


def _raw_pane(shown: Shown, status: RunStatus | None) -> PaneState:
    frame, paused = shown.raw, still_text(status)
    if frame is None:
        source = f" of {status.rig}" if status is not None else ""
        waiting = f"waiting for the first frame{source}"
        if status is not None and status.state in ("stopped", "failed"):
            waiting = f"the run has {status.state}; no frame arrived"
        elif paused:
            waiting = paused
        return PaneState(None, "raw", "", "", waiting=waiting, word="raw")
    header = frame.header
    facts = [header.camera]
    if header.channel:
        facts.append(header.channel)
    if header.exposure_ms is not None:
        facts.append(f"{header.exposure_ms:g} ms")
    if header.z_um is not None:
        facts.append(f"z {header.z_um:.2f} µm")
    return PaneState(
        frame,
        "raw",
        " · ".join(facts),
        _frame_label(header),
        details=_size_text(header),
        banner=paused,
        word="raw",
        moment=moment_of(header),
    )


def _size_text(header: FrameHeader) -> str:
    height, width = header.shape
    text = f"{width} x {height} {header.dtype}"
    if header.bit_depth is not None:
        text += f", {header.bit_depth} bit"
    if header.binning is not None and header.binning > 1:
        text += f", binning {header.binning}"
    if header.pixel_size_um is not None:
        text += f", {header.pixel_size_um:.4g} µm per pixel"
    return text


def _saved_text(status: RunStatus | None) -> str:
    """What is true of the raw frames while nothing is restored; never a promise."""
    if status is None:
        return ""
    if status.recording is None:
        return ", nothing is being saved"
    return ", frames are still recorded"


def _restored_pane(shown: Shown, status: RunStatus | None) -> PaneState:
    running = status is None or status.state in ("starting", "running")
    restored = shown.restored
    if restored is None:
        engine = f" of {status.engine}" if status is not None and status.engine else ""
        waiting = f"waiting for the first restored frame{engine}"
        if not running:
            waiting = "the run has ended without a restored frame"
        elif shown.raw is not None:
            waiting += f"\nraw only{_saved_text(status)}"
        return PaneState(None, "restored", "", "", waiting=waiting, word="restored")
    number = _frame_label(restored.source.header)
    banner = ""
    # While it makes a stack of a frame, an engine is silent for as long as that takes.
    stacking = status is not None and status.zstack is not None
    silent = running and shown.engine is EngineSign.SILENT and not stacking
    late = shown.engine in (EngineSign.BEHIND, EngineSign.SILENT)
    if silent:
        banner = f"engine not answering - raw only{_saved_text(status)}\nlast result: {number}"
    elif running and late and shown.raw is not None:
        behind_ms = (shown.raw.header.captured_ns - restored.source.header.captured_ns) / 1e6
        banner = f"this image is {duration_text(max(0.0, behind_ms))} older than the raw one"
        banner += "\nthe engine is computing a virtual stack" if stacking else ""
    pane = result_pane(restored, "restored")
    loading = status.loading if status is not None else None
    return replace(
        pane,
        caption=f"{pane.caption} · loading {loading} …" if loading else pane.caption,
        banner=banner,
        dimmed=silent,
    )


def result_pane(restored: Restored, word: str) -> PaneState:
    """What is written around `restored`, which is called `word` beside the other image."""
    made = restored.provenance
    return PaneState(
        restored,
        f"{made.engine} {made.version}".strip(),
        runtime_text(made.runtime),
        _frame_label(restored.source.header),
        details=f"made in {duration_text((made.finished_ns - made.started_ns) / 1e6)}",
        cautions=gathered(made.warnings),
        depth=surface_words(made.parameters),
        word=word,
        moment=moment_of(restored.source.header),
    )


def _run(status: RunStatus | None) -> tuple[str, Tone]:
    if status is None:
        return "connecting", Tone.MUTED
    tone = {"running": Tone.NORMAL, "failed": Tone.ALARM}.get(status.state, Tone.MUTED)
    paused = status.state == "running" and not status.live
    word = "paused" if paused else "measuring" if status.measuring else status.state
    return f"{status.rig} · {word}", tone


def resolve(
    shown: Shown,
    status: RunStatus | None,
    numbers: tuple[Cell, ...],
    *,
    levels: Levels | None,
    lut: str,
    raw_levels: Levels | None = None,
    mark_saturated: bool = False,
    notices: tuple[str, ...] = (),
) -> DisplayState:
    """All that belongs on the screen.

    `raw_levels` are given where the raw image does not share `levels`.
    `numbers` come from `cells`, which may run at a slower rate; `notices` are the view's
    own and stand after those of the run.
    """
    run_text, run_tone = _run(status)
    raw, restored = _raw_pane(shown, status), _restored_pane(shown, status)
    separate = raw_levels is not None
    raw = replace(raw, note=_note(shown.raw, raw_levels, separate, mark_saturated))
    return DisplayState(
        raw=raw,
        left=raw,
        restored=replace(restored, note=_note(None, levels, separate, False)),
        levels=levels,
        lut=lut,
        pixel_size_um=None if shown.raw is None else shown.raw.header.pixel_size_um,
        cells=numbers,
        notices=(*(status.notices if status is not None else ()), *notices),
        run_text=run_text,
        run_tone=run_tone,
        own_raw_levels=raw_levels,
        mark_saturated=mark_saturated,
    )


def _note(marked: Frame | None, levels: Levels | None, separate: bool, mark: bool) -> str:
    parts = []
    if separate and levels is not None:
        parts.append(f"own levels {levels[0]:.6g} \u2013 {levels[1]:.6g}")
    if mark and marked is not None:
        parts.append(marks_text(marked))
    return " \u00b7 ".join(parts)


def photoelectrons(counts: float, camera: CameraConfig | None) -> float | None:
    """`counts` in photoelectrons by the camera's offset and gain; None where not known."""
    if camera is None or camera.offset_counts is None or camera.gain_e_per_count is None:
        return None
    return (counts - camera.offset_counts) * camera.gain_e_per_count


def readout(frame: Frame | Restored | None, x: int, y: int, camera: CameraConfig | None) -> str:
    """Text for the pixel in column `x` and row `y`; empty outside of the image."""
    if frame is None:
        return ""
    height, width = frame.pixels.shape
    if not (0 <= x < width and 0 <= y < height):
        return ""
    value = float(frame.pixels[y, x])
    whole = frame.pixels.dtype.kind in "ui"
    text = f"x {x}  y {y}    " + (f"{value:.0f} counts" if whole else f"{value:.6g} counts")
    electrons = photoelectrons(value, camera)
    return text if electrons is None else f"{text}    {electrons:.1f} e⁻"


def both_readouts(
    left: PaneState, restored: PaneState, x: int, y: int, camera: CameraConfig | None
) -> str:
    """Text for the pixel in column `x` and row `y` of both images; empty outside."""
    first, second = readout(left.image, x, y, camera), readout(restored.image, x, y, camera)
    if not (first and second):
        return first or second
    place = f"x {x}  y {y}    "
    # Closer together than where an image has a line of its own: it has to fit into one.
    values = [" ".join(text.removeprefix(place).split()) for text in (first, second)]
    return f"{place}{left.word} {values[0]}    {restored.word} {values[1]}"


def composite_readout(
    composite: Composite, words: tuple[str, str], x: int, y: int, camera: CameraConfig | None
) -> str:
    """Text for the pixel in column `x` and row `y` of every channel; empty outside.

    `words` are what the left and the restored image are called; an image without a word is
    left out, and beside a single one the name of its channel is enough.
    """
    place = f"x {x}  y {y}    "
    images = (composite.left_images, composite.restored_images)
    parts = []
    for name in composite.left_images:
        values = []
        for word, of in zip(words, images, strict=True):
            text = readout(of.get(name), x, y, camera).removeprefix(place) if word else ""
            if text:
                label = f"{word} " if all(words) else ""
                values.append(label + " ".join(text.split()))
        if values:
            parts.append(f"{name} " + "  ".join(values))
    return place + "    ".join(parts) if parts else ""
