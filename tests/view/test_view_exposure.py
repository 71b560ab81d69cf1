"""The tool Exposure by clicks: what it costs, the question, the curve, Set, undo, refusals."""

import msgspec
import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from liverestore.exposure_quality import parse_quality
from liverestore.status import MeasureExposure, SetExposure, StopMeasuring
from liverestore.status_exposure import (
    ExposureLevel,
    ExposureOffer,
    ExposureReport,
    ExposureResult,
)
from liverestore.view.exposure_text import CHOICES, cost_text, quality_of
from liverestore.view.feed import ShownPair

LEFT = Qt.MouseButton.LeftButton


def offer(**facts):
    return ExposureOffer(
        **{
            "present_ms": 10.0,
            "shortest_ms": 0.233,
            "rounds": 10,
            "least_exposures": 57,
            "most_exposures": 183,
            "least_ms": 380.0,
            "most_ms": 1190.0,
            "least_j_cm2": 0.095,
            "most_j_cm2": 0.2975,
            **facts,
        }
    )


def report(**facts):
    return ExposureReport(**{"offers": (offer(),), **facts})


def result(**facts):
    times = (10.0, 6.25, 3.91, 2.44)
    levels = tuple(
        ExposureLevel(exposure_ms=ms, psnr_db=30 - 3 * n, doubt_db=0.05, frames=3, allowed=n < 3)
        for n, ms in enumerate(times)
    )
    curve = np.geomspace(2.44, 10.0, 40)
    return ExposureResult(
        **{
            "engine": "denoise",
            "asked": "restored pictures as good as the raw ones are",
            "present_ms": 10.0,
            "exposure_ms": 2.5,
            "interval_ms": (2.4, 2.7),
            "raw_psnr_db": 21.2,
            "target_db": 21.2,
            "levels": levels,
            "curve_ms": tuple(curve.tolist()),
            "curve_db": tuple((21 + 9 * np.log(curve / 2.44) / np.log(4.1)).tolist()),
            "lines": ("advice: 2.5 ms", "how sure: 95 % between 2.4 and 2.7 ms", "saved: much"),
            **facts,
        }
    )


@pytest.fixture
def shown(open_window, make_frame, make_status, clock, settle):
    def make(search=None, *, size=(1280, 800), opened=True, header=None, **settings):
        window, feed = open_window(size=size, **settings)

        def tell(search, *, header=header, **facts):
            feed.report(make_status(**{"exposure": search, "recording": None, **facts}))
            frame = make_frame(np.full((40, 60), 7, np.uint16), **(header or {}))
            feed.offer(ShownPair(frame))
            clock.step(0.2)
            window.tick()
            settle()

        tell(search)
        if opened:
            window.drawer.toggle("Exposure")
            tell(search)
        return window, feed, tell

    return make


def click(widget):
    assert widget.isVisible()
    QTest.mouseClick(widget, LEFT)


def test_the_tool_is_there_where_light_is_accounted(shown):
    window, _, tell = shown(None, opened=False)
    button = window.drawer.button("Exposure")
    assert button.isHidden()
    tell(report())
    assert button.isVisible()
    click(button)
    tell(report())
    assert window.exposure.tool.isVisible()
    names = list(window.drawer.names)
    assert names.index("Train") < names.index("Exposure") < names.index("Light")


def test_the_light_is_stated_and_asked_for_before_it_is_spent(shown):
    window, feed, tell = shown(report())
    tool, question = window.exposure.tool, window.exposure.question
    assert "57 to 183 exposures from 10 down to 0.233 ms" in tool.cost.text()
    assert "(95 to 297 mJ/cm²), as much as 38 to 119 frames of now" in tool.cost.text()
    click(tool.measure)
    assert question.isVisible()
    assert tool.cost.text() in question.text.text()
    assert "Live pauses" in question.text.text()
    QTest.keyClick(question, Qt.Key.Key_Return)  # the button with the focus: no light
    assert question.isHidden()
    assert feed.commands() == []
    click(tool.measure)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_Escape)
    assert question.isHidden()
    assert feed.commands() == []
    click(tool.measure)
    click(question.go)
    assert feed.commands() == [
        MeasureExposure(engine="denoise", quality="raw", present_ms=10.0, rounds=10)
    ]
    # Nobody clicks it twice while the run has not answered yet.
    tell(report())
    assert not tool.measure.isVisible()


