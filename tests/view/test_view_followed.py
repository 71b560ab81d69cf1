"""The window of a run that follows a Micro-Manager: nothing here drives the camera."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from liverestore.status import SetLive
from liverestore.view.feed import ShownPair


@pytest.fixture
def followed(open_window, make_frame, make_restored, make_status):
    window, feed = open_window(engines=("denoise",))
    feed.report(make_status(unseen=1234))
    raw = make_frame(np.arange(60 * 80, dtype=np.uint16).reshape(60, 80))
    feed.offer(ShownPair(raw, make_restored(raw)))
    window.tick()
    return window, feed


def test_what_only_micro_manager_sets_is_shown_and_greyed(followed):
    controls = followed[0].acquisition
    for box, value in ((controls.exposure, 10.0), (controls.z, 1.5)):
        assert not box.isEnabled()
        assert box.value() == value
        assert "Micro-Manager drives the camera" in box.toolTip()
    for button in (controls.snap, controls.z_up, controls.z_down):
        assert not button.isEnabled()
    assert "Micro-Manager drives the camera" in controls.snap.toolTip()


def test_live_follows_or_not_and_says_that_the_light_goes_on(followed, make_status):
    window, feed = followed
    live = window.acquisition.live
    assert "its light stays as it is" in live.toolTip()
    QTest.mouseClick(live, Qt.MouseButton.LeftButton)
    assert feed.commands() == [SetLive(on=False)]
    feed.report(make_status(unseen=1234, live=False))
    window.tick()
    assert not window.acquisition.snap.isEnabled()
    assert window.raw_pane.image.overlay.banner.startswith("not following - the light stays")


def test_images_between_two_looks_are_no_losses(followed):
    cells = {cell.name: cell for cell in followed[0].state.cells}
    assert cells["LOST"].label == "NOT SEEN"
    assert followed[0].status._cells["LOST"]._name.text() == "NOT SEEN"
    assert cells["LOST"].value == "1\u202f234"
