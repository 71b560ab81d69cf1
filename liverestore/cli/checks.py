"""What works on this machine, one check at a time; each in its own words and remedy."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from liverestore.cli.finding import REINSTALL, Finding, State, version
from liverestore.cli.machine_checks import disk, folders, gpu, triton
from liverestore.cli.rig_checks import sign_of_z
from liverestore.errors import LiverestoreError
from liverestore.paths import shipped

__all__ = ["CHECKS", "run_checks"]

_PROBE_TIMEOUT_S = 60.0
"""A cold disk may need many seconds to load a large library for the first time."""
_DEVICE_INTERFACE = "75"


def run_checks() -> list[Finding]:
    """All checks, in the order of `CHECKS`; in a few seconds.

    They run side by side, but the disk is timed when nothing else happens.
    """
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda check: [] if check is disk else _outcome(check), CHECKS))
    found[CHECKS.index(disk)] = _outcome(disk)
    return [finding for findings in found for finding in findings]


def _outcome(check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except ImportError as error:
        name = check.__name__.strip("_")
        text = f"{error.name or name} is not installed ({error})"
        return [Finding(name=name, state="missing", text=text, remedy=REINSTALL)]


def _probe(code: str, *arguments: str, environment: dict[str, str] | None = None) -> Any:
    """JSON that `code` prints in a process of its own; a string says why there is none.

    A library that takes its process down with it must not take this one.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_TIMEOUT_S:.0f} s"
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if result.returncode == 0 and lines:
        return json.loads(lines[-1])
    said = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return said[-1] if said else f"ended with exit code {result.returncode}"


def _python() -> list[Finding]:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding(name="python", state="ok", text=text)]


def _packages() -> list[Finding]:
    core, adapters, qt = map(version, ("pymmcore", "mm-test-adapters", "PySide6-Essentials"))
    found = []
    interfaces = (
        (core or "").split(".")[3:4],
        (adapters or "").split(".")[0:1],
    )
    if interfaces == ([_DEVICE_INTERFACE], [_DEVICE_INTERFACE]):
        text = f"pymmcore {core} matches its adapters"
        found.append(Finding(name="versions", state="ok", text=text))
    else:
        found.append(
            Finding(
                name="versions",
                state="missing",
                text=f"pymmcore {core} and mm-test-adapters {adapters} do not match: both must "
                f"have device interface {_DEVICE_INTERFACE}",
                remedy="pip install pymmcore==12.5.1.75.0 mm-test-adapters==75.20261014.post1",
            )
        )
    if qt is not None and tuple(map(int, qt.split(".")[:2])) >= (6, 12):
        found.append(
            Finding(
                name="versions",
                state="missing",
                text=f"PySide6-Essentials {qt} aborts a live view after some minutes",
                remedy="pip install 'PySide6-Essentials>=6.8.3,<6.12'",
                essential=False,
            )
        )
    return found


_MICROMANAGER = """
import json, pymmcore, mm_test_adapters
core = pymmcore.CMMCore()
core.setDeviceAdapterSearchPaths([str(mm_test_adapters.device_adapter_path())])
core.loadDevice("Camera", "DemoCamera", "DCam")
core.initializeAllDevices()
core.setCameraDevice("Camera")
core.snapImage()
shape = core.getImage().shape
print(json.dumps({"version": core.getVersionInfo(), "shape": list(shape)}))
"""


def _micromanager() -> list[Finding]:
    answer = _probe(_MICROMANAGER)
    if isinstance(answer, str):
        return [
            Finding(
                name="micro-manager",
                state="missing",
                text=f"the core cannot take an image ({answer})",
                remedy=REINSTALL,
            )
        ]
    height, width = answer["shape"]
    text = f"{answer['version']}; DemoCamera gave an image of {height}x{width}"
    return [Finding(name="micro-manager", state="ok", text=text)]


def _view() -> list[Finding]:
    from liverestore.view.available import why_no_offscreen, why_no_view

    reason = why_no_view()
    if reason is None:
        return [Finding(name="live view", state="ok", text="Qt starts and a display is there")]
    if why_no_offscreen() is None:
        what, _, remedy = reason.partition("; ")
        what = "no display" if "no display" in what else what
        text = f"{what}: runs headless, with pictures in files"
        return [
            Finding(
                name="live view", state="note", text=text, remedy=remedy or None, essential=False
            )
        ]
    what, _, remedy = (why_no_offscreen() or reason).partition("; ")
    return [
        Finding(
            name="live view",
            state="missing",
            text=f"{what}: runs headless only",
            remedy=remedy or None,
            essential=False,
        )
    ]


