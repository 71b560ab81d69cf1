"""Restored pictures and virtual planes in the acquisitions of pycromanager."""

from __future__ import annotations

from liverestore.camera.image_hook import ImageHook
from liverestore.camera_model import CameraModel
from liverestore.model_spec import find_engine
from liverestore.optics import Optics
from liverestore.runtime.table import open_runtime
from liverestore.service.acquisition_engine import FrameRestorer
from liverestore.service.engine_goal import AnyRig, Surface, goal_of, knowledge_of, rig_of
from liverestore.service.hook_light import ImageLight

__all__ = ["image_processor"]


def image_processor(
    engine: str,
    *,
    rig: AnyRig | None = None,
    zstack: str | None = None,
    dpm: Surface | None = None,
    z_um: float | None = None,
    optics: Optics | None = None,
    camera: CameraModel | None = None,
) -> ImageHook:
    """An `image_process_fn` for pycromanager's `Acquisition`: raw images, and what `engine` makes.

    `zstack` is "START:STOP:STEP" in um, `dpm` a surface (as `liverestore restore --dpm` takes it,
    a `Dpm`, or (Y, X) um) and `z_um` one distance; an engine that refocuses needs one of them,
    others take none. `rig` gives the camera's numbers and the optics, its own source is not
    opened; `camera` and `optics` come before it. Without either the camera's numbers are
    estimated from the first images. The exposure of each image is charged to the account of light
    of `rig`, and a used up budget aborts the acquisition.

        process = image_processor("refocus-deepz", rig="my_scope", zstack="-5:5:0.5")
        with Acquisition(directory="data", name="cells", image_process_fn=process) as acquisition:
            process.attach(acquisition)
            acquisition.acquire(multi_d_acquisition_events(num_time_points=50))

    Raises `UserError` for an engine that is not installed, options that do not fit it, distances
    beyond its reach and, to refocus, where there are no optics.
    """
    spec, config = find_engine(engine), rig_of(rig)
    goal = goal_of(spec, config, optics=optics, z_um=z_um, zstack=zstack, dpm=dpm)
    restorer = FrameRestorer(open_runtime(spec), knowledge_of(config, camera), goal)
    return ImageHook(
        restorer.made_of,
        planes_um=goal.planes_um,
        pixel_size_um=None if config is None else config.optics.pixel_size_um,
        channels=() if config is None else config.channels,
        light=None if config is None else ImageLight(config),
    )
