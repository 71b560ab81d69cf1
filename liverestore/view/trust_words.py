"""The light of what can be believed, in words for the status line and the tool; no Qt."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from liverestore.trust.reference_report import score_words
from liverestore.trust.verdict import GRAVITY
from liverestore.view.status_cells import NOT_KNOWN, Cell, Tone

if TYPE_CHECKING:
    from liverestore.status import RunStatus
    from liverestore.trust.verdict import Verdict

__all__ = [
    "LAMP",
    "NOT_JUDGED_B",
    "NOT_JUDGED_PLANES",
    "detail_of",
    "reference_text",
    "trust_cell",
    "worst_of",
]

LAMP = "\u25cf"
_SHORT = {
    "green": "agrees",
    "amber": "caution",
    "red": "refuted",
    "untested": "testing",
    "unjudged": "not judged",
}
_TONES = {
    "green": Tone.GOOD,
    "amber": Tone.WARN,
    "red": Tone.ALARM,
    "untested": Tone.MUTED,
    "unjudged": Tone.MUTED,
}


NOT_JUDGED_B = Cell(
    "TRUST",
    f"{LAMP} not judged",
    Tone.MUTED,
    "The second engine is not judged, only the first one. Use B to have it judged.",
)
NOT_JUDGED_PLANES = Cell(
    "TRUST",
    f"{LAMP} not judged",
    Tone.MUTED,
    "Planes of a virtual stack are not judged, only the image that is refocused live.",
)


def worst_of(status: RunStatus | None) -> tuple[str, Verdict] | None:
    """Channel ("" where frames name none) and verdict of the channel that is worst."""
    if status is None or not status.trust:
        return None
    channel = max(status.trust, key=lambda name: GRAVITY.index(status.trust[name].level))
    return channel, status.trust[channel]


def detail_of(verdict: Verdict) -> str:
    """All that is known, a line each: reasons, then the numbers of the last test."""
    lines = [verdict.reason, *verdict.others]
    numbers = verdict.numbers
    if "detectable_e" in numbers:
        lines.append(
            f"invented spots of {numbers['detectable_e']:g} photoelectrons or more would be found "
            f"at half of all places, {numbers['frames']:.0f} frames pooled"
        )
    elif "refuted_area_share" in numbers:
        percent = 100 * numbers["refuted_area_share"]
        lines.append(
            f"seen through the microscope again, {percent:.0f} % of the areas show light that the "
            "frame does not have; spots are not tested in another plane"
        )
    elif "frames" in numbers:
        lines.append(f"{numbers['frames']:.0f} frames pooled of the 16 for a first test")
    elif verdict.level == "red":
        lines.append("such frames are not tested further, and no number of before holds for them")
    if numbers.get("invented_spots"):
        strongest = numbers.get("invented_e", 0.0)
        count = numbers["invented_spots"]
        lines.append(f"invented: {count:.0f} spots, the largest of {strongest:.0f} e")
    if numbers.get("missing_spots"):
        lines.append(f"missing: {numbers['missing_spots']:.0f} spots that the data have")
    if "residual_lag1" in numbers and "refuted_area_share" not in numbers:
        lines.append(
            f"residual: variance {numbers['residual_variance']:.2f} (noise alone 1), correlation "
            f"of neighbours {numbers['residual_lag1']:+.3f} \u00b1 "
            f"{numbers['residual_lag1_error']:.3f} (noise alone 0)"
        )
    return "\n".join(line for line in lines if line)


def reference_text(status: RunStatus | None) -> str:
    """The newest reference shot, with its date; empty without one."""
    report = status.reference if status is not None else None
    if report is None:
        return ""
    when = datetime.fromisoformat(report.taken_utc).astimezone()
    bright = "" if report.exposure_ms is None else f" ({report.exposure_ms:.4g} ms)"
    return f"Reference shot of {when:%d %b, %H:%M}{bright}: {score_words(report)}"


def trust_cell(status: RunStatus | None) -> Cell:
    """The light, its short word, and the whole text for hover and click."""
    worst = worst_of(status)
    if worst is None:
        return Cell(
            "TRUST", NOT_KNOWN, Tone.MUTED, "whether the restored image agrees with the data"
        )
    channel, verdict = worst
    detail = detail_of(verdict)
    if channel:
        detail = f"{channel}: {detail}"
    return Cell("TRUST", f"{LAMP} {_SHORT[verdict.level]}", _TONES[verdict.level], detail)
