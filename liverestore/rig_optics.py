"""The optics of a microscope out of its rig file."""

from __future__ import annotations

from liverestore.errors import UserError
from liverestore.optics import Optics
from liverestore.rig import RigConfig
from liverestore.rig_aberrations import zernike_waves
from liverestore.rig_channels import ChannelConfig

__all__ = ["optics_of"]

_NEEDED = (
    "numerical_aperture",
    "wavelength_nm",
    "immersion_index",
    "sample_index",
    "pixel_size_um",
)


def optics_of(rig: RigConfig, channel: ChannelConfig | None = None) -> Optics:
    """The detection path of `rig`; a depth that it does not state is taken as 0.

    The wavelength is that of `channel` where it has its own; aberrations are paths in nm, which
    it leaves as they are. Raises `UserError` naming the
    fields that the rig leaves out.
    """
    values = {name: getattr(rig.optics, name) for name in _NEEDED}
    if channel is not None and channel.wavelength_nm is not None:
        values["wavelength_nm"] = channel.wavelength_nm
    missing = [f"optics.{name}" for name, value in values.items() if value is None]
    if missing:
        raise UserError(
            f"rig {rig.origin or rig.name}: {', '.join(missing)} missing; without it there is no "
            "point spread function; write it into the rig file"
        )
    zernike = rig.optics.zernike_nm
    return Optics(
        **values,
        depth_um=rig.optics.depth_um or 0.0,
        zernike_waves=() if zernike is None else zernike_waves(zernike, values["wavelength_nm"]),
    )
