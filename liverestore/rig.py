"""One microscope, as a TOML file: what is known of its camera, optics and light.

Every physical quantity carries its unit in its name. A quantity nobody measured is
left out of the file and is None here; nothing measured has a default value.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = [
    "CameraConfig",
    "IlluminationConfig",
    "OpticsConfig",
    "RigConfig",
    "SourceConfig",
    "SpecimenConfig",
]

PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class CameraConfig(_Section):
    """How counts relate to light."""

    offset_counts: NonNegativeFloat | None = None
    """Mean of a dark frame."""
    gain_e_per_count: PositiveFloat | None = None
    """Photoelectrons per count (the "conversion factor"; 1/K of EMVA 1288)."""
    read_noise_e: NonNegativeFloat | None = None
    """Standard deviation of a dark frame, in photoelectrons."""
    bit_depth: Annotated[int, Meta(ge=8, le=16)] | None = None
    exposure_ms: PositiveFloat | None = None
    """Exposure set at the start; None leaves the camera as it is."""
    pixel_pitch_um: Annotated[float, Meta(gt=0, le=100)] | None = None
    """Edge of one pixel on the chip."""


class OpticsConfig(_Section):
    """The path from the sample to the chip."""

    pixel_size_um: Annotated[float, Meta(gt=0, le=50)] | None = None
    """Edge of one pixel in the sample."""
    numerical_aperture: Annotated[float, Meta(gt=0, lt=1.7)] | None = None
    magnification: Annotated[float, Meta(gt=0, le=250)] | None = None
    wavelength_nm: Annotated[float, Meta(ge=300, le=1100)] | None = None
    """Centre of the emission."""
    immersion_index: Annotated[float, Meta(ge=1.0, le=1.8)] | None = None
    sample_index: Annotated[float, Meta(ge=1.0, le=1.8)] | None = None
    depth_um: NonNegativeFloat | None = None
    """Depth of the focal plane below the coverslip."""


class IlluminationConfig(_Section):
    """The light on the sample."""

    irradiance_mw_cm2: PositiveFloat | None = None
    """At the sample, at the set power."""
    excitation_nm: Annotated[float, Meta(ge=300, le=1300)] | None = None
    shutter: str | None = None
    """Micro-Manager label of the shutter."""


class SpecimenConfig(_Section):
    """The simulated specimen (source kind "simulated" only)."""

    seed: int = 0
    shape: tuple[int, int] = (512, 512)
    """(Y, X) of the simulated chip in pixels."""
    peak_photons_per_ms: PositiveFloat = 4.0
    """Photoelectrons per pixel and millisecond in the brightest place in focus."""
    background_photons_per_ms: NonNegativeFloat = 0.1
    speed_um_s: NonNegativeFloat = 0.2


class SourceConfig(_Section):
    """Where frames come from."""

    kind: Literal["micromanager", "simulated", "replay"]
    mm_app_path: str | None = None
    """Folder of Micro-Manager with its device adapters; None takes the adapters that
    are installed with this package (DemoCamera and Utilities)."""
    config_file: str | None = None
    """Micro-Manager .cfg, relative to the rig file."""
    buffer_size_mb: Annotated[int, Meta(ge=16, le=1_000_000)] = 512
    focus_device: str | None = None
    properties: dict[str, dict[str, str]] = {}
    """Device label -> property -> value, set after the .cfg is loaded."""
    path: str | None = None
    """Movie to replay, relative to the rig file."""
    rate_fps: PositiveFloat | None = None
    """Replay rate; None takes the movie's own, or 10 fps where it states none."""
    loop: bool = False
    """Replay without end."""


class RigConfig(_Section):
    """A microscope. `origin` is the file it was read from, for messages and records."""

    name: str
    source: SourceConfig
    camera: CameraConfig = CameraConfig()
    optics: OpticsConfig = OpticsConfig()
    illumination: IlluminationConfig = IlluminationConfig()
    specimen: SpecimenConfig | None = None
    origin: str = ""
