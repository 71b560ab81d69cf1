"""Sees that the focus drive stands still while virtual planes are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from liverestore.errors import Failure

__all__ = ["DriveAccount", "StageWatch", "Stages"]

_SAME_UM = 0.05
"""Encoders of drives that stand still differ by some nanometres from reading to reading."""


class Stages(Protocol):
    """What is asked of the stages of a microscope (`camera.mm_stages.CoreStages`)."""

    focus: str
    xy: str

    def drives_um(self) -> dict[str, float]:
        """Position of each drive of one axis by its label."""
        ...

    def focus_um(self) -> float | None:
        """Of the focus drive; None without one."""
        ...

    def xy_um(self) -> tuple[float, float] | None:
        """Of the XY stage; None without one."""
        ...

    def go_to(self, x_um: float, y_um: float) -> tuple[float, float]:
        """Move the XY stage, and nothing else."""
        ...


@dataclass(slots=True)
class DriveAccount:
    """Where a drive was in all readings, in um."""

    first_um: float
    lowest_um: float
    highest_um: float
    readings: int = 1

    def note(self, um: float) -> None:
        """Add a reading."""
        self.lowest_um, self.highest_um = min(self.lowest_um, um), max(self.highest_um, um)
        self.readings += 1


class StageWatch:
    """Reads drives and compares them with where they were at the start."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self.drives = {label: DriveAccount(um, um, um) for label, um in stages.drives_um().items()}
        """Every drive of one axis: focus drives, piezos."""

    @property
    def focus(self) -> DriveAccount | None:
        """The focus drive; None where there is none."""
        return self.drives.get(self._stages.focus)

    def check_focus(self, when: str) -> None:
        """Raises `Failure` where the focus drive is not where it was; `when` in words."""
        um = self._stages.focus_um()
        if um is not None:
            self._compare(self._stages.focus, um, when)

    def check_all(self, when: str) -> None:
        """The same for every drive of one axis."""
        for label, um in self._stages.drives_um().items():
            self._compare(label, um, when)

    def _compare(self, label: str, um: float, when: str) -> None:
        drive = self.drives[label]
        drive.note(um)
        if abs(um - drive.first_um) > _SAME_UM:
            what = "focus drive" if label == self._stages.focus else "drive"
            raise Failure(
                f"{what} {label}: was at {drive.first_um:g} um and is at {um:g} um {when}; virtual "
                "planes need it to stand still; switch off autofocus and whatever else moves it, "
                "then go on with --resume"
            )
