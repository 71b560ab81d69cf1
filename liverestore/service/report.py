"""The report of a run, as `--report` writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from liverestore.errors import Failure, UserError
from liverestore.service.plan import RunPlan
from liverestore.service.result import RunResult

__all__ = ["check_report", "run_report", "write_report"]


def run_report(
    plan: RunPlan, result: RunResult, afterwards: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Counts, rates and ages of a run; None where nothing was measured.

    `age_ms` is the time from capture to result; `wait_ms` the part of it before restoring started.
    captured = restored + dropped. `not_seen` are images that a followed Micro-Manager had between
    two looks, None where the camera is driven here. `recordings` has every raw file with the
    numbers of its first and its last frame, and the restored files that belong to it as the run
    left them;
    `restored_afterwards` are the frames that were then restored from the raw file (`afterwards`, by
    raw file), None where that was not asked for. `without_camera` are the times in which the camera
    was away (`status_camera.Absence`). `reference_files` are the files of reference shots, whose
    numbers are missing in the recordings. `saved` is what `--save` named, None
    for a file that was never made: no frame came, or none was restored; `light` is
    `status_light.LightReport` at the end, None for a movie; `reference` is the score of the last
    reference shot, None without one.
    """
    capture, engine = result.capture, result.engine
    return {
        "rig": plan.rig.name,
        "engine": engine.engine if engine else plan.engine,
        "runtime": engine.runtime if engine else None,
        "dpm": engine.dpm if engine else None,
        "trust": msgspec.to_builtins(engine.trust) if engine else {},
        "reference": msgspec.to_builtins(engine.reference) if engine else None,
        "zstack": engine.zstack if engine else None,
        "shape": list(capture.shape) if capture.shape else None,
        "dtype": capture.dtype,
        "frames": {
            "captured": capture.captured,
            "lost": capture.lost,
            "not_seen": capture.unseen,
            "written": capture.written,
            "restored": capture.restored,
            "dropped": capture.dropped,
            "failed": engine.failed if engine else 0,
        },
        "fps": {
            "capture": _rounded(capture.fps),
            "restore": _rounded(engine.fps) if engine else None,
            "view": _rounded(result.view_fps),
        },
        "age_ms": {
            "p50": _rounded(engine.age_p50_ms) if engine else None,
            "p95": _rounded(engine.age_p95_ms) if engine else None,
        },
        "wait_ms": {"p50": _rounded(engine.wait_p50_ms) if engine else None},
        "light": msgspec.to_builtins(capture.light),
        "without_camera": msgspec.to_builtins(capture.absences),
        "saved": {
            "raw": _raw_file(plan, result),
            "restored": _restored_file(plan, result),
        },
        "reference_files": [
            {
                "raw": file.raw,
                "first": file.first,
                "last": file.last,
                "frames": file.frames,
                "lost": file.lost,
                "error": file.error,
            }
            for file in capture.references
        ],
        "recordings": [
            {
                "raw": recording.raw,
                "first": recording.first,
                "last": recording.last,
                "frames": recording.frames,
                "lost": recording.lost,
                "error": recording.error,
                "restored_afterwards": (afterwards or {}).get(recording.raw),
                "restored": [
                    {
                        "path": file.path,
                        "frames": file.frames,
                        "planes": file.planes,
                        "error": file.error,
                    }
                    for file in result.restored_of(recording)
                ],
            }
            for recording in result.recordings
        ],
        "interrupted": result.interrupted,
        "notices": list(result.notices),
        "error": result.failure,
    }


def _raw_file(plan: RunPlan, result: RunResult) -> str | None:
    """The file that was made as `plan` says; None where none was."""
    first = result.recordings[:1] if plan.raw_path is not None else ()
    return next((file.raw for file in first if file.frames), None)


def _restored_file(plan: RunPlan, result: RunResult) -> str | None:
    """The same of restored frames. An engine that died has not told of all that it wrote."""
    asked = str(plan.restored_path)
    made = (one for one in result.restored_files if one.frames or one.error is None)
    return next((one.path for one in made if one.asked == asked), None)


def check_report(path: Path) -> None:
    """Refuse a report that cannot be written, before the run. Raises `UserError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write the report {path}: {error.strerror}; give --report a file name in a "
            "folder you can write to"
        ) from error


def write_report(path: Path, report: dict[str, Any]) -> None:
    """Write `report` as JSON. Raises `Failure` when the disk refuses."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(f"cannot write the report {path}: {error.strerror}") from error


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
