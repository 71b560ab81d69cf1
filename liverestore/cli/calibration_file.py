"""Where a calibration is kept: a copy of the rig file, or that file itself, and its maps."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from liverestore.camera_maps import CameraMaps, save_maps
from liverestore.cli.rig_edit import Value, edited, read_rig_text, write_rig_text
from liverestore.errors import UserError
from liverestore.paths import shipped
from liverestore.photon_transfer import Measured
from liverestore.rig import RigConfig, load_rig

__all__ = ["Kept", "KeptOptics", "Target", "keep", "keep_optics", "keep_text", "target_of"]

_MARKER, _BEADS = "Calibrated", "Beads"
_PATHS = ("mm_app_path", "config_file", "path")


@dataclass(frozen=True, slots=True)
class Target:
    """Files that will be written."""

    rig: Path
    maps: Path


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes into the `[camera]` table."""

    numbers: Mapping[str, Measured]
    """Field of `rig.CameraConfig` -> number; an uncertainty that is NaN is not known."""
    how: str
    """What it was measured from, in words."""
    maps: CameraMaps | None = None


@dataclass(frozen=True, slots=True)
class KeptOptics:
    """What goes into the `[optics]` table."""

    numbers: Mapping[str, Measured]
    """Field of `rig.OpticsConfig` -> number."""
    zernike_nm: Mapping[str, Measured]
    """Field of `rig_aberrations.ZernikeConfig` -> nm rms."""
    how: str
    """What it was measured from, in words."""


def target_of(rig: RigConfig, out: Path | None, *, force: bool, with_maps: bool) -> Target | None:
    """Where to write; None where nothing is to be written (no `out`, no `force`).

    Raises `UserError`, before anything is measured, for a file that exists without `force`,
    one that is no .toml, a missing folder, and for a rig that came with the program.
    """
    if out is None and not force:
        return None
    file = Path(rig.origin) if out is None else out.expanduser()
    if file.suffix.lower() != ".toml":
        raise UserError(f"--out {file}: got a name that is no .toml; let it end in .toml")
    if not file.resolve().parent.is_dir():
        raise UserError(f"--out {file}: its folder is missing; make it, or give another name")
    if file.resolve().parent == shipped("hardware_configs").resolve():
        raise UserError(
            f"rig {file}: came with the program and stays as it is; give --out with another folder"
        )
    target = Target(file.resolve(), file.resolve().with_name(f"{file.stem}_camera_maps.tif"))
    for path in (target.rig, target.maps) if with_maps else (target.rig,):
        if path.exists() and not force:
            raise UserError(f"{path}: exists; give another --out, or --force to replace it")
    return target


def keep(rig: RigConfig, kept: Kept, target: Target) -> None:
    """Write the maps and the rig of `target`, and read the rig back.

    Raises `UserError` for a rig file that cannot be changed safely, `Failure` for a disk
    that refuses.
    """
    old = Path(rig.origin)
    text = read_rig_text(old)
    values: dict[str, Value] = {}
    notes: dict[str, str] = {}
    for name, number in kept.numbers.items():
        values[name], notes[name] = _rounded(number)
    if kept.maps is not None:
        values["maps"] = target.maps.name
    moved = target.rig.parent != old.parent
    if moved and kept.maps is None and rig.camera.maps is not None:
        values["maps"] = rig.camera.maps
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    heading = (_MARKER, f"{day} {kept.how}")
    text = edited(text, "camera", values, notes=notes, heading=heading)
    if kept.maps is not None:
        save_maps(target.maps, kept.maps)
    keep_text(rig, text, target)


def keep_optics(rig: RigConfig, kept: KeptOptics, target: Target) -> None:
    """Write the rig of `target` with other optics, and read it back.

    Raises as `keep`.
    """
    text = read_rig_text(Path(rig.origin))
    values: dict[str, Value] = {}
    notes: dict[str, str] = {}
    for name, number in kept.numbers.items():
        values[name], notes[name] = _rounded(number)
    values["zernike_nm"] = {name: round(term.value, 2) for name, term in kept.zernike_nm.items()}
    notes["zernike_nm"] = f"+- {max(t.uncertainty for t in kept.zernike_nm.values()):.1g}"
    heading = (_BEADS, f"{datetime.now(UTC):%Y-%m-%d} {kept.how}")
    text = edited(text, "optics", values, notes=notes, heading=heading)
    if target.rig.parent != Path(rig.origin).parent and rig.camera.maps is not None:
        text = edited(text, "camera", {"maps": rig.camera.maps})
    keep_text(rig, text, target)


def keep_text(rig: RigConfig, text: str, target: Target) -> None:
    """Write `text`, which was that of `rig`, as the rig of `target`, and read it back.

    In another folder it still names the same files. Raises as `keep`.
    """
    # Paths are relative to the rig's folder.
    stated = tomllib.loads(text.removeprefix("\ufeff"))["source"]
    moved = target.rig.parent != Path(rig.origin).parent
    away = {name: getattr(rig.source, name) for name in _PATHS if name in stated} if moved else {}
    if away:
        text = edited(text, "source", away)
    write_rig_text(target.rig, text)
    load_rig(target.rig)


def _rounded(number: Measured) -> tuple[float, str]:
    """The value with two digits of its uncertainty, and what to say of that."""
    known = math.isfinite(number.uncertainty) and number.uncertainty > 0
    if not known:
        return float(f"{number.value:.4g}"), "estimated"
    digits = min(max(1 - math.floor(math.log10(number.uncertainty)), 0), 9)
    return round(number.value, digits), f"+- {number.uncertainty:.1g}"