@pytest.mark.parametrize(
    ("choice", "typed", "quality", "words"),
    [
        ("A share of restored now", None, "80%", "80 % of the quality"),
        ("A share of restored now", "65", "65%", "65 % of the quality"),
        ("An affine PSNR", "33.5", "33.5dB", "33.5 dB affine PSNR"),
    ],
)
def test_the_quality_is_chosen_as_in_the_command(shown, choice, typed, quality, words):
    window, feed, _ = shown(report())
    tool = window.exposure.tool
    assert not tool.amount.isVisible()
    tool.choice.setFocus()
    while tool.choice.currentText() != choice:
        QTest.keyClick(tool.choice, Qt.Key.Key_Down)
    if typed is not None:
        tool.amount.setFocus()
        tool.amount.selectAll()
        QTest.keyClicks(tool.amount, typed)
        QTest.keyClick(tool.amount, Qt.Key.Key_Return)
    assert words in tool.meaning.text()
    click(tool.measure)
    click(window.exposure.question.go)
    assert feed.commands()[0].quality == quality
    parse_quality(quality)


def test_every_choice_is_a_quality_that_the_command_knows():
    kinds = {quality_of(choice, 80.0).kind for choice in CHOICES}
    assert kinds == {"raw", "share", "psnr"}
    assert "J/cm²" not in cost_text(offer(least_j_cm2=None, most_j_cm2=None))
    assert "The budget holds 1.5 J/cm²" in cost_text(offer(left_j_cm2=1.5))


def test_a_measure_shows_how_far_it_is_and_is_stopped_by_a_click(shown):
    window, feed, tell = shown(report())
    tool = window.exposure.tool
    tell(report(state="measuring", done=20, total=57, spent_ms=120.0, spent_j_cm2=0.03, offers=()))
    assert not tool.measure.isVisible()
    assert (tool.progress.value(), tool.progress.maximum()) == (20, 57)
    assert "120 ms of light, 30 mJ/cm²" in tool.said.text()
    assert window.acquisition.run_label.text().endswith("measuring")
    click(tool.stop)
    assert feed.commands() == [StopMeasuring()]
    tell(report(failed="broken off after 21 exposures", spent_ms=130.0))
    assert tool.measure.isVisible()
    assert "broken off after 21 exposures. It cost 130 ms of light" in tool.said.text()


def test_the_advice_is_painted_set_by_a_click_and_undone(shown):
    window, feed, tell = shown(report())
    tool = window.exposure.tool
    assert not tool.chart.isVisible()
    tell(report(result=result()))
    assert tool.chart.isVisible()
    assert tool.advice.text() == "2.5 ms instead of 10 ms: 4 times less light"
    assert "95 % between 2.4 and 2.7 ms" in tool.rest.text()
    # Curve, levels, target, raw, interval and the advised exposure.
    drawn = [item.getOriginalDataset() for item in tool.chart.getPlotItem().listDataItems()]
    assert any(np.array_equal(x, [2.5]) for x, _ in drawn)
    assert any(np.array_equal(x, [2.4, 2.7]) for x, _ in drawn)
    assert any(len(y) == 2 and np.all(y == 21.2) for _, y in drawn)
    assert feed.commands() == []
    assert tool.set_button.text() == "Set 2.5 ms"
    click(tool.set_button)
    assert feed.commands() == [SetExposure(exposure_ms=2.5)]
    assert window.acquisition.exposure.value() == 2.5
    click(window.acquisition.undo)
    assert feed.commands() == [SetExposure(exposure_ms=10.0)]


