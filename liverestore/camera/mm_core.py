"""Making, configuring and ending the Micro-Manager core that pycromanager hands out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mm_test_adapters
import pymmcore
from mmpycorex import create_core_instance
from mmpycorex.launcher import _PYMMCORES
from pycromanager import Core

from liverestore.camera.absence import CameraGone
from liverestore.camera.mm_memory import RingMemory
from liverestore.errors import Failure, UserError
from liverestore.rig import RigConfig

__all__ = [
    "answers",
    "begin_sequence",
    "bit_depth",
    "camera_and_focus",
    "device_interface",
    "end_sequence",
    "focus_drive",
    "grey_bytes",
    "load_core",
    "move_focus",
    "pixel_size_um",
    "reason_of",
    "release_core",
    "sequence_over",
    "set_exposure",
    "set_properties",
]

_RING = RingMemory()
"""Of the one core in a process."""
_MOST_EXPOSURES = 2**31 - 1
"""That a sequence can be told: it would run for weeks."""


def device_interface() -> str:
    """The version of device adapters that the installed pymmcore can load, such as "75"."""
    # "Device API version 75, Module API version 10"
    return str(pymmcore.CMMCore().getAPIVersionInfo()).split(",")[0].split()[-1]


def load_core(rig: RigConfig) -> Any:
    """The pycromanager core with the configuration and the properties of `rig`.

    There is one such core in a process. Raises `UserError` for a configuration or a
    property that the core refuses, `Failure` where one is loaded already.
    """
    if _PYMMCORES:
        raise Failure("Micro-Manager core: one is loaded in this process already; stop it first")
    source = rig.source
    adapters = source.mm_app_path or str(mm_test_adapters.device_adapter_path())
    try:
        # What pycromanager.start_headless does, short of its acquisition engine: that one
        # is a singleton which never lets a second core start in the same process.
        create_core_instance(
            mm_app_path=adapters,
            config_file=source.config_file,
            python_backend=True,
            buffer_size_mb=source.buffer_size_mb,
        )
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        hint = "check that its devices are switched on and that no other program uses them"
        if "adapter" in reason or "library" in reason:
            hint = (
                f"adapters are looked for in {adapters} and need device interface "
                f"{device_interface()}; see liverestore doctor"
            )
        raise UserError(
            f"configuration {source.config_file}: cannot be loaded ({reason}); {hint}"
        ) from None
    core = Core()
    try:
        set_properties(core, rig)
    except BaseException:
        release_core(core)
        raise
    return core


def set_properties(core: Any, rig: RigConfig) -> None:
    """Set the properties of `rig`, in the order of the file.

    Raises `UserError` naming device, property, value and what is allowed.
    """
    devices = tuple(core.get_loaded_devices())
    for label, properties in rig.source.properties.items():
        where = f"rig {rig.origin or rig.name}: source.properties.{label}"
        if label not in devices:
            raise UserError(
                f"{where}: no such device in {Path(rig.source.config_file or '').name}; loaded "
                f"are {', '.join(devices)}"
            )
        known = tuple(core.get_device_property_names(label))
        for name, value in properties.items():
            if name not in known:
                raise UserError(f"{where}.{name}: no such property; it has {', '.join(known)}")
            try:
                core.set_property(label, name, value)
            except RuntimeError as error:
                allowed = tuple(core.get_allowed_property_values(label, name))
                if core.has_property_limits(label, name):
                    low = core.get_property_lower_limit(label, name)
                    high = core.get_property_upper_limit(label, name)
                    allowed = (f"{low:g} to {high:g}",)
                reason = " ".join(str(error).split())
                raise UserError(
                    f"{where}.{name}: got {value!r}, allowed is "
                    f"{', '.join(allowed) or 'what the device takes'} ({reason})"
                ) from None


def camera_and_focus(core: Any, rig: RigConfig) -> tuple[str, str]:
    """Labels of the camera and of the focus drive of `rig`; "" where there is no drive.

    Raises `UserError` where there is no camera, and for a focus drive that is not loaded.
    """
    camera = str(core.get_camera_device())
    if not camera:
        raise UserError(
            f"configuration {rig.source.config_file}: sets no camera; set the core's "
            "Camera device in it (Property,Core,Camera,<label>)"
        )
    return camera, focus_drive(core, rig)


def move_focus(core: Any, focus: str, z_um: float) -> float:
    """Send the focus drive to `z_um` and wait; where it is then, in um.

    Raises `UserError` where it refuses.
    """
    try:
        core.set_position(focus, z_um)
        core.wait_for_device(focus)
        return float(core.get_position(focus))
    except RuntimeError as error:
        raise UserError(
            f"focus drive {focus}: does not go to {z_um:g} um ({reason_of(error)}); "
            "choose a position in its range"
        ) from None


def grey_bytes(core: Any, camera: str) -> int:
    """Bytes per pixel (1 or 2) of a camera with grey images. Raises `UserError` for any other."""
    components = int(core.get_number_of_components())
    depth = int(core.get_bytes_per_pixel())
    if components != 1:
        raise UserError(
            f"camera {camera}: delivers colour (RGB, {components} components); allowed "
            "are grey images of 8 or 16 bit; set its PixelType property to 8bit or 16bit"
        )
    if depth not in (1, 2):
        raise UserError(
            f"camera {camera}: delivers {depth * 8} bit per pixel; allowed are grey "
            "images of 8 or 16 bit; set its PixelType property to 8bit or 16bit"
        )
    return depth


def focus_drive(core: Any, rig: RigConfig) -> str:
    """Label of the focus drive: the rig's, else the core's; empty where there is none.

    Raises `UserError` for one that the configuration does not load.
    """
    label = rig.source.focus_device or str(core.get_focus_device())
    if label and label not in core.get_loaded_devices():
        raise UserError(
            f"rig {rig.name}: source.focus_device: got {label!r}, which the configuration does not "
            f"load; loaded are {', '.join(core.get_loaded_devices())}"
        )
    return label


def pixel_size_um(core: Any, rig: RigConfig) -> float | None:
    """Edge of a pixel in the sample: the rig's, else the core's for the present objective."""
    if rig.optics.pixel_size_um is not None:
        return rig.optics.pixel_size_um
    # The core says 0 where no pixel size is configured for the present objective.
    return float(core.get_pixel_size_um()) or None


def release_core(core: Any) -> None:
    """Stop its sequence, unload its devices and forget it, so that another may be made."""
    if core in _PYMMCORES:
        _PYMMCORES.remove(core)
    try:
        end_sequence(core)
    finally:
        # Also of a camera that does not answer any more.
        core.unload_all_devices()


def bit_depth(core: Any, rig: RigConfig) -> int:
    """Bits that the camera really delivers: those of `rig`, else the core's.

    Raises `CameraGone` where the camera does not say.
    """
    try:
        return rig.camera.bit_depth or int(core.get_image_bit_depth())
    except RuntimeError as error:
        raise CameraGone(
            f"camera: does not answer ({reason_of(error)}); check its cable and power"
        ) from None


def begin_sequence(core: Any, camera: str, exposures: int | None) -> None:
    """Start the core's sequence; it ends by itself after so many exposures, None: never.

    Raises `CameraGone` where the camera does not start.
    """
    try:
        if exposures is None:
            core.start_continuous_sequence_acquisition(0)
        else:
            core.start_sequence_acquisition(min(exposures, _MOST_EXPOSURES), 0, False)
    except RuntimeError as error:
        raise CameraGone(
            f"camera {camera}: did not start ({reason_of(error)}); check that no other "
            "program uses it"
        ) from None
    _RING.made_anew()


def sequence_over(core: Any, camera: str) -> bool:
    """Whether no sequence runs and none of its images waits.

    Raises `CameraGone` where the camera cannot be asked any more.
    """
    try:
        return not core.is_sequence_running() and not core.get_remaining_image_count()
    except RuntimeError as error:
        raise CameraGone(
            f"camera {camera}: cannot be asked any more ({reason_of(error)}); check its "
            "cable and power"
        ) from None


def end_sequence(core: Any) -> None:
    """Stop the core's sequence where one runs."""
    if core.is_sequence_running():
        core.stop_sequence_acquisition()


