"""How a run went."""

from __future__ import annotations

from dataclasses import dataclass

from liverestore.status import CaptureReport, EngineReport, RecordingReport, RestoredReport

__all__ = ["RunResult"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run went."""

    capture: CaptureReport
    engine: EngineReport | None
    view_fps: float | None
    recordings: tuple[RecordingReport, ...]
    """Every raw file that was made, oldest first."""
    restored_files: tuple[RestoredReport, ...]
    """Every file of restored frames that was made, oldest first."""
    notices: tuple[str, ...]
    failure: str | None
    """The one line to print; None when all went well."""
    exit_code: int
    interrupted: bool

    def restored_of(self, recording: RecordingReport) -> tuple[RestoredReport, ...]:
        """Files with results of the frames of `recording`; several where the engine died."""
        return tuple(file for file in self.restored_files if file.asked == recording.restored)
