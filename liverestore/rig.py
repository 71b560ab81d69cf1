"""One microscope, as a TOML file: what is known of its camera, optics and light.

Every physical quantity carries its unit in its name. A quantity nobody measured is
left out of the file and is None here; nothing measured has a default value.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from liverestore.errors import UserError
from liverestore.paths import rig_folders
from liverestore.rig_aberrations import ZernikeConfig, aberrations_inconsistency
from liverestore.rig_calibration import CalibrationConfig, calibration_inconsistency
from liverestore.rig_channels import ChannelConfig, channels_inconsistency
from liverestore.rig_followed import followed_inconsistency
from liverestore.rig_light import IlluminationConfig, light_inconsistency
from liverestore.rig_messages import broken_path, is_deep, numbers, unknown_key, wrong_value
from liverestore.rig_server import EngineServerConfig
from liverestore.rig_surfaces import from_folder, surfaces_fault

__all__ = [
    "CameraConfig",
    "ChannelConfig",
    "IlluminationConfig",
    "OpticsConfig",
    "RigConfig",
    "SourceConfig",
    "SpecimenConfig",
    "list_rigs",
    "load_rig",
    "with_movie",
]

PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
ChipSize = Annotated[int, Meta(ge=64, le=2048)]
S = TypeVar("S", bound=msgspec.Struct)
_MOST_BYTES = 1 << 20


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class CameraConfig(_Section, frozen=True):
    """How counts relate to light."""

    offset_counts: NonNegativeFloat | None = None
    """Mean of a dark frame."""
    gain_e_per_count: PositiveFloat | None = None
    """Photoelectrons per count (the "conversion factor"; 1/K of EMVA 1288)."""
    read_noise_e: NonNegativeFloat | None = None
    """Standard deviation of a dark frame, in photoelectrons."""
    row_noise_e: NonNegativeFloat | None = None
    """Part of the read noise that a whole row has in common, in photoelectrons."""
    full_well_e: PositiveFloat | None = None
    """Photoelectrons at which a pixel saturates."""
    maps: str | None = None
    """TIFF with the offset and the response of each pixel (see `camera_maps`), relative to
    the rig file."""
    bit_depth: Annotated[int, Meta(ge=8, le=16)] | None = None
    exposure_ms: PositiveFloat | None = None
    """Exposure set at the start; None leaves the camera as it is."""
    pixel_pitch_um: Annotated[float, Meta(gt=0, le=100)] | None = None
    """Edge of one pixel on the chip."""


class OpticsConfig(_Section, frozen=True):
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
    zernike_nm: ZernikeConfig | None = None
    """Aberrations of the objective, nm rms, without those of index mismatch."""
    objective: str | None = None
    """Label of its place in the turret, as Micro-Manager names it; frames through another one are
    refuted."""


class SpecimenConfig(_Section, frozen=True):
    """The simulated specimen (source kind "simulated" only)."""

    seed: NonNegativeInt = 0
    shape: tuple[ChipSize, ChipSize] = (512, 512)
    """(Y, X) of the simulated chip in pixels."""
    peak_photons_per_ms: PositiveFloat = 4.0
    """Photoelectrons per pixel and millisecond in the brightest thousandth of the
    pixels of the plane in focus at z = 0."""
    background_photons_per_ms: NonNegativeFloat = 0.1
    speed_um_s: NonNegativeFloat = 0.2


class SourceConfig(_Section, frozen=True):
    """Where frames come from."""

    kind: Literal["micromanager", "simulated", "replay", "bridge"]
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
    port: Annotated[int, Meta(ge=1024, le=65_000)] = 4827
    """Where the server of the Micro-Manager to follow listens, or on one of the next ports."""


class RigConfig(_Section, frozen=True):
    """A microscope. `origin` is the file it was read from, for messages and records."""

    name: str
    source: SourceConfig
    camera: CameraConfig = CameraConfig()
    optics: OpticsConfig = OpticsConfig()
    illumination: IlluminationConfig = IlluminationConfig()
    specimen: SpecimenConfig | None = None
    channels: tuple[ChannelConfig, ...] = ()
    """Taken in turn where there are two or more."""
    surfaces: dict[str, str] = {}
    """Name to SPEC of a surface to refocus to (see `rig_surfaces`)."""
    calibration: CalibrationConfig = CalibrationConfig()
    engine_server: EngineServerConfig | None = None
    origin: str = ""


def list_rigs() -> dict[str, Path]:
    """Names of the rigs that can be asked for by name, with their files.

    A user's rig hides a shipped one of the same name.
    """
    found: dict[str, Path] = {}
    for folder in rig_folders():
        for file in sorted(folder.glob("*.toml")):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def load_rig(name_or_path: str | Path) -> RigConfig:
    """Read one microscope from a .toml file, given its path or its name.

    Paths inside the file are resolved against the folder of the file; `origin` is set
    to the file. Raises `UserError` for anything that is wrong with it, in one line with
    the file, the field, what was got, what is allowed and what to do.
    """
    file = _find(name_or_path)
    data = _parse(file)
    problem = unknown_key(data, RigConfig) or broken_path(data)
    for path, number in numbers(data):
        if not math.isfinite(number):
            problem = problem or f"{path}: got {number}; write a finite number"
    if problem:
        raise UserError(f"rig {file}: {problem}")
    try:
        rig = msgspec.convert(data, RigConfig)
    except msgspec.ValidationError as error:
        raise UserError(f"rig {file}: {wrong_value(str(error), data, RigConfig)}") from None
    rig = msgspec.structs.replace(
        rig,
        origin=str(file),
        source=_resolved(rig.source, file.parent),
        camera=_resolved(rig.camera, file.parent),
        surfaces={name: from_folder(spec, file.parent) for name, spec in rig.surfaces.items()},
    )
    problem = _inconsistency(rig)
    if problem:
        raise UserError(f"rig {file}: {problem}")
    return rig


def with_movie(rig: RigConfig, movie: str | Path) -> RigConfig:
    """`rig` with another movie to replay. Raises `UserError` for a rig that replays nothing."""
    if rig.source.kind != "replay":
        raise UserError(
            f"rig {rig.name}: got a movie to replay, but source.kind is {rig.source.kind!r}; "
            "use the rig 'replay'"
        )
    path = Path(movie).expanduser().resolve()
    if not path.exists():
        raise UserError(f"movie {path}: no such file; give a .tif, .ome.tif or .ome.zarr movie")
    source = msgspec.structs.replace(rig.source, path=str(path))
    return msgspec.structs.replace(rig, source=source)


def _find(name_or_path: str | Path) -> Path:
    text = str(name_or_path)
    path = Path(text).expanduser()
    if path.is_file():
        if path.suffix.lower() != ".toml":
            raise UserError(
                f"rig {text}: got a {path.suffix or 'nameless'} file, allowed is a .toml file or "
                "the name of a rig; to replay a movie, copy the rig 'replay' and set source.path"
            )
        return path.resolve()
    rigs = list_rigs()
    name = path.name.removesuffix(".toml")
    if len(path.parts) == 1 and name in rigs:
        return rigs[name].resolve()
    near = difflib.get_close_matches(name, rigs, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise UserError(
        f"rig {text}: no such file or rig{hint}; rigs here: {', '.join(rigs) or 'none'}; "
        f"put your own into {rig_folders()[0]} or give a path"
    )


def _parse(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise UserError(f"rig {file}: is larger than 1 MiB, which no rig file is")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"rig {file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"rig {file}: is not UTF-8 text; save it as UTF-8") from None
    try:
        told = tomllib.loads(text)
        if is_deep(told):
            raise RecursionError
        return told
    except tomllib.TOMLDecodeError as error:
        lines = str(error).replace("\n", " ")
        hint = ""
        if "\\" in lines or "hex" in lines:
            hint = "; write Windows paths with / or in 'single quotes'"
        raise UserError(f"rig {file}: is not valid TOML: {lines}{hint}") from None
    except (RecursionError, ValueError):
        # Brackets within brackets without end, and numbers of thousands of digits.
        raise UserError(
            f"rig {file}: is not valid TOML: its brackets or numbers have no end"
        ) from None


def _resolved(section: S, folder: Path) -> S:
    paths = {
        name: str((folder / Path(value).expanduser()).resolve())
        for name in ("mm_app_path", "config_file", "path", "maps")
        if (value := getattr(section, name, None))
    }
    return msgspec.structs.replace(section, **paths)


_KEYS_OF_KIND = {
    "micromanager": ("mm_app_path", "config_file", "buffer_size_mb", "focus_device", "properties"),
    "simulated": ("buffer_size_mb",),
    "replay": ("path", "rate_fps", "loop"),
    "bridge": ("port",),
}
_NEEDED_TO_SIMULATE = {
    "camera": ("offset_counts", "gain_e_per_count", "read_noise_e", "bit_depth", "exposure_ms"),
    "optics": (
        "pixel_size_um",
        "numerical_aperture",
        "wavelength_nm",
        "immersion_index",
        "sample_index",
    ),
}


def _inconsistency(rig: RigConfig) -> str | None:
    """What a rig whose fields are each allowed still gets wrong as a whole."""
    source, optics = rig.source, rig.optics
    defaults = SourceConfig(kind=source.kind)
    for name in source.__struct_fields__[1:]:
        if name in _KEYS_OF_KIND[source.kind] or getattr(source, name) == getattr(defaults, name):
            continue
        kinds = [kind for kind, names in _KEYS_OF_KIND.items() if name in names]
        return (
            f"source.{name}: has no meaning for source.kind = {source.kind!r}, only for "
            f"{' and '.join(map(repr, kinds))}; leave it out"
        )
    na, index = optics.numerical_aperture, optics.immersion_index
    if na and index and na >= index:
        return (
            f"optics.numerical_aperture: got {na}, which no objective reaches in an immersion of "
            f"index {index}; check optics.immersion_index (air 1.0, water 1.333, oil 1.515)"
        )
    if rig.specimen is not None and source.kind != "simulated":
        return f"specimen: is only for source.kind = 'simulated', got {source.kind!r}; leave it out"
    if source.kind == "simulated":
        if rig.specimen is None:
            return "specimen: is missing; source.kind = 'simulated' needs a [specimen] table"
        for section, names in _NEEDED_TO_SIMULATE.items():
            for name in names:
                if getattr(getattr(rig, section), name) is None:
                    return f"{section}.{name}: is missing; a simulated camera cannot do without it"
    needed = {"micromanager": "config_file", "replay": "path"}.get(source.kind)
    if needed and getattr(source, needed) is None:
        return f"source.{needed}: is missing; source.kind = {source.kind!r} needs it"
    remedies = {
        "mm_app_path": "give the folder of Micro-Manager that holds its device adapters",
        "config_file": "save one with Micro-Manager's Devices > Hardware Configuration Wizard "
        "and give its path here",
        "path": "give a .tif, .ome.tif or .ome.zarr movie",
    }
    for name, remedy in remedies.items():
        value = getattr(source, name)
        if value and not Path(value).exists():
            return f"source.{name}: got {value}, which does not exist; {remedy}"
    return (
        _camera_inconsistency(rig.camera)
        or aberrations_inconsistency(optics.zernike_nm, source.kind)
        or channels_inconsistency(rig.channels, source.kind)
        or surfaces_fault(rig.surfaces)
        or calibration_inconsistency(rig.calibration, source.kind)
        or light_inconsistency(rig.illumination, rig.channels, source.kind)
        or followed_inconsistency(source.kind, rig.camera.exposure_ms, rig.illumination)
    )


def _camera_inconsistency(camera: CameraConfig) -> str | None:
    if camera.maps is None:
        return None
    for name in ("offset_counts", "gain_e_per_count", "read_noise_e"):
        if getattr(camera, name) is None:
            return f"camera.{name}: is missing; camera.maps has no meaning without it"
    if not Path(camera.maps).exists():
        return (
            f"camera.maps: got {camera.maps}, which does not exist; measure it with "
            "`liverestore calibrate`, or leave it out"
        )
    return None