def test_an_advice_is_set_in_its_channel_alone(shown):
    header = {"channel": "GFP"}
    search = report(offers=(offer(channel="DAPI", present_ms=3.0), offer(channel="GFP")))
    window, feed, tell = shown(search, header=header)
    tell(msgspec.structs.replace(search, result=result(channel="DAPI", present_ms=9.0)))
    tool = window.exposure.tool
    assert tool.set_button.text() == "Set 2.5 ms for DAPI"
    click(tool.set_button)
    assert feed.commands() == [SetExposure(exposure_ms=2.5, channel="DAPI")]
    # The box is that of the channel that is looked at.
    assert window.acquisition.exposure.value() == 10.0
    click(window.acquisition.undo)
    assert feed.commands() == [SetExposure(exposure_ms=9.0, channel="DAPI")]


def test_an_advice_for_another_engine_than_the_one_in_use_is_not_set(shown):
    window, feed, tell = shown(report())
    tell(report(result=result()))
    tool = window.exposure.tool
    assert not tool.outdated.isVisible()
    tell(report(result=result()), engine="median5")
    assert tool.outdated.isVisible()
    assert "for the engine denoise, and median5 is in use" in tool.outdated.text()
    assert not tool.set_button.isEnabled()
    QTest.mouseClick(tool.set_button, LEFT)
    assert feed.commands() == []
    tell(report(result=result()))
    assert not tool.outdated.isVisible()
    click(tool.set_button)
    assert feed.commands() == [SetExposure(exposure_ms=2.5)]
    # Of several channels the engine of the one that was measured counts.
    two = report(offers=(offer(channel="DAPI"), offer(channel="GFP")))
    two = msgspec.structs.replace(two, result=result(channel="DAPI"))
    tell(two, header={"channel": "GFP"}, engines={"GFP": "median5"})
    assert not tool.outdated.isVisible()
    tell(two, header={"channel": "GFP"}, engines={"DAPI": "median5"})
    assert tool.outdated.isVisible()


@pytest.mark.parametrize(
    ("search", "facts", "words"),
    [
        (report(), {"recording": "/data/run.ome.zarr"}, "A recording is being written"),
        (report(), {"state": "stopped"}, "The run has ended"),
        (
            report(offers=(offer(refusal="the light budget holds 0.02 J/cm2 more here"),)),
            {},
            "The light budget holds 0.02",
        ),
    ],
)
def test_what_cannot_be_measured_says_why_and_cannot_be_clicked(shown, search, facts, words):
    window, feed, tell = shown(report())
    tool = window.exposure.tool
    click(tool.measure)
    tell(search, **facts)
    assert window.exposure.question.isHidden(), "what was asked is not possible any more"
    assert words in tool.refused.text()
    assert tool.refused.isVisible()
    assert not tool.measure.isEnabled()
    QTest.mouseClick(tool.measure, LEFT)
    assert feed.commands() == []


def test_a_series_without_an_advice_offers_nothing_to_set(shown):
    window, _, tell = shown(report())
    tell(
        report(
            result=result(
                exposure_ms=None, interval_ms=None, refusal="the sample moved", lines=("spent: a",)
            )
        )
    )
    tool = window.exposure.tool
    assert tool.advice.text() == "No advice: the sample moved"
    assert tool.chart.isVisible()
    assert not tool.set_button.isVisible()


@pytest.mark.parametrize("size", [(1280, 800), (3840, 2160)])
def test_nothing_of_the_tool_is_cut_off(shown, size, settle):
    window, _, tell = shown(report(), size=size)
    tell(report(result=result(channel="GFP with a long name")))
    settle()
    tool = window.exposure.tool
    edge = window.drawer.button("Exposure").mapTo(window, QPoint(0, 0)).x()
    for widget in (tool.choice, tool.measure, tool.chart, tool.advice, tool.set_button):
        left = widget.mapTo(window, QPoint(0, 0)).x()
        assert left + widget.width() <= edge
    click(tool.measure)
    question = window.exposure.question
    for widget in (question.go, question.cancel):
        place = widget.mapTo(window, QPoint(0, 0))
        assert window.rect().contains(place + widget.rect().bottomRight())


def test_the_curve_follows_the_theme(shown, settle):
    window, _, tell = shown(report())
    tell(report(result=result()))
    before = window.exposure.tool.chart.grab().toImage()
    click(window.look_bar.theme)
    settle()
    assert window.exposure.tool.chart.grab().toImage() != before
