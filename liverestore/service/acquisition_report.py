"""The report of an acquisition, as `liverestore acquire --report` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liverestore.acquisition_plan import AcquisitionPlan
from liverestore.service.acquisition import Outcome
from liverestore.service.acquisition_record import Settings

__all__ = ["acquisition_report", "mean_interval_s"]


def mean_interval_s(outcome: Outcome) -> float | None:
    """From one time point to the next; None for fewer than two."""
    begun = outcome.started_s
    return (begun[-1] - begun[0]) / (len(begun) - 1) if len(begun) > 1 else None


def acquisition_report(
    settings: Settings, plan: AcquisitionPlan, outcome: Outcome, notices: Sequence[str]
) -> dict[str, Any]:
    """Counts, times, files and where all drives were; None where nothing was measured."""
    interval_s = mean_interval_s(outcome)
    late = outcome.late_s
    return {
        "rig": settings.rig,
        "engine": settings.engine,
        "zstack": settings.zstack,
        "dpm": settings.dpm,
        "asked": {
            "time_points": len(plan.times_s),
            "positions": len(plan.positions),
            "channels": plan.channel_count,
            "exposures": plan.exposures,
        },
        "exposures": outcome.exposures,
        "light_s": round(outcome.light_s, 6),
        "frames": {
            "raw": sum(files.raw.frames for files in outcome.files),
            "restored": outcome.restored,
            "planes": sum(files.restored.frames for files in outcome.files),
        },
        "interval_s": {
            "mean": None if interval_s is None else round(interval_s, 4),
            "latest": round(max(late), 4) if late else None,
            "late_mean": round(sum(late) / len(late), 4) if late else None,
        },
        "time_points_begun_s": [round(begun, 3) for begun in outcome.started_s],
        "drives_um": {
            label: {
                "first": drive.first_um,
                "lowest": drive.lowest_um,
                "highest": drive.highest_um,
                "readings": drive.readings,
            }
            for label, drive in outcome.drives.items()
        },
        "positions": [
            {
                "name": position.name,
                "xy_um": place,
                "raw": str(files.raw.path),
                "raw_frames": files.raw.frames,
                "restored": str(files.restored.path),
                "planes": files.restored.frames,
            }
            for position, place, files in zip(
                plan.positions, outcome.visited_um, outcome.files, strict=True
            )
        ],
        "interrupted": outcome.interrupted,
        "notices": list(notices),
        "engine_error": None if outcome.engine_error is None else str(outcome.engine_error),
        "error": None if outcome.error is None else str(outcome.error),
    }
