"""The account of light in words: the cell of the status line and the lines of the tool; no Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from liverestore.dose_meter import WARN_SHARE
from liverestore.view.cell import NOT_KNOWN, Cell, Tone, count_text

if TYPE_CHECKING:
    from liverestore.status import RunStatus
    from liverestore.status_light import LightReport

__all__ = ["LightTexts", "dose_text", "light_cell", "light_texts", "paused_text", "seconds_text"]

_UNITS = ((1.0, "J/cm²"), (1e-3, "mJ/cm²"), (1e-6, "µJ/cm²"))
_UNMEASURED = "The rig states no irradiance: the time is known, the dose is not."
_UNSWITCHED = (
    "The configuration has no shutter: light that falls while the camera is paused is not counted."
)


def dose_text(j_cm2: float | None) -> str:
    """Three digits and the unit that suits them.

    >>> dose_text(1.2345), dose_text(0.01), dose_text(3.2e-6), dose_text(0.0), dose_text(None)
    ('1.23 J/cm²', '10 mJ/cm²', '3.2 µJ/cm²', '0 J/cm²', '–')
    """
    if j_cm2 is None:
        return NOT_KNOWN
    if j_cm2 == 0:
        return "0 J/cm²"
    # What is written as 1000 of a unit belongs to the next one.
    rounded = float(f"{j_cm2:.3g}")
    size, unit = next((one for one in _UNITS if rounded >= one[0]), _UNITS[-1])
    number = rounded / size
    decimals = max(0, 2 - math.floor(math.log10(number))) if number > 0 else 0
    text = f"{number:.{decimals}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def seconds_text(seconds: float) -> str:
    """A time that light was on.

    >>> seconds_text(0.0401), seconds_text(12.34), seconds_text(754), seconds_text(7300)
    ('40 ms', '12.3 s', '12 min 34 s', '2 h 01 min')
    """
    if seconds < 1:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _tone(light: LightReport) -> Tone:
    if light.stopped:
        return Tone.ALARM
    spent = light.spent_share is not None and light.spent_share >= WARN_SHARE
    return Tone.WARN if spent else Tone.NORMAL


def light_cell(status: RunStatus | None) -> Cell:
    """What the field on the screen has got."""
    light = status.light if status is not None else None
    if light is None:
        return Cell("LIGHT", NOT_KNOWN, Tone.MUTED, "light that the sample got: none is counted")
    if light.session_j_cm2 is None or light.field_j_cm2 is None:
        detail = f"light was on for {seconds_text(light.field_on_s)} on this field\n{_UNMEASURED}"
        return Cell("LIGHT", seconds_text(light.field_on_s), detail=detail)
    detail = (
        f"{dose_text(light.field_j_cm2)} on field {light.field}\n"
        f"{dose_text(light.session_j_cm2)} in this session"
    )
    aside = ""
    if light.spent_share is not None:
        aside = f"{_percent(light.spent_share)} %"
        detail += f"\n{aside} of the budget"
    return Cell("LIGHT", dose_text(light.field_j_cm2), _tone(light), detail, aside)


@dataclass(frozen=True, slots=True)
class LightTexts:
    """The lines of the tool."""

    rows: tuple[tuple[str, str], ...]
    """Name and value."""
    share: float | None
    """Of the budget (0..1); None without one."""
    tone: Tone
    budget: str
    """Beside the bar."""
    remark: str


def light_texts(light: LightReport, *, live: bool) -> LightTexts:
    """What the tool says of `light`."""
    measured = light.session_j_cm2 is not None and light.field_j_cm2 is not None
    on = "" if light.frame_on_ms is None else f"{light.frame_on_ms:.4g} ms"
    frame = f"{dose_text(light.frame_j_cm2)} in {on}" if measured and on else on or NOT_KNOWN
    fields = "1 field" if light.fields == 1 else f"{light.fields} fields"
    if measured:
        field, session = dose_text(light.field_j_cm2), dose_text(light.session_j_cm2)
        rate = NOT_KNOWN if light.j_cm2_per_hour is None else dose_text(light.j_cm2_per_hour)
    else:
        field, session = seconds_text(light.field_on_s), seconds_text(light.session_on_s)
        rate = NOT_KNOWN
    share = NOT_KNOWN if light.on_share is None else f"{100 * light.on_share:.0f} % of the time"
    rows = (
        ("Last frame", frame),
        (f"Field {light.field}", field),
        (f"Session, {fields}", session),
        ("Exposures", count_text(light.exposures)),
        ("Light on", share),
        ("In an hour at this rate", rate),
        ("Shutter", _shutter(light, live=live)),
        ("Since", _since(light.began_utc)),
    )
    remarks = []
    if not measured:
        remarks.append(_UNMEASURED)
    elif light.unmeasured_s > 0:
        remarks.append(
            f"{seconds_text(light.unmeasured_s)} of light of unknown irradiance is in no dose."
        )
    if light.shutter is None and not light.triggered:
        remarks.append(_UNSWITCHED)
    budget = ""
    if light.spent_share is not None:
        budget = f"{_percent(light.spent_share)} % used"
    return LightTexts(rows, light.spent_share, _tone(light), budget, "\n".join(remarks))


def paused_text(light: LightReport | None, *, followed: bool = False) -> str:
    """What is said over the image of a paused camera: whether light still falls. `followed`:
    another program drives it.
    """
    if followed:
        return "not following - the light stays as Micro-Manager has it; Live follows again"
    if light is None or light.triggered or light.shutter_open is False:
        return "paused - no light on the sample; Snap or Live"
    if light.shutter is None:
        return "paused - no shutter is known: see that the light is off; Snap or Live"
    if light.shutter_open:
        return f"paused - the shutter {light.shutter} is OPEN: light falls on the sample"
    return f"paused - the shutter {light.shutter} does not answer: see that the light is off"


def _percent(share: float) -> int:
    # Never 100 before it is used up.
    return math.floor(100 * share + 1e-9)


def _shutter(light: LightReport, *, live: bool) -> str:
    if light.shutter is None:
        return "none"
    if live or light.shutter_open is None:
        return light.shutter
    return f"{light.shutter}: {'OPEN' if light.shutter_open else 'closed'}"


def _since(began_utc: str | None) -> str:
    if began_utc is None:
        return NOT_KNOWN
    return f"{datetime.fromisoformat(began_utc).astimezone():%d %b, %H:%M}"
