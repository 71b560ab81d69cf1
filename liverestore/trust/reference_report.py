"""What a reference shot said of an engine, and what follows for the light of its pictures."""

from __future__ import annotations

import math

import msgspec

from liverestore.trust.verdict import Verdict

__all__ = ["ReferenceReport", "numbers_of", "score_words", "with_reference"]


class ReferenceReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reference shot said of an engine, or why it says nothing."""

    number: int
    """Of the shot in the run."""
    taken_utc: str
    """ISO 8601."""
    exposure_ms: float | None
    engine: str
    sha256: str = ""
    """Of the engine's weights."""
    not_scored: str = ""
    """Why, in words; then there are no figures."""
    error_e: float | None = None
    """Root mean square error of a pixel of the picture, without the noise of the reference, in
    photoelectrons of the frame; of the raw frame:"""
    raw_error_e: float | None = None
    psnr_db: float | None = None
    """Affine, against the reference with its noise; so are the next two."""
    ssim: float | None = None
    frc_px: float | None = None
    """As in `ReferenceScore`; None where they share no detail."""

    @property
    def gain_db(self) -> float | None:
        """By how much the picture is nearer to the sample than the raw frame; below 0: farther."""
        if self.error_e is None or self.raw_error_e is None:
            return None
        return 20 * math.log10(self.raw_error_e / self.error_e)


def numbers_of(report: ReferenceReport) -> dict[str, float | int | str]:
    """What the record of a frame keeps of the newest `report` on its engine."""
    if report.not_scored:
        return {"reference": report.number, "reference_not_scored": report.not_scored}
    figures = {
        "reference_gain_db": report.gain_db,
        "reference_error_e": report.error_e,
        "reference_raw_error_e": report.raw_error_e,
        "reference_psnr_db": report.psnr_db,
        "reference_ssim": report.ssim,
        "reference_frc_px": report.frc_px,
    }
    kept = {name: round(value, 4) for name, value in figures.items() if value is not None}
    return {"reference": report.number, "reference_utc": report.taken_utc, **kept}


def score_words(report: ReferenceReport) -> str:
    """What came of the shot, for people, without its date."""
    gain_db = report.gain_db
    if gain_db is None:
        return f"{report.not_scored}, not scored"
    side = "nearer to" if gain_db >= 0 else "farther from"
    frc = "" if report.frc_px is None else f", detail down to {report.frc_px:.1f} px"
    return (
        f"pictures of {report.engine} are {abs(gain_db):.1f} dB {side} the sample than raw frames "
        f"(error {report.error_e:.2g} e a pixel, raw {report.raw_error_e:.2g} e); SSIM "
        f"{report.ssim:.2f}{frc}"
    )


def with_reference(verdict: Verdict, report: ReferenceReport | None) -> Verdict:
    """`verdict`, at least amber where the reference shot found the engine worse than nothing."""
    gain_db = report.gain_db if report is not None else None
    if gain_db is None or gain_db >= 0:
        return verdict
    words = (
        f"a reference shot of this sample: the picture is {-gain_db:.1f} dB farther from it than "
        "the raw frame"
    )
    if verdict.level in ("amber", "red"):
        return msgspec.structs.replace(verdict, others=(*verdict.others, words))
    return msgspec.structs.replace(verdict, level="amber", reason=words)
