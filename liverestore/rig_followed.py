"""What the rig of a Micro-Manager that is followed may not ask for: it drives nothing."""

from __future__ import annotations

from liverestore.errors import UserError
from liverestore.rig_light import IlluminationConfig

__all__ = ["followed_inconsistency", "refuse_followed"]


def followed_inconsistency(
    kind: str, exposure_ms: float | None, light: IlluminationConfig
) -> str | None:
    """What is wrong with a rig whose source is of `kind` "bridge"; None if nothing."""
    if kind != "bridge":
        return None
    asked = {
        "camera.exposure_ms": exposure_ms,
        "illumination.shutter": light.shutter,
        "illumination.budget_j_cm2": light.budget_j_cm2,
        "illumination.session_budget_j_cm2": light.session_budget_j_cm2,
        "illumination.reference_every": light.reference_every,
    }
    for name, value in asked.items():
        if value is not None:
            return (
                f"{name}: has no meaning for source.kind = 'bridge', where Micro-Manager drives "
                "the camera and the light; leave it out"
            )
    return None


def refuse_followed(rig: str, kind: str) -> None:
    """Raises `UserError` where a camera is to be driven and the source of `rig` is of `kind`
    "bridge".
    """
    if kind == "bridge":
        raise UserError(
            f"rig {rig}: source.kind is 'bridge', which follows a running Micro-Manager and never "
            "drives its camera; close Micro-Manager and name a rig with its configuration file, "
            "source.kind 'micromanager'"
        )