def answers(core: Any) -> bool:
    """Whether the camera of `core` can be asked."""
    try:
        core.is_sequence_running()
        core.get_exposure()
    except RuntimeError:
        return False
    return True


def set_exposure(core: Any, camera: str, exposure_ms: float) -> float:
    """Set the exposure of the core's camera, named `camera` in messages; what it took, in ms.

    Raises `UserError` where the camera refuses it or keeps another, `CameraGone` where it does
    not answer.
    """
    try:
        before = float(core.get_exposure())
        core.set_exposure(exposure_ms)
        taken = float(core.get_exposure())
        if abs(taken - exposure_ms) > 0.1 * exposure_ms:
            # What is refused must leave nothing changed: frames carry the exposure of before.
            core.set_exposure(before)
    except RuntimeError as error:
        if not answers(core):
            raise CameraGone(
                f"camera {camera}: does not answer ({reason_of(error)}); check its cable and power"
            ) from None
        raise UserError(
            f"camera {camera}: refuses an exposure of {exposure_ms:g} ms ({reason_of(error)}); "
            "choose one that the camera allows"
        ) from None
    # Rounding to line times is usual; a camera that keeps its own value out of range
    # does not say so.
    if abs(taken - exposure_ms) > 0.1 * exposure_ms:
        raise UserError(
            f"camera {camera}: got an exposure of {exposure_ms:g} ms and would take {taken:g} ms; "
            f"{before:g} ms is left as it was; choose one that the camera allows"
        )
    return taken


def reason_of(error: RuntimeError) -> str:
    """The core's own words, on one line."""
    return " ".join(str(error).split()) or "no reason given"
