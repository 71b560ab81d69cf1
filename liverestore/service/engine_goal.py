"""What an engine is to make of frames, asked for from Python: a picture, a surface, a stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from liverestore.camera_model import CameraModel
from liverestore.dpm import Dpm, parse_dpm
from liverestore.errors import UserError
from liverestore.model_spec import ModelSpec
from liverestore.optics import Optics
from liverestore.refocus import OPTICS_NEEDED, check_reach
from liverestore.rig import CameraConfig, RigConfig, load_rig
from liverestore.rig_surfaces import RigSurfaces
from liverestore.service.acquisition_engine import Goal, optics_by_channel
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.zstack import ZStack, parse_zstack, refocus_words

__all__ = ["AnyRig", "Surface", "file_words", "goal_of", "knowledge_of", "rig_of", "stack_of"]

AnyRig = str | Path | RigConfig
"""Name or file of a rig, or one that is loaded already."""
Surface = str | Dpm | NDArray[Any]
"""What `liverestore restore --dpm` takes, a `Dpm`, or (Y, X) distances in um."""


def rig_of(rig: AnyRig | None) -> RigConfig | None:
    """`rig`, loaded where it is a name or a file. Raises `UserError` as `load_rig` does."""
    return rig if rig is None or isinstance(rig, RigConfig) else load_rig(rig)


def knowledge_of(rig: RigConfig | None, camera: CameraModel | None) -> CameraKnowledge:
    """The camera's numbers: `camera`, else those of `rig`, else estimated from the frames."""
    known = CameraKnowledge(CameraConfig() if rig is None else rig.camera)
    if camera is not None:
        known.settle(camera)
    return known


def stack_of(zstack: str | None) -> ZStack | None:
    """The planes of `zstack`. Raises `UserError` for a text that is no stack."""
    return None if zstack is None else parse_zstack(zstack, "zstack")


def goal_of(
    spec: ModelSpec,
    rig: RigConfig | None,
    *,
    optics: Optics | None = None,
    z_um: float | None = None,
    zstack: str | None = None,
    dpm: Surface | None = None,
) -> Goal:
    """What `spec` is to make of each frame.

    An engine that refocuses takes one of `z_um` (um, positive deeper into the sample), `zstack`
    ("START:STOP:STEP" in um) and `dpm`, and the optics of `optics` or `rig`; others take none.
    Raises `UserError` for anything else, and for distances beyond its reach.
    """
    given = {"z_um": z_um, "zstack": zstack, "dpm": dpm}
    asked = [name for name, value in given.items() if value is not None]
    if not spec.refocuses:
        if asked:
            raise UserError(
                f"the engine {spec.name!r} does not refocus; leave out {' and '.join(asked)}"
            )
        return Goal()
    if len(asked) != 1:
        raise UserError(
            f"the engine {spec.name!r} refocuses and got {' and '.join(asked) or 'no distance'}: "
            "give one of zstack='START:STOP:STEP', dpm='SPEC' and z_um, in um; + is deeper into "
            "the sample"
        )
    stack = stack_of(zstack)
    surface = None if stack is not None else _surface(z_um, dpm, rig)
    words = f"{asked[0]}={'an array' if hasattr(given[asked[0]], 'shape') else given[asked[0]]}"
    check_reach(max(stack.planes_um, key=abs) if stack else surface or 0.0, spec, words)
    if optics is not None:
        return Goal(stack.planes_um if stack else (), surface, lambda _channel: optics)
    if rig is None:
        raise UserError(
            f"the engine {spec.name!r} needs the optics of the microscope, to give distances in "
            f"waves: give optics=Optics(...), or rig=, a rig with {OPTICS_NEEDED}"
        )
    return Goal(stack.planes_um if stack else (), surface, optics_by_channel(rig))


def file_words(goal: Goal, stack: ZStack | None) -> dict[str, str]:
    """What a file says of the refocusing in it; empty for an engine that does not refocus."""
    if goal.optics is None:
        return {}
    target = str(stack) if stack is not None else f"{goal.dpm} um"
    return refocus_words(target, {None: goal.optics(None)})


def _surface(z_um: float | None, dpm: Surface | None, rig: RigConfig | None) -> Dpm:
    if z_um is not None:
        return Dpm.uniform(z_um)
    if isinstance(dpm, Dpm):
        return dpm
    if isinstance(dpm, str):
        return parse_dpm(dpm if rig is None else RigSurfaces.load(rig).read(dpm))
    assert dpm is not None, "one of them is given"
    return Dpm.from_array(dpm)
