"""What an engine expects and promises, read from its package in `engines/<name>/rdf.yaml`.

A package follows the BioImage Model Zoo (format 0.5); what live use needs beyond that stands
in its `config: liverestore:` block; of other models of the zoo it is taken from their own card
and from how they were checked when they were installed. The classical filters `mean5` and
`median5` are engines too, without a package; `null` copies its input and serves tests of
everything around it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from liverestore.errors import UserError
from liverestore.frame import PIXEL_DTYPES, FrameHeader
from liverestore.model_card import inside, read_card, word_of
from liverestore.paths import engine_folders
from liverestore.zoo_model import ZooModel
from liverestore.zoo_record import installed_zoo, is_zoo_card

__all__ = [
    "BUILT_IN",
    "MAX_WEIGHTS_BYTES",
    "SHARPENING",
    "ModelSpec",
    "TrainedOptics",
    "engine_problems",
    "find_engine",
    "list_engines",
    "live_engines",
]

_MOST_SAID = 200
"""Characters of a name that is not known."""

Domain = Literal["stabilised", "counts"]
DpmUnit = Literal["waves of defocus at the rim of the pupil"]
Range = tuple[float, float]

MAX_WEIGHTS_BYTES = 1 << 30
_REFOCUSING = ("refocus", "confocal-refocus")
SHARPENING = ("confocal-refocus", "widefield-to-confocal", "confocal-to-sted")
"""Tasks whose results show more detail than the frame does."""


class TrainedOptics(msgspec.Struct, frozen=True, kw_only=True):
    """Ranges (lowest, highest) of the microscopes that a network was trained for.

    A single number in the card is a range of no width; None: the card does not say.
    """

    numerical_aperture: Range | float | None = None
    wavelength_nm: Range | float | None = None
    immersion_index: Range | float | None = None
    sample_index: Range | float | None = None
    depth_um: Range | float | None = None

    def ranges(self) -> dict[str, Range]:
        """Name of each field of `optics.Optics` that the card knows -> its range."""
        found: dict[str, Range] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None:
                found[name] = value if isinstance(value, tuple) else (value, value)
        return found


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One engine: its identity, its weights, and the frames it is made for."""

    name: str
    task: str
    """"denoise", "refocus", "confocal-refocus" (to a confocal picture of the plane wanted), or
    another word of the field."""
    version: str
    description: str
    weights: Path | None = None
    """ONNX file; None for a filter that has none."""
    sha256: str = ""
    """Of the weights file; empty without one."""
    domain: Domain = "stabilised"
    """What the network sees: variance-stabilised values of unit noise, or plain counts."""
    photon_range_e: tuple[float, float] | None = None
    """Photoelectrons at the brightest place that it was trained for."""
    pixel_size_range_um: tuple[float, float] | None = None
    """Edge of a pixel in the sample that it was trained for."""
    divisor: int = 1
    """Y and X of what the network gets are multiples of this."""
    halo_px: int = 0
    """Overlap that makes tiles exact; at least the receptive field's reach."""
    reach_um: float | None = None
    """Farthest distance from the plane in focus that it was trained for; None unless it
    refocuses."""
    optics: TrainedOptics | None = None
    """Microscopes that it was trained for; None where the card does not say."""
    zoo: ZooModel | None = None
    """How a model of the zoo that was not made by this program is used; None for all others."""
    folder: Path | None = None
    details: dict[str, Any] = field(default_factory=dict, compare=False)
    """The whole `config: liverestore:` block: training, hardware, scores, limits of use."""

    @property
    def refocuses(self) -> bool:
        """Whether it takes a distance for each pixel (a DPM) besides the picture."""
        return self.task in _REFOCUSING

    @property
    def counts_out(self) -> bool:
        """Whether what leaves is counts, on the scale of the raw frame."""
        return self.zoo is None or self.zoo.values == "counts"

    @property
    def sections(self) -> bool:
        """Whether what it makes is a confocal picture of the plane wanted (Deep-Z+)."""
        return self.task == "confocal-refocus"

    @property
    def channels(self) -> int:
        """Planes of its input: the picture and, where it refocuses, the DPM."""
        return 2 if self.refocuses else 1

    def mismatch(self, header: FrameHeader) -> str | None:
        """Why frames like this cannot be restored by this engine, or None when they can."""
        if header.dtype not in PIXEL_DTYPES:
            return (
                f"engine '{self.name}' got {header.dtype} pixels; it takes "
                f"{', '.join(PIXEL_DTYPES)}; convert the frames first"
            )
        if min(header.shape) < 1:
            return f"engine '{self.name}' got an empty frame {header.shape}; set a larger ROI"
        return None

    def warnings_for(self, header: FrameHeader) -> tuple[str, ...]:
        """What speaks against, but does not forbid, frames like this."""
        span, size = self.pixel_size_range_um, header.pixel_size_um
        if span is not None and size is not None and not span[0] <= size <= span[1]:
            return (
                f"pixels of {size:g} um: engine '{self.name}' was trained for "
                f"{span[0]:g} to {span[1]:g} um",
            )
        return ()

    def padded(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The smallest (Y, X) that holds `shape` and that the network takes."""
        if self.zoo is not None:
            return self.zoo.padded(shape)
        y, x = (-(-n // self.divisor) * self.divisor for n in shape)
        return y, x

    def window(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(Y, X) that the network gets at once for a frame of `shape`, unless it is huge."""
        return self.padded(shape) if self.zoo is None else self.zoo.window(shape)

    def check_weights(self) -> None:
        """Compare the weights with their sha256; `UserError` when they differ or are gone."""
        if self.weights is None:
            return
        if not self.weights.is_file():
            raise UserError(
                f"engine '{self.name}': {self.weights} is missing; install the engine again"
            )
        size = self.weights.stat().st_size
        if size > MAX_WEIGHTS_BYTES:
            raise UserError(
                f"engine '{self.name}': {self.weights.name} has {size >> 20} MiB; allowed are up "
                f"to {MAX_WEIGHTS_BYTES >> 20} MiB"
            )
        with self.weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise UserError(
                f"engine '{self.name}': {self.weights.name} has the sha256 {found[:12]}..., but "
                f"rdf.yaml says {self.sha256[:12]}...; install the engine again"
            )


BUILT_IN: dict[str, ModelSpec] = {
    "mean5": ModelSpec(
        name="mean5",
        task="denoise",
        version="1",
        description="Mean of 5x5 pixels, mirrored borders: a classical filter to compare with.",
        domain="counts",
        halo_px=2,
    ),
    "median5": ModelSpec(
        name="median5",
        task="denoise",
        version="1",
        description="Median of 5x5 pixels, mirrored borders: a classical filter to compare with.",
        domain="counts",
        halo_px=2,
    ),
    "null": ModelSpec(
        name="null",
        task="test",
        version="1",
        description="Copies its input; for tests of everything around an engine.",
        domain="counts",
    ),
}
_HIDDEN = {"null"}


class _Live(msgspec.Struct, frozen=True, kw_only=True):
    """What must stand in the `config: liverestore:` block; more may."""

    task: str
    input: Domain
    divisor: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    halo_px: Annotated[int, msgspec.Meta(ge=0, le=4096)]
    photon_range_e: tuple[float, float] | None = None
    pixel_size_range_um: tuple[float, float] | None = None
    dpm: DpmUnit | None = None
    """Unit of the second channel."""
    reach_um: Annotated[float, msgspec.Meta(gt=0)] | None = None
    optics: TrainedOptics | None = None


def _read(folder: Path) -> ModelSpec:
    """The package in `folder`; `UserError` naming file and field when it is malformed."""
    file = folder / "rdf.yaml"
    try:
        rdf = yaml.safe_load(read_card(file))
        if is_zoo_card(rdf):
            return ModelSpec(name=folder.name, folder=folder, **installed_zoo(folder, rdf))
        block = rdf["config"]["liverestore"]
        onnx = rdf["weights"]["onnx"]
        live = msgspec.convert(block, _Live)
        if live.task in _REFOCUSING and (live.dpm is None or live.reach_um is None):
            raise UserError(
                f"engine '{folder.name}': {file}, config: liverestore: the task {live.task} needs "
                "dpm and reach_um, the unit of its second channel and how far it may refocus; "
                "export the engine again"
            )
        return ModelSpec(
            name=folder.name,
            task=live.task,
            version=word_of(rdf, "version"),
            description=word_of(rdf, "description"),
            weights=inside(folder, word_of(onnx, "source")),
            sha256=word_of(onnx, "sha256"),
            domain=live.input,
            photon_range_e=live.photon_range_e,
            pixel_size_range_um=live.pixel_size_range_um,
            divisor=live.divisor,
            halo_px=live.halo_px,
            reach_um=live.reach_um,
            optics=live.optics,
            folder=folder,
            details=block,
        )
    except OSError as error:
        raise UserError(f"engine '{folder.name}': cannot read {file}: {error.strerror}") from error
    except yaml.YAMLError as error:
        line = str(error).replace("\n", " ")
        raise UserError(f"engine '{folder.name}': {file} is no YAML: {line}") from error
    except msgspec.ValidationError as error:
        raise UserError(f"engine '{folder.name}': {file}, config: liverestore: {error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"engine '{folder.name}': {file} is no YAML: it is no UTF-8 text, has a date that is "
            "none, or brackets without end"
        ) from error
    except (KeyError, TypeError) as error:
        raise UserError(
            f"engine '{folder.name}': {file} lacks {error}; it must be a BioImage Model Zoo "
            "package with ONNX weights and a config: liverestore: block"
        ) from error


def _folders() -> dict[str, Path]:
    """Installed packages by name; the user's own hide shipped ones of the same name."""
    found: dict[str, Path] = {}
    for root in engine_folders():
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                # Those that begin with a dot are being installed.
                if not folder.name.startswith(".") and (folder / "rdf.yaml").is_file():
                    found.setdefault(folder.name, folder)
    return found


def list_engines() -> list[ModelSpec]:
    """Every installed engine that can be read, packages first, by name.

    Weights are not checked here (`find_engine` does); `engine_problems` tells of packages
    that cannot be read.
    """
    specs = []
    for folder in _folders().values():
        try:
            specs.append(_read(folder))
        except UserError:
            continue
    specs.sort(key=lambda spec: spec.name)
    return specs + [spec for name, spec in BUILT_IN.items() if name not in _HIDDEN]


def live_engines() -> list[str]:
    """Names of the installed engines that a live view offers: all that can be read."""
    return [spec.name for spec in list_engines()]


def engine_problems() -> dict[str, str]:
    """Name of each installed package that cannot be used -> the reason, in one line."""
    problems: dict[str, str] = {}
    for name, folder in _folders().items():
        try:
            _read(folder).check_weights()
        except UserError as error:
            problems[name] = str(error)
    return problems


def find_engine(name: str) -> ModelSpec:
    """The engine called `name`, or the package in the folder `name`, its weights checked.

    An installed engine comes before a folder of the same name. Raises `UserError` when there
    is none, or it is malformed or damaged (its sha256 is another).
    """
    folder = _folders().get(name)
    if folder is None and name in BUILT_IN:
        return BUILT_IN[name]
    try:
        if folder is None and (Path(name).expanduser() / "rdf.yaml").is_file():
            folder = Path(name).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):
        pass  # no file name: too long, with a null in it, or of a user that is not there
    if folder is not None:
        spec = _read(folder)
        spec.check_weights()
        return spec
    known = [spec.name for spec in list_engines()]
    raise UserError(
        f"engine '{name[:_MOST_SAID]}' is not installed and is no folder of a package; installed: "
        f"{', '.join(known)}"
    )
