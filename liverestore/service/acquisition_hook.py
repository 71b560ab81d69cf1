"""Virtual planes in the acquisitions of pycromanager."""

from __future__ import annotations

from pathlib import Path

from liverestore.camera.image_hook import ImageHook
from liverestore.dpm import parse_dpm
from liverestore.errors import UserError
from liverestore.model_spec import find_engine
from liverestore.refocus import check_reach
from liverestore.rig import load_rig
from liverestore.runtime.table import open_runtime
from liverestore.service.acquisition_engine import FrameRestorer, Goal, optics_by_channel
from liverestore.service.camera_knowledge import CameraKnowledge
from liverestore.zstack import parse_zstack

__all__ = ["image_processor"]


def image_processor(
    engine: str, *, rig: str | Path, zstack: str | None = None, dpm: str | None = None
) -> ImageHook:
    """An `image_process_fn` for pycromanager's `Acquisition` that adds what `engine` makes.

    `zstack` is "START:STOP:STEP" in um, `dpm` a surface as `liverestore restore --dpm` takes it;
    an engine that refocuses needs one of them, others take none. `rig` gives the camera's
    numbers and the optics; its own source is not opened.

        process = image_processor("refocus-deepz", rig="my_scope", zstack="-5:5:0.5")
        with Acquisition(directory="data", name="cells", image_process_fn=process) as acquisition:
            process.attach(acquisition)
            acquisition.acquire(multi_d_acquisition_events(num_time_points=50))

    Raises `UserError` for an engine that is not installed, options that do not fit it, distances
    beyond its reach and a rig without optics.
    """
    spec, config = find_engine(engine), load_rig(rig)
    if not spec.refocuses and (zstack is not None or dpm is not None):
        raise UserError(f"the engine {engine!r} does not refocus; leave out zstack and dpm")
    if spec.refocuses and (zstack is None) == (dpm is None):
        raise UserError(
            f"the engine {engine!r} refocuses: give one of zstack='START:STOP:STEP' and dpm='SPEC'"
        )
    planes_um: tuple[float, ...] = ()
    surface = None
    if zstack is not None:
        planes_um = parse_zstack(zstack).planes_um
        check_reach(max(planes_um, key=abs), spec, f"the stack {zstack}")
    elif dpm is not None:
        surface = parse_dpm(dpm)
        check_reach(surface, spec, f"the DPM {dpm}")
    optics = optics_by_channel(config) if spec.refocuses else None
    goal = Goal(planes_um, surface, optics)
    restorer = FrameRestorer(open_runtime(spec), CameraKnowledge(config.camera), goal)
    return ImageHook(
        restorer.made_of,
        planes_um=planes_um,
        pixel_size_um=config.optics.pixel_size_um,
        channels=config.channels,
    )