_OPENVINO = """
import json, openvino
core = openvino.Core()
print(json.dumps({"version": openvino.__version__.split("-")[0], "devices": {
    name: core.get_property(name, "FULL_DEVICE_NAME").strip() for name in core.available_devices
}}))
"""


def _openvino() -> list[Finding]:
    answer = _probe(_OPENVINO)
    if isinstance(answer, str) or not answer["devices"]:
        why = answer if isinstance(answer, str) else "it found no device"
        return [
            Finding(
                name="openvino",
                state="missing",
                text=f"OpenVINO cannot run networks here ({why})",
                remedy="pip install --force-reinstall 'openvino>=2026.2'",
            )
        ]
    devices = ", ".join(f"{name} ({label})" for name, label in answer["devices"].items())
    return [Finding(name="openvino", state="ok", text=f"{answer['version']}: {devices}")]


def _engines() -> list[Finding]:
    from liverestore.model_spec import BUILT_IN, engine_problems, list_engines

    problems = engine_problems()
    bad = []
    for text in problems.values():
        what, _, remedy = text.partition("; ")
        bad.append(
            Finding(
                name="engines",
                state="missing",
                text=what,
                remedy=remedy or None,
                essential=False,
            )
        )
    packages = [s for s in list_engines() if s.name not in BUILT_IN and s.name not in problems]
    good = [
        s.name if s.reach_um is None else f"{s.name} (refocuses by up to {s.reach_um:g} um)"
        for s in packages
    ]
    if good:
        text = f"{', '.join(good)}: weights have the right sha256"
        return [Finding(name="engines", state="ok", text=text), *bad]
    none = Finding(
        name="engines",
        state="missing",
        text="no network is installed, only the filters mean5 and median5",
        remedy=REINSTALL,
    )
    return [none, *bad]


def _rigs() -> list[Finding]:
    from liverestore.rig import list_rigs, load_rig

    good: list[str] = []
    bad: list[Finding] = []
    for name, file in list_rigs().items():
        try:
            load_rig(file)
            good.append(name)
        except LiverestoreError as error:
            if name.startswith("example") and file.parent == shipped("hardware_configs"):
                # Made to be copied and filled in; it cannot load as it is.
                continue
            text = str(error).replace(f"rig {file}", name).replace(str(file), name)
            what, _, remedy = text.partition("; ")
            bad.append(
                Finding(
                    name="rigs", state="note", text=what, remedy=remedy or None, essential=False
                )
            )
    if "demo" in good:
        return [Finding(name="rigs", state="ok", text=", ".join(good)), *bad]
    none = Finding(
        name="rigs",
        state="missing",
        text="the rig 'demo' is missing or broken",
        remedy=REINSTALL,
    )
    return [none, *bad]


_ZEROMQ = """
import json, zmq
print(json.dumps({"version": zmq.zmq_version(), "curve": zmq.has("curve"), "ipc": zmq.has("ipc")}))
"""


def _zeromq() -> list[Finding]:
    answer = _probe(_ZEROMQ)
    if isinstance(answer, str):
        text = f"ZeroMQ cannot be loaded ({answer})"
        return [Finding(name="zeromq", state="missing", text=text, remedy=REINSTALL)]
    needed = [name for name in ("curve", "ipc") if not answer[name]]
    if not needed:
        text = f"{answer['version']} with CURVE and ipc"
        return [Finding(name="zeromq", state="ok", text=text)]
    windows = sys.platform == "win32"
    # Windows talks over loopback TCP behind CURVE instead of ipc.
    state: State = "missing" if "curve" in needed or not windows else "ok"
    return [
        Finding(
            name="zeromq",
            state=state,
            text=f"{answer['version']} without {' and '.join(needed)}",
            remedy="pip install --force-reinstall pyzmq" if state == "missing" else None,
            essential=windows if "curve" in needed else True,
        )
    ]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _python, _packages, _micromanager, _openvino, gpu, triton, _engines, _rigs, sign_of_z, _zeromq,
    _view, disk, folders,
)  # fmt: skip
"""Each gives one finding or more."""
