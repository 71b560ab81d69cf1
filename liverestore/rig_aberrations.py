"""Aberrations of an objective in a rig file, by the names that microscopists use.

The coefficients are optical path in nm rms over the pupil (Noll's normalisation, J. Opt. Soc.
Am. 66, 207, 1976), which a change of wavelength leaves as they are. x runs along the rows to
the right, y downwards.
"""

from __future__ import annotations

from types import MappingProxyType

import msgspec

__all__ = ["NOLL_OF_NAME", "ZernikeConfig", "aberrations_inconsistency", "zernike_waves"]

NOLL_OF_NAME = MappingProxyType(
    {
        "astigmatism_oblique": 5,
        "astigmatism_vertical": 6,
        "coma_vertical": 7,
        "coma_horizontal": 8,
        "trefoil_vertical": 9,
        "trefoil_oblique": 10,
        "spherical": 11,
        "spherical_secondary": 22,
    }
)
"""Names of `ZernikeConfig` and of the OSA, with Noll's indices, which `Optics` takes."""


class ZernikeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Zernike coefficients of the pupil in nm rms, besides those of index mismatch."""

    astigmatism_oblique: float = 0.0
    astigmatism_vertical: float = 0.0
    coma_vertical: float = 0.0
    coma_horizontal: float = 0.0
    trefoil_vertical: float = 0.0
    trefoil_oblique: float = 0.0
    spherical: float = 0.0
    """Primary, balanced with defocus. Positive as of a sample whose index is above that of the
    immersion, such as water under an air objective."""
    spherical_secondary: float = 0.0


def zernike_waves(config: ZernikeConfig, wavelength_nm: float) -> tuple[tuple[int, float], ...]:
    """Pairs (Noll index, waves rms) of the terms that are not 0, as `Optics` takes them.

    >>> zernike_waves(ZernikeConfig(spherical=26.0), 520.0)
    ((11, 0.05),)
    """
    terms = ((noll, getattr(config, name)) for name, noll in NOLL_OF_NAME.items())
    return tuple((noll, nm / wavelength_nm) for noll, nm in terms if nm != 0.0)


def aberrations_inconsistency(config: ZernikeConfig | None, kind: str) -> str | None:
    """What a source of `kind` cannot do with these terms, or None."""
    if config is None or kind != "simulated":
        return None
    for name in NOLL_OF_NAME:
        if getattr(config, name) != 0.0 and not name.startswith("spherical"):
            return (
                f"optics.zernike_nm.{name}: the simulated microscope knows spherical terms alone; "
                "leave it out"
            )
    return None
