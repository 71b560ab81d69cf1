"""Whether +z and -z can be told apart with the optics of a result, in plain words; no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from liverestore.optics import Optics
from liverestore.refocus import tells_sign
from liverestore.sign_of_z import sign_report

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["REMEDIES", "SignWords", "optics_in", "sign_words"]

REMEDIES = (
    "What helps: measure the objective (liverestore calibrate --psf), or record a second plane "
    "and compare."
)


@dataclass(frozen=True, slots=True)
class SignWords:
    """What is to be said all the time."""

    text: str
    short: str
    """In few words, to stand under an image."""
    doubtful: bool
    """Whether the two sides are not told apart, at all or not over all of the reach."""


def optics_in(parameters: Mapping[str, float | int | str]) -> Optics | None:
    """The optics in whose waves a result was refocused; None where it was not.

    `parameters` are those of its provenance. Raises `UserError` for optics that cannot be.
    """
    names = ("numerical_aperture", "wavelength_nm", "immersion_index", "sample_index")
    if not all(name in parameters for name in (*names, "pixel_size_um", "depth_um")):
        return None
    pairs = [part.split(":") for part in str(parameters.get("zernike_waves", "")).split(",")]
    return Optics(
        **{name: float(parameters[name]) for name in names},
        pixel_size_um=float(parameters["pixel_size_um"]),
        depth_um=float(parameters["depth_um"]),
        zernike_waves=tuple((int(pair[0]), float(pair[1])) for pair in pairs if len(pair) == 2),
    )


def sign_words(optics: Optics, reach_um: float) -> SignWords:
    """What one frame tells of the side of the focus, up to `reach_um` from it.

    Takes some tenths of a second for optics not asked for before (see `sign_report`).
    """
    if not tells_sign(optics):
        text = (
            f"{_BOTH} cannot be told apart: with these optics a frame looks the same above and "
            "below the focus. What is shown deeper may lie on the other side."
        )
        return SignWords(f"{text} {REMEDIES}", _SHORT, doubtful=True)
    report = sign_report(optics)
    within = [row for row in report.rows if row.z_um <= reach_um]
    told = set(report.told_um)
    if not any(row.z_um in told for row in within):
        best = min((row.error_point for row in within or report.rows), default=0.5)
        text = (
            f"{_BOTH} cannot be told apart: with these optics a point of {report.photons:g} "
            f"photons is put on the wrong side in {100 * best:.0f} % of frames or more, at every "
            "distance. What is shown deeper may lie on the other side."
        )
        return SignWords(f"{text} {REMEDIES}", _SHORT, doubtful=True)
    near, far = min(told), max(told)
    # Next to the focus both sides are the same picture; that is no mistake to be made.
    doubtful = reach_um > far * _ROW or any(
        near < row.z_um < far and row.z_um not in told for row in within
    )
    span = f"{near:.2g} to {min(far, reach_um):.2g} µm from focus"
    text = (
        f"{_BOTH} are told apart at {span}: a point of {report.photons:g} photons is put on the "
        "wrong side in 5 % of frames or less."
    )
    if not doubtful:
        return SignWords(text, "", doubtful=False)
    return SignWords(
        f"{text} Elsewhere what is shown deeper may lie on the other side. {REMEDIES}",
        f"{_BOTH} are told apart at {span} only. Measure the PSF (liverestore calibrate --psf) "
        "or record a second plane.",
        doubtful=True,
    )


_ROW = 2**0.5
"""The table of `sign_report` goes in these ratios."""
_BOTH = "+z and \u2212z"
_SHORT = (
    f"{_BOTH} cannot be told apart with these optics. Measure the PSF "
    "(liverestore calibrate --psf) or record a second plane."
)
