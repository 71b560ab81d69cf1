"""What a run is to do, in a form that a spawned process can be handed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from liverestore.reference_schedule import ReferencePlan
from liverestore.rig import RigConfig
from liverestore.transport.endpoint import Endpoint
from liverestore.transport.machine_keys import PublicKey
from liverestore.writer.names import SaveFormat

__all__ = ["CAMERA_PATIENCE_S", "FarMachine", "RunEndpoints", "RunPlan"]

CAMERA_PATIENCE_S = 600.0
"""So long a run that nobody watches waits for its camera, where it is not told otherwise."""


@dataclass(frozen=True, slots=True)
class RunEndpoints:
    """Where the processes of one run meet."""

    control: Endpoint
    raw: Endpoint
    """Frames, from capture."""
    restored: Endpoint
    """Restored frames, from the engine."""


@dataclass(frozen=True, slots=True)
class FarMachine:
    """An engine on another machine."""

    address: str
    """tcp://HOST:PORT"""
    key: PublicKey
    """Of that machine."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One acquisition."""

    rig: RigConfig
    engine: str
    endpoints: RunEndpoints
    frames: int | None = None
    """Stop after so many frames; None runs until it is stopped."""
    seconds: float | None = None
    """Stop so long after the first frame; None runs until it is stopped."""
    raw_path: Path | None = None
    """Where every raw frame goes from the first one on; None records when told to."""
    restored_path: Path | None = None
    """Where every restored frame goes, from the first one on."""
    record_folder: Path | None = None
    """Where recordings go that begin while live; None: the user's documents."""
    save_format: SaveFormat = "ome-zarr"
    stop_on_write_error: bool = False
    """End the run when recording fails, so that no light is spent on frames that are
    not kept; a live view goes on and says so."""
    engine_threads: int | None = None
    engines: dict[str, str] = field(default_factory=dict)
    """Channel -> engine, where it is another one than `engine`."""
    rival: str | None = None
    """Second engine that restores the same frames from the beginning."""
    dpm: str | None = None
    """Surface that refocusing engines restore to from the beginning; None: 0 um."""
    zstack: str | None = None
    """Virtual stack that they make of each frame from the beginning, START:STOP:STEP in um."""
    dose_budget_j_cm2: float | None = None
    """The most light for each field of view; None: that of the rig."""
    new_sample: bool = False
    """Begin the account of light at zero."""
    hold_light_ms: float | None = None
    """Expose longer as the sample bleaches, up to this; None: the exposure stays."""
    references: ReferencePlan | None = None
    """Take a bright exposure now and then that scores the engine; None: none."""
    interval_s: float | None = None
    """Take one frame so often, with the light off in between; None: as fast as it goes."""
    engine_server: FarMachine | None = None
    """The other machine that restores; None: this one."""
    show_in_micro_manager: bool = False
    """Show results in a window of the Micro-Manager that is followed too."""
    end_at_budget: bool = False
    """End the run when the light budget is used up: nobody is there who could raise it."""
    camera_patience_s: float | None = None
    """End the run after so long without a camera or a frame of it; None: somebody looks, and may
    wait for as long as they like."""
