"""Where `restore` and `live` are to refocus: --z, --zstack, --dpm and the rig's optics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.refocus import (
    OPTICS_NEEDED,
    check_overlap,
    check_reach,
)
from liverestore.rig_surfaces import START, RigSurfaces
from liverestore.service.live_zstack import live_zstack
from liverestore.zstack import ZStack, parse_zstack, refocus_words

if TYPE_CHECKING:
    from liverestore.rig import RigConfig

__all__ = ["Refocusing", "live_dpm_asked", "live_zstack_asked", "refocusing_asked"]


@dataclass(frozen=True, slots=True)
class Refocusing:
    """One surface, or a stack of planes."""

    dpm: Dpm | None
    stack: ZStack | None
    """Either this or `dpm`."""
    optics: Optics
    confocal: bool = False
    """Whether the engine makes confocal pictures (Deep-Z+)."""

    def check_frames(
        self, spec: ModelSpec, shape: tuple[int, int], pixel_size_um: float | None
    ) -> None:
        """Raise `UserError` where the surface does not fit frames of `shape` (Y, X)."""
        if self.dpm is not None:
            size_um = pixel_size_um or self.optics.pixel_size_um
            check_overlap(self.dpm, spec, shape, size_um, f"the surface {self.dpm}")

    @property
    def target(self) -> str:
        """To what frames are refocused, as it is read on the terminal."""
        if self.stack is not None or self.dpm is None:
            return str(self.stack) + self._kind
        if self.dpm.uniform_um is not None:
            return f"{self.dpm} um" + self._kind
        return f"the surface {self.dpm}" + self._kind

    def words(self) -> dict[str, str]:
        """For the metadata of the file."""
        place = f"{self.stack}" if self.stack is not None else f"{self.dpm} um"
        return refocus_words(place + self._kind, {None: self.optics})

    @property
    def _kind(self) -> str:
        return ", as confocal pictures" if self.confocal else ""


def refocusing_asked(
    spec: ModelSpec, rig: str | None, z: float | None, zstack: str | None, dpm: str | None
) -> Refocusing | None:
    """What the options ask of `spec`; None for an engine that does not refocus.

    Raises `UserError` for options that do not fit the engine or each other, for distances
    beyond its reach (a surface is clipped instead), and for a rig that lacks optics.
    """
    given = {"--z": z, "--zstack": zstack, "--dpm": dpm}
    asked = [name for name, value in given.items() if value is not None]
    if not spec.refocuses:
        if asked:
            raise _not_refocusing(asked, spec.name)
        return None
    if len(asked) != 1:
        got = " and ".join(asked) if asked else "no distance"
        raise UserError(
            f"got {got}, but the engine {spec.name!r} refocuses to one target; give exactly one of "
            "--z UM, --zstack START:STOP:STEP (um) and --dpm SPEC; + is deeper into the sample"
        )
    surface, stack, farthest = None, None, 0.0
    if zstack is not None:
        stack = parse_zstack(zstack)
        farthest = max(stack.planes_um, key=abs)
    else:
        surface = _surface(z, dpm, rig)
    words = f"{asked[0]} {given[asked[0]]}"
    check_reach(farthest if surface is None else surface, spec, words)
    return Refocusing(surface, stack, _optics(rig, spec.name), spec.sections)


def live_dpm_asked(
    specs: Sequence[ModelSpec], rig: RigConfig, z: float | None, dpm: str | None
) -> str | None:
    """What --z or --dpm ask of a live run that begins with the engines `specs`, as a DPM's text.

    Where neither is given, the surface that is kept with the rig as its start; None: none is, and
    refocusing engines begin at 0 um. Raises `UserError` as `refocusing_asked` does.
    """
    from liverestore.rig_optics import optics_of

    given = {"--z": z, "--dpm": dpm}
    asked = [name for name, value in given.items() if value is not None]
    refocusing = [spec for spec in specs if spec.refocuses]
    if asked and not refocusing:
        raise _not_refocusing(asked, specs[0].name)
    if len(asked) > 1:
        raise UserError(
            f"got --z and --dpm, but the engine {refocusing[0].name!r} refocuses to one target; "
            "give one of --z UM and --dpm SPEC, or neither to begin at 0; + is deeper into the "
            "sample"
        )
    if not refocusing:
        return None
    optics_of(rig)
    words = f"{asked[0]} {given[asked[0]]}" if asked else ""
    if not asked:
        kept = RigSurfaces.load(rig)
        dpm = kept.spec(START)
        if dpm is None:
            return None
        words = f"the surface {kept.start} that the rig {rig.name!r} starts with"
    surface = _surface(z, dpm, rig)
    for spec in refocusing:
        check_reach(surface, spec, words)
    return str(surface)


def _surface(z: float | None, dpm: str | None, rig: RigConfig | str | None) -> Dpm:
    """What --z or --dpm name; a name is looked for among the surfaces kept with `rig`."""
    from liverestore.rig import load_rig

    if dpm is None:
        return Dpm.uniform(z or 0.0)
    if rig is None:
        return parse_dpm(dpm)
    config = load_rig(rig) if isinstance(rig, str) else rig
    return parse_dpm(RigSurfaces.load(config).read(dpm))


def live_zstack_asked(specs: Sequence[ModelSpec], rig: RigConfig, zstack: str | None) -> str | None:
    """What --zstack asks of a live run that begins with the engines `specs`.

    Raises `UserError` for a text that is no stack, where no engine refocuses, for planes beyond
    the reach of one that does, and for a rig that lacks optics.
    """
    from liverestore.rig_optics import optics_of

    if zstack is None:
        return None
    refocusing = [spec for spec in specs if spec.refocuses]
    if not refocusing:
        raise _not_refocusing(["--zstack"], specs[0].name)
    live_zstack(zstack, refocusing, "--zstack")
    optics_of(rig)
    return zstack


def _not_refocusing(asked: Sequence[str], engine: str) -> UserError:
    return UserError(
        f"got {' and '.join(asked)}, but the engine {engine!r} does not refocus; allowed with "
        "engines whose task is refocusing (see `liverestore engines`); leave it out"
    )


def _optics(rig: str | None, engine: str) -> Optics:
    from liverestore.rig import load_rig
    from liverestore.rig_optics import optics_of

    if rig is None:
        raise UserError(
            f"the engine {engine!r} needs the optics of the microscope, to give distances in "
            f"waves; name it with --rig: a file with {OPTICS_NEEDED}"
        )
    return optics_of(load_rig(rig))
