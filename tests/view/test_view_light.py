"""Light in the window: the cell, the tool, the budget and what is asked when it is used up."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from liverestore.dose import Lamp
from liverestore.dose_meter import DoseBudget, DoseMeter
from liverestore.service.light_sums import budget_spent
from liverestore.status import LightReport, NewSample, SetBudget, SetExposure, SetHold
from liverestore.status_light import HoldReport
from liverestore.view.feed import ShownPair
from liverestore.view.light_text import dose_text, light_cell, light_texts, paused_text
from liverestore.view.status_cells import Tone


def light(**facts):
    return LightReport(
        **{
            "frame_j_cm2": 0.01,
            "frame_on_ms": 40.0,
            "field": 2,
            "fields": 3,
            "field_j_cm2": 1.234,
            "field_on_s": 4.9,
            "session_j_cm2": 3.4,
            "session_on_s": 13.6,
            "began_utc": "2026-11-23T05:00:00+00:00",
            "exposures": 1340,
            "on_share": 0.98,
            "j_cm2_per_hour": 885.0,
            "budget_j_cm2": 2.0,
            "spent_share": 0.617,
            "shutter": "LED",
            "account": "/home/me/light/demo.json",
            **facts,
        }
    )


UNMEASURED = {
    "frame_j_cm2": None,
    "field_j_cm2": None,
    "session_j_cm2": None,
    "j_cm2_per_hour": None,
    "budget_j_cm2": None,
    "spent_share": None,
}


@pytest.fixture
def lit(open_window, make_frame, make_status, clock, settle):
    def make(report, *, live=True, size=(1280, 800)):
        window, feed = open_window(size=size)

        def tell(report, *, live=True):
            feed.report(make_status(light=report, live=live))
            feed.offer(ShownPair(make_frame(np.full((40, 60), 7, np.uint16))))
            clock.step(1.0)
            window.tick()
            settle()

        tell(report, live=live)
        return window, feed, tell

    return make


def test_the_cell_says_what_the_field_got_and_of_what_budget(make_status):
    cell = light_cell(make_status(light=light()))
    assert (cell.value, cell.aside, cell.tone) == ("1.23 J/cm²", "61 %", Tone.NORMAL)
    assert "3.4 J/cm² in this session" in cell.detail
    assert light_cell(make_status(light=light(spent_share=0.8))).tone is Tone.WARN
    stopped = light_cell(make_status(light=light(spent_share=0.9999, stopped=True)))
    assert (stopped.aside, stopped.tone) == ("99 %", Tone.ALARM)
    timed = light_cell(make_status(light=light(**UNMEASURED)))
    assert timed.value == "4.9 s"
    assert "no irradiance" in timed.detail
    assert light_cell(make_status()).tone is Tone.MUTED


@pytest.mark.parametrize(
    ("j_cm2", "text"),
    [(0.9996, "1 J/cm²"), (123.4, "123 J/cm²"), (9.994e-4, "999 µJ/cm²"), (1e-9, "0.001 µJ/cm²")],
)
def test_doses_have_three_digits_and_a_unit_that_suits_them(j_cm2, text):
    assert dose_text(j_cm2) == text


def test_a_paused_camera_without_a_closed_shutter_does_not_promise_darkness():
    assert "no light on the sample" in paused_text(light(shutter_open=False))
    assert "LED is OPEN" in paused_text(light(shutter_open=True))
    assert "does not answer" in paused_text(light(shutter_open=None))
    assert "see that the light is off" in paused_text(light(shutter=None))
    assert "no light on the sample" in paused_text(light(shutter=None, triggered=True))
    assert "not counted" in light_texts(light(shutter=None), live=True).remark
    assert light_texts(light(shutter=None, triggered=True), live=True).remark == ""


def test_the_tool_is_offered_with_an_account_and_shows_it(lit):
    window, _, tell = lit(None)
    button = window.drawer.button("Light")
    assert button.isHidden()
    tell(light())
    assert button.isVisible()
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_I)
    tell(light())
    texts = window.light.tool.texts()
    assert texts["Last frame"] == "10 mJ/cm² in 40 ms"
    assert texts["Field 2"] == "1.23 J/cm²"
    assert texts["Session, 3 fields"] == "3.4 J/cm²"
    assert texts["Light on"] == "98 % of the time"
    assert texts["In an hour at this rate"] == "885 J/cm²"
    assert window.light.tool.bar.value() == 617
    assert window.status.texts()["LIGHT"] == "1.23 J/cm²"
    tell(light(shutter_open=False), live=False)
    assert window.light.tool.texts()["Shutter"] == "LED: closed"
    tell(light(**UNMEASURED))
    assert not window.light.tool.bar.isVisible()
    assert not window.light.tool.budget.isEnabled()
    assert "no irradiance" in window.light.tool.remark.text()


def test_a_budget_is_set_with_enter(lit):
    window, feed, _ = lit(light(session_budget_j_cm2=50.0))
    window.drawer.toggle("Light")
    window.tick()
    box = window.light.tool.budget
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "3.5")
    assert feed.commands() == []
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert feed.commands() == [SetBudget(field_j_cm2=3.5, session_j_cm2=50.0)]
    assert box.value() == 3.5


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_a_used_up_budget_asks_once_and_is_raised_on_purpose(lit, size):
    window, feed, tell = lit(light(), size=size)
    question = window.light.budget_question
    assert question.isHidden()
    over = light(stopped=True, shutter_open=False, field_j_cm2=1.996, spent_share=0.998)
    tell(over, live=False)
    assert question.isVisible()
    assert "2 J/cm² for field 2" in question.text.text()
    assert "The shutter (LED) is closed." in question.text.text()
    for widget in (question.more, question.allow, question.keep_dark):
        place = widget.mapTo(window, QPoint(0, 0))
        assert window.rect().contains(place)
        assert window.rect().contains(place + widget.rect().bottomRight())
    QTest.keyClick(question, Qt.Key.Key_Return)  # the button with the focus: stay dark
    assert question.isHidden()
    tell(over, live=False)
    assert question.isHidden(), "asked once"
    assert feed.commands() == []
    tell(light())
    tell(over, live=False)
    assert question.isVisible()
    QTest.mouseClick(question.allow, Qt.MouseButton.LeftButton)
    assert feed.commands() == [SetBudget(field_j_cm2=2.5)]


def test_the_question_speaks_of_the_tighter_budget_and_of_a_shutter_that_stays_open(lit):
    window, feed, tell = lit(light())
    over = light(
        stopped=True, shutter_open=True, session_j_cm2=9.99, session_budget_j_cm2=10.0,
        spent_share=0.999,
    )  # fmt: skip
    tell(over, live=False)
    question = window.light.budget_question
    assert "10 J/cm² for this session" in question.text.text()
    assert "did NOT close" in question.text.text()
    QTest.mouseClick(question.allow, Qt.MouseButton.LeftButton)
    assert feed.commands() == [SetBudget(field_j_cm2=2.0, session_j_cm2=12.5)]


def test_escape_leaves_the_sample_dark(lit):
    window, feed, tell = lit(light())
    tell(light(stopped=True, shutter_open=False, spent_share=1.0), live=False)
    QTest.keyClick(window.raw_pane.image, Qt.Key.Key_Escape)
    assert window.light.budget_question.isHidden()
    assert feed.commands() == []


def test_a_new_sample_is_asked_for_twice(lit):
    window, feed, _ = lit(light())
    window.drawer.toggle("Light")
    window.tick()
    question = window.light.sample_question
    QTest.mouseClick(window.light.tool.new_sample, Qt.MouseButton.LeftButton)
    assert question.isVisible()
    assert "3.4 J/cm²" in question.text.text()
    QTest.mouseClick(question.cancel, Qt.MouseButton.LeftButton)
    assert feed.commands() == []
    QTest.mouseClick(window.light.tool.new_sample, Qt.MouseButton.LeftButton)
    QTest.mouseClick(question.begin, Qt.MouseButton.LeftButton)
    assert feed.commands() == [NewSample()]


@pytest.mark.parametrize("shutter", ["LED", "Spectra X of the left port", "X" * 60])
def test_nothing_in_the_tool_is_under_the_strip_of_tools(lit, shutter, settle):
    report = light(frame_j_cm2=0.01034, frame_on_ms=41.34, shutter=shutter, shutter_open=False)
    window, _, tell = lit(report, live=False)
    window.drawer.toggle("Light")
    tell(report, live=False)
    settle()
    tool = window.light.tool
    edge = window.drawer.button("Light").mapTo(window, QPoint(0, 0)).x()
    assert tool.mapTo(window, QPoint(0, 0)).x() + tool.width() <= edge


def test_a_budget_that_was_exceeded_is_not_said_to_be_about_to(lit):
    window, _, tell = lit(light())
    tell(light(stopped=True, shutter_open=False, field_j_cm2=2.008, spent_share=1.004))
    assert "exceed" not in window.light.budget_question.text.text()
    meter = DoseMeter(DoseBudget(field_j_cm2=0.02))
    meter.charge(Lamp(None, 250.0), 79.0)
    assert "the next frame would exceed it" in budget_spent(meter)
    meter.charge(Lamp(None, 250.0), 40.0)
    assert "exceed" not in budget_spent(meter)


HOLD = {"on": False, "exposure_ms": 40.0}


def held(**facts):
    return light(hold=HoldReport(**{**HOLD, **facts}))


def test_the_light_is_held_by_a_switch_with_target_and_limit_and_undone(lit):
    window, feed, tell = lit(held())
    window.drawer.toggle("Light")
    tell(held())
    panel = window.light.tool.hold
    assert panel.words.text().startswith("Off. Switched on")
    assert panel.longest.value() == 80.0
    assert not panel.target.isEnabled()
    QTest.mouseClick(panel.switch, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert feed.commands() == [SetHold(on=True, longest_ms=80.0)]
    at_work = held(
        on=True, target_e=132.04, light_e=128.0, exposure_ms=44.0, began_ms=40.0, shortest_ms=4.0,
        longest_ms=80.0,
    )  # fmt: skip
    tell(at_work)
    assert panel.switch.isChecked()
    words = panel.words.text()
    assert "Holds 132 e of the structure in a frame, now 128 e in 44 ms" in words
    assert "began at 40 ms" in words
    assert "4 to 80 ms" in words
    panel.longest.setFocus()
    panel.longest.selectAll()
    QTest.keyClicks(panel.longest, "60")
    QTest.keyClick(panel.longest, Qt.Key.Key_Return)
    assert feed.commands()[-1] == SetHold(on=True, longest_ms=60.0, target_e=132.04)
    QTest.mouseClick(window.acquisition.undo, Qt.MouseButton.LeftButton)
    assert feed.commands()[-1] == SetHold(on=True, longest_ms=80.0, target_e=132.04)
    assert window.acquisition.undo.toolTip().count("hold the light off") == 1
    QTest.mouseClick(window.acquisition.undo, Qt.MouseButton.LeftButton)
    # Undone, the exposure is that of before too.
    assert feed.commands()[-2:] == [
        SetHold(on=False, longest_ms=80.0),
        SetExposure(exposure_ms=40.0),
    ]
    tell(held(exposure_ms=40.0))
    assert not panel.switch.isChecked()


def test_what_keeps_the_light_from_being_held_is_said(lit):
    window, feed, tell = lit(light())
    window.drawer.toggle("Light")
    tell(light())
    panel = window.light.tool.hold
    assert not panel.switch.isEnabled()
    assert "one channel" in panel.words.text()
    tell(held(on=True, target_e=100.0, held_back="the picture is refuted, and gets no less light"))
    assert "Not held: the picture is refuted" in panel.words.text()
    assert feed.commands() == []


def test_no_budget_is_not_shown_as_a_budget_of_nothing(lit):
    window, feed, tell = lit(light(budget_j_cm2=None, spent_share=None))
    window.drawer.toggle("Light")
    tell(light(budget_j_cm2=None, spent_share=None))
    box = window.light.tool.budget
    assert box.text() == "no limit"
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "1.5")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert feed.commands() == [SetBudget(field_j_cm2=1.5, session_j_cm2=None)]
    tell(light(budget_j_cm2=1.5))
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "0")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert feed.commands()[-1] == SetBudget(field_j_cm2=None, session_j_cm2=None)
