"""Where `liverestore restore` is to refocus: --z, --zstack, --dpm and the rig's optics."""

from __future__ import annotations

from dataclasses import dataclass

from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.refocus import OPTICS_NEEDED, ZStack, parse_zstack
from liverestore.sign_of_z import sign_report

__all__ = ["Refocusing", "refocusing_asked"]


@dataclass(frozen=True, slots=True)
class Refocusing:
    """One surface, or a stack of planes."""

    dpm: Dpm | None
    stack: ZStack | None
    """Either this or `dpm`."""
    optics: Optics

    def words(self) -> dict[str, str]:
        """For the metadata of the file."""
        optics = self.optics
        return {
            "refocused_to": f"{self.stack}" if self.stack is not None else f"{self.dpm} um",
            "optics": f"NA {optics.numerical_aperture:g}, {optics.wavelength_nm:g} nm, immersion "
            f"{optics.immersion_index:g}, sample {optics.sample_index:g}, depth "
            f"{optics.depth_um:g} um",
            "sign_of_z": sign_report(optics).sentence,
        }


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
            raise UserError(
                f"got {' and '.join(asked)}, but the engine {spec.name!r} does not refocus; "
                "allowed with engines whose task is refocusing (see `liverestore engines`); leave "
                "it out"
            )
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
        surface = parse_dpm(dpm) if dpm is not None else Dpm.uniform(z or 0.0)
        farthest = surface.uniform_um or 0.0
    reach = spec.reach_um
    if reach is not None and abs(farthest) > reach:
        raise UserError(
            f"got {asked[0]} {given[asked[0]]}, which asks for {farthest:g} um; the engine "
            f"{spec.name!r} reaches from -{reach:g} to {reach:g} um; stay within"
        )
    return Refocusing(surface, stack, _optics(rig, spec.name))


def _optics(rig: str | None, engine: str) -> Optics:
    from liverestore.rig import load_rig
    from liverestore.rig_optics import optics_of

    if rig is None:
        raise UserError(
            f"the engine {engine!r} needs the optics of the microscope, to give distances in "
            f"waves; name it with --rig: a file with {OPTICS_NEEDED}"
        )
    return optics_of(load_rig(rig))
