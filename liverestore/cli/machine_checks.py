"""Checks of the computer itself: graphics card, disk, folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from liverestore import paths
from liverestore.cli.finding import Finding, State, version

__all__ = ["disk", "folders", "gpu"]

_TRIAL_BYTES = 64 * 2**20
_FRAME_BYTES = 2048 * 2048 * 2
_SCARCE_BYTES = 2**30


def gpu() -> list[Finding]:
    """Is there an NVIDIA card, and what lets engines use it."""
    from liverestore.runtime.tensorrt_library import CUDA_13_DRIVER, RTX_CAPABILITIES

    rtx = version("tensorrt-rtx-cu13-libs") or version("tensorrt-rtx-cu12-libs")
    full = version("tensorrt")
    card, driver, capability = _card()
    if not driver.partition(".")[0].isdigit():
        text = "no NVIDIA GPU: engines run on the processor"
        if rtx is not None:
            text += f"; TensorRT-RTX {rtx} can build plans for other machines"
        return [Finding(name="gpu", state="note", text=text, essential=False)]
    here = f"{card}, driver {driver}"
    served = capability is None or capability in RTX_CAPABILITIES
    if (rtx is not None and served) or full is not None:
        name = f"TensorRT-RTX {rtx}" if rtx is not None and served else f"TensorRT {full}"
        text = f"{here}, with {name}"
        return [Finding(name="gpu", state="ok", text=text, essential=False)]
    torch = version("torch")
    # A build for processors says so in its version.
    by_torch = torch is not None and "+cpu" not in torch and version("onnx") is not None
    use = f"is used through torch {torch}" if by_torch else "is not used"
    if not served:
        major, minor = capability or (0, 0)
        text = f"{here}, {use}: TensorRT-RTX does not serve sm{major}{minor}"
        remedy = None if by_torch else "pip install torch onnx, or tensorrt"
    else:
        text = f"{here}, {use}: TensorRT is not installed"
        # CUDA 13 needs a driver of its own series.
        new = int(driver.partition(".")[0]) >= CUDA_13_DRIVER
        remedy = f"pip install 'liverestore[{'tensorrt-cu13' if new else 'tensorrt-cu12'}]'"
    state: State = "note" if remedy else "ok"
    return [Finding(name="gpu", state=state, text=text, remedy=remedy, essential=False)]


def triton() -> list[Finding]:
    """Whether the Triton server that the environment names answers; nothing where none is."""
    from liverestore.runtime.triton import about_server

    about = about_server()
    if about is None:
        return []
    state: State = "missing" if about.remedy else "ok"
    return [
        Finding(name="triton", state=state, text=about.words, remedy=about.remedy, essential=False)
    ]


def _card() -> tuple[str, str, tuple[int, int] | None]:
    """Name, driver version and compute capability of the first card; empty without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "", "", None
    query = ["--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            [tool, *query],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        ).stdout.strip()
    except subprocess.TimeoutExpired:
        return "", "", None
    words = [word.strip() for word in (answer.splitlines() or [""])[0].split(",")]
    card, driver, capability = (*words, "", "", "")[:3]
    numbers = capability.split(".")
    if len(numbers) == 2 and all(number.isdigit() for number in numbers):
        return card, driver, (int(numbers[0]), int(numbers[1]))
    return card, driver, None


def disk() -> list[Finding]:
    """Room in the current folder and how fast it takes frames."""
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free
    if free < _TRIAL_BYTES + _SCARCE_BYTES:
        text = f"{free / 1e9:.1f} GB free in {folder}"
        remedy = "make room or record to another disk"
        return [Finding(name="disk", state="missing", text=text, remedy=remedy, essential=False)]
    try:
        speed = _write_speed(folder)
    except OSError as error:
        text = f"{folder} cannot be written to ({error.strerror or error})"
        remedy = "go to a folder of your own before you record"
        return [Finding(name="disk", state="missing", text=text, remedy=remedy, essential=False)]
    text = (
        f"{free / 1e9:.0f} GB free; {speed / 1e6:.0f} MB/s, that is "
        f"{speed / _FRAME_BYTES:.0f} fps of 2048x2048"
    )
    return [Finding(name="disk", state="ok", text=text)]


def _write_speed(folder: Path) -> float:
    """Bytes per second of one large file, until it is on the disk itself."""
    block = memoryview(os.urandom(2**20))
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        started = time.perf_counter()
        for _ in range(_TRIAL_BYTES // len(block)):
            file.write(block)
        os.fsync(file.fileno())
        return _TRIAL_BYTES / (time.perf_counter() - started)


def folders() -> list[Finding]:
    """Can the user's own folders be written to."""
    found = []
    for folder in (paths.user_data(), paths.user_cache()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            found.append(
                Finding(
                    name="folders",
                    state="missing",
                    text=f"{folder} cannot be written to ({error.strerror or error})",
                    remedy="set LIVERESTORE_HOME to a folder of your own",
                    essential=False,
                )
            )
    text = f"yours: {paths.user_data()}"
    return found or [Finding(name="folders", state="ok", text=text)]
