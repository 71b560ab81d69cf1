"""What the tool "Exposure" says, in words; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from liverestore.exposure_quality import Quality
from liverestore.view.light_text import dose_text, seconds_text

if TYPE_CHECKING:
    from liverestore.status_exposure import ExposureOffer, ExposureReport, ExposureResult

__all__ = [
    "CHOICES",
    "cost_text",
    "failed_text",
    "progress_text",
    "quality_of",
    "result_texts",
    "sentence",
]

Kind = Literal["raw", "share", "psnr"]
CHOICES: dict[str, Kind] = {
    "As good as raw is now": "raw",
    "A share of restored now": "share",
    "An affine PSNR": "psnr",
}
"""What is chosen in the tool, to the kind of `Quality`."""


def quality_of(choice: str, amount: float) -> Quality:
    """The quality that the tool asks for; `amount` in % or dB, where the choice has one."""
    kind = CHOICES[choice]
    if kind == "raw":
        return Quality()
    return Quality(kind, amount / 100 if kind == "share" else amount)


def cost_text(offer: ExposureOffer) -> str:
    """What a measure costs, before it is asked for."""
    if offer.present_ms is None or offer.refusal is not None:
        return ""
    now_ms = offer.present_ms
    exposures = _range(str(offer.least_exposures), str(offer.most_exposures))
    light = _range(*(seconds_text(ms / 1e3) for ms in (offer.least_ms, offer.most_ms)))
    frames = _range(*(f"{ms / now_ms:.0f}" for ms in (offer.least_ms, offer.most_ms)))
    dose = ""
    if offer.least_j_cm2 is not None:
        dose = f" ({_range(dose_text(offer.least_j_cm2), dose_text(offer.most_j_cm2))})"
    left = "" if offer.left_j_cm2 is None else f" The budget holds {dose_text(offer.left_j_cm2)}."
    return (
        f"Costs {exposures} exposures from {now_ms:.3g} down to {offer.shortest_ms:.3g} ms: "
        f"{light} of light{dose}, as much as {frames} frames of now.{left}"
    )


def _range(low: str, high: str) -> str:
    """Two numbers as one range, with the unit once where it is the same.

    >>> _range("1.5 s", "4.8 s"), _range("57", "57"), _range("40 ms", "1.2 s")
    ('1.5 to 4.8 s', '57', '40 ms to 1.2 s')
    """
    if low == high:
        return low
    (first, _, unit), (_, _, other) = low.partition(" "), high.partition(" ")
    return f"{first if unit == other else low} to {high}"


def progress_text(report: ExposureReport) -> str:
    """How far a measure is."""
    if report.state == "loading":
        return "Making the engine ready; Live goes on meanwhile"
    spent = seconds_text(report.spent_ms / 1e3)
    dose = "" if report.spent_j_cm2 is None else f", {dose_text(report.spent_j_cm2)}"
    of = f" of {report.channel}" if report.channel else ""
    return f"Exposure {report.done}{of}, {report.total} so far planned · {spent} of light{dose}"


def failed_text(report: ExposureReport) -> str:
    """Why there is no result, and what it cost nevertheless."""
    if report.failed is None:
        return ""
    text = sentence(f"not measured: {report.failed}")
    if report.spent_ms > 0:
        dose = "" if report.spent_j_cm2 is None else f" ({dose_text(report.spent_j_cm2)})"
        text += f". It cost {seconds_text(report.spent_ms / 1e3)} of light{dose}"
    return text


@dataclass(frozen=True, slots=True)
class ResultTexts:
    """One series in words."""

    advice: str
    """The one line that matters."""
    good: bool
    """Whether there is an advice."""
    rest: str
    """How sure, what it saves, what it cost; lines."""
    button: str
    """On the button that sets it; empty: there is nothing to set."""


def result_texts(found: ExposureResult) -> ResultTexts:
    """`found` in words."""
    of = f" for {found.channel}" if found.channel else ""
    if found.exposure_ms is None:
        return ResultTexts(
            sentence(f"no advice{of}: {found.refusal}"),
            False,
            "\n".join(map(sentence, found.lines)),
            "",
        )
    less = found.present_ms / found.exposure_ms
    now = f"{found.present_ms:g} ms"
    advice = f"{found.exposure_ms:g} ms{of} instead of {now}: {less:.3g} times less light"
    # The first line is the same with the quality in it, which stands above.
    lines = (f"for {found.asked} ({found.engine})", *found.lines[1:])
    return ResultTexts(
        advice, True, "\n".join(map(sentence, lines)), f"Set {found.exposure_ms:g} ms{of}"
    )


def sentence(text: str) -> str:
    """A line of the run as it stands in the window."""
    return (text[:1].upper() + text[1:]).replace("J/cm2", "J/cm²")
