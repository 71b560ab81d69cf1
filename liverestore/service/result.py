"""How a run went."""

from __future__ import annotations

from dataclasses import dataclass

from liverestore.status import CaptureReport, EngineReport

__all__ = ["RunResult"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run went."""

    capture: CaptureReport
    engine: EngineReport | None
    view_fps: float | None
    notices: tuple[str, ...]
    failure: str | None
    """The one line to print; None when all went well."""
    exit_code: int
    interrupted: bool
