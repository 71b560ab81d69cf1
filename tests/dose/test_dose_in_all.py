"""One account over frames, snaps, reference shots, a series for the exposure, and a restart.

Against what the simulated core itself exposed, one exposure after the other, each with its time.
"""

import pytest
from light_run import EXPOSURE_MS, FRAME_J, IRRADIANCE, paused, simulated

from liverestore.dose import dose_j_cm2, nanoseconds
from liverestore.dose_account import open_account
from liverestore.dose_meter import DoseBudget
from liverestore.model_spec import find_engine
from liverestore.reference_schedule import reference_plan
from liverestore.runtime.table import open_runtime
from liverestore.service.exposure_measure import ExposureMeasure
from liverestore.service.reference_shots import ReferenceShots
from liverestore.status import MeasureExposure, SetExposure, SetLive, SetRecording, Snap


def shots(every):
    return ReferenceShots(reference_plan(every, "5x"), save_format="ome-tiff")


def exposed_ns(run):
    """Of every exposure that the core of `run` began."""
    microscope = run.source.microscope
    return [nanoseconds(microscope.exposure(n).exposure_ms) for n in range(run.exposures)]


def counted_ns(meter):
    return sum(ns for *_, ns in meter.session.lines())


def measured(run):
    """Take a series for the exposure, as the capture process does."""
    measure = ExposureMeasure(
        simulated(),
        run.light,
        threads=1,
        paced=True,
        open_engine=lambda name: open_runtime(find_engine(name), threads=1),
    )
    try:
        word = MeasureExposure(engine="mean5", present_ms=6.0, rounds=3)
        measure.ask(word, run.loop.order)

        def found(report):
            search = measure.report(run.source, report.light)
            return search if search.failed or search.result else None

        run.until(found)
        search = found(run.loop.report("running"))
        assert search.failed is None
        assert search.done >= 57
    finally:
        measure.close()


def test_the_account_is_the_sum_of_all_that_the_core_exposed(opened, consumers, tmp_path):
    # Every frame is a snap, so that no exposure is broken off and the sum has no doubt.
    first = opened(simulated(), references=shots("4frames"), interval_s=0.01)
    consumers(first)
    first.start()
    spent = first.meter.session
    first.until(lambda _report: spent.count("reference") >= 2)
    report = first.order(SetLive(on=False), paused)
    for _ in range(2):
        first.loop.order(Snap())
    first.until(lambda later: later.captured == report.captured + 2)
    first.loop.order(SetRecording(on=False))
    first.loop.order(SetExposure(exposure_ms=6.0))
    measured(first)
    first.order(SetLive(on=True), lambda later: later.captured >= report.captured + 6)
    first.end()
    before = exposed_ns(first)
    assert {nanoseconds(ms) for ms in (EXPOSURE_MS, 6.0, 5 * EXPOSURE_MS)} <= set(before)
    assert spent.count() == len(before)
    assert spent.count("reference") >= 2 + 57
    assert counted_ns(first.meter) == sum(before)

    # Started again it goes on, up to a budget that it never exceeds, and to within one frame.
    account = tmp_path / "light.json"
    budget_j_cm2 = dose_j_cm2(IRRADIANCE, sum(before)) + 61.5 * FRAME_J
    meter = open_account(account, budget=DoseBudget(session_j_cm2=budget_j_cm2))
    assert counted_ns(meter) == sum(before)
    again = opened(simulated(), meter=meter, references=shots("6frames"), interval_s=0.01)
    consumers(again)
    again.start()
    again.until(paused)
    again.loop.order(Snap())
    again.until(lambda _report: any("no light: " in line for line in again.loop.notices))
    again.end()
    after = exposed_ns(again)
    assert nanoseconds(5 * EXPOSURE_MS) in after
    total = open_account(account).session
    assert total.count() == len(before) + len(after)
    assert sum(ns for *_, ns in total.lines()) == sum(before) + sum(after)
    assert total.dose_j_cm2 == pytest.approx(
        dose_j_cm2(IRRADIANCE, sum(before) + sum(after)), rel=1e-14
    )
    assert budget_j_cm2 - FRAME_J < total.dose_j_cm2 <= budget_j_cm2


def test_a_restart_while_a_sequence_runs_never_exceeds_the_budget(opened, tmp_path):
    """The camera runs ahead of the program in both runs, and the budget is that of both."""
    budget = DoseBudget(field_j_cm2=25.5 * FRAME_J)
    first = opened(simulated(), budget=budget).start()
    first.until(lambda report: report.captured >= 6)
    first.end()
    meter = open_account(tmp_path / "light.json", budget=budget)
    again = opened(simulated(), meter=meter).start()
    again.until(paused)
    spent = again.meter.session
    # One exposure was broken off at the end of the first run, or had not begun.
    assert spent.count() - first.exposures - again.exposures in (0, 1)
    assert spent.count() == 25
    assert spent.dose_j_cm2 <= 25.5 * FRAME_J
