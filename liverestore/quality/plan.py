"""Which tests suit which engines, what is left out, and the measuring itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from liverestore.errors import LiverestoreError
from liverestore.quality.denoising import recorded_denoising, simulated_denoising
from liverestore.quality.methods import Engine
from liverestore.quality.records import QualityTest, Score, Tally
from liverestore.quality.refocusing import simulated_refocusing, simulated_surfaces
from liverestore.quality.refocusing_recorded import (
    BEAD_PIXEL_UM,
    binning_for,
    recorded_beads,
    recorded_light_sheet,
)
from liverestore.quality.sharpening import (
    recorded_sim_pairs,
    simulated_sharpening,
    simulated_widths,
)

__all__ = ["FILTERS", "Measured", "Plan", "default_data", "measure", "plan"]

FILTERS = ("mean5", "median5")
"""Engines that stand beside every other."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Tests to run, and what is not measured, with the reason, in one line each."""

    tests: list[QualityTest]
    left_out: list[str]


@dataclass(slots=True)
class Measured:
    """What came of one test, whole or interrupted."""

    test: QualityTest
    tally: Tally
    done: int = 0
    problem: str | None = None
    """Why it ended early, other than by the user."""

    @property
    def scores(self) -> list[Score]:
        """Means over what was measured."""
        return self.tally.scores()


def default_data() -> Path | None:
    """The folder of real test images beside a checkout; None where there is none."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    return folder if folder.is_dir() else None


@dataclass(slots=True)
class _Draft:
    tests: list[QualityTest] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Real images that were looked for and not found."""
    no_torch: list[str] = field(default_factory=list)
    """Titles of tests that need it."""

    def recorded(self, what: str, test: QualityTest | None) -> None:
        if test is None:
            self.missing.append(what)
        else:
            self.tests.append(test)

    def simulated_3d(self, test: QualityTest) -> None:
        # Tested here rather than when it runs, so that the reason is known beforehand.
        if importlib.util.find_spec("torch") is None:
            self.no_torch.append(test.title)
        else:
            self.tests.append(test)


def plan(engines: Sequence[Engine], filters: Sequence[Engine], data: Path | None) -> Plan:
    """Tests for `engines` (without the filters), chosen by the task on their cards.

    `filters` stand beside the engines everywhere; with no engine at all they are measured as
    the denoisers that they are. `data` is a folder laid out like that of `default_data`.
    """
    draft = _Draft()
    by_task: dict[str, list[Engine]] = {}
    for engine in engines:
        by_task.setdefault(engine.spec.task, []).append(engine)
    denoisers = by_task.pop("denoise", [])
    if denoisers or not engines:
        both = [*denoisers, *filters]
        draft.tests.append(simulated_denoising(both))
        if data is not None:
            draft.recorded("denoising pairs", recorded_denoising(both, data))
    _plan_refocusing(draft, by_task, filters, data)
    sharpened: list[Engine] = []
    for task, sted in (("widefield-to-confocal", False), ("confocal-to-sted", True)):
        found = by_task.pop(task, [])
        sharpened += found
        if found:
            draft.simulated_3d(simulated_sharpening([*found, *filters], sted=sted))
        if found and sted:
            draft.tests.append(simulated_widths(found))
    if sharpened and data is not None:
        test = recorded_sim_pairs([*sharpened, *filters], data)
        draft.recorded("widefield and SIM pairs", test)
    for task, unknown in by_task.items():
        names = ", ".join(engine.name for engine in unknown)
        draft.left_out.append(f"{names}: there is no quality test for the task '{task}'")
    if draft.no_torch:
        draft.left_out.append(
            f"{'; '.join(draft.no_torch)}: the specimens need torch; pip install "
            "'liverestore[train]'"
        )
    if data is None:
        draft.left_out.append("real images: no folder of test images here; name one with --data")
    elif draft.missing:
        draft.left_out.append(f"not in {data}: {', '.join(draft.missing)}")
    return Plan(draft.tests, draft.left_out)


def _plan_refocusing(
    draft: _Draft,
    by_task: dict[str, list[Engine]],
    filters: Sequence[Engine],
    data: Path | None,
) -> None:
    widefield = by_task.pop("refocus", [])
    sectioning = by_task.pop("confocal-refocus", [])
    for found, confocal in ((widefield, False), (sectioning, True)):
        if found:
            draft.simulated_3d(simulated_refocusing(found, filters, confocal=confocal))
    if widefield:
        draft.simulated_3d(simulated_surfaces(widefield))
    if widefield and data is not None:
        by_binning: dict[int, list[Engine]] = {}
        for engine in widefield:
            by_binning.setdefault(binning_for(engine, BEAD_PIXEL_UM), []).append(engine)
        for binning, group in sorted(by_binning.items()):
            draft.recorded("bead stack", recorded_beads(group, data, binning))
        draft.recorded("light-sheet planes", recorded_light_sheet(widefield, data))


def measure(measured: Measured, on_step: Callable[[], None]) -> None:
    """Run the test of `measured` and fill it as it goes, so that Ctrl-C loses one step.

    An engine that fails ends the test; the reason is kept.
    """
    try:
        for samples in measured.test.run():
            measured.tally.add(samples)
            measured.done += 1
            on_step()
    except LiverestoreError as error:
        measured.problem = str(error)
