"""The light of what can be believed, in the status line, the tool, and over the image."""

import dataclasses

import numpy as np
import pytest
from PySide6.QtGui import QColor
from scipy.ndimage import gaussian_filter

from liverestore.status import SetTrustMap
from liverestore.trust.reference_report import ReferenceReport
from liverestore.trust.trust_map import TrustMap
from liverestore.trust.verdict import Verdict
from liverestore.view.trust_layer import TrustLayer
from liverestore.view.trust_words import trust_cell

NUMBERS = {
    "frames": 32.0,
    "detectable_e": 11.0,
    "invented_spots": 2.0,
    "invented_e": 31.0,
    "residual_variance": 0.94,
    "residual_lag1": -0.04,
    "residual_lag1_error": 0.001,
}


def verdict(level="red", reason="shows spots that are not in the data"):
    return Verdict(level=level, reason=reason, numbers=NUMBERS)


def shown(open_window, make_frame, make_restored, settle, clock, status):
    window, feed = open_window()
    frame = make_frame()

    def again(with_status=status):
        feed.report(with_status)
        clock.step(1)
        window.tick()
        settle()

    from liverestore.view.feed import ShownPair

    feed.offer(ShownPair(frame, make_restored(frame)))
    again()
    return window, feed, again


def test_the_worst_channel_is_told_with_its_reason(make_status):
    assert trust_cell(None).value == "\u2013"
    cell = trust_cell(
        make_status(trust={"GFP": verdict("green", "agrees with the data"), "RFP": verdict()})
    )
    assert cell.value == "\u25cf refuted"
    assert cell.tone.value == "alarm"
    assert cell.detail.startswith("RFP: shows spots that are not in the data")
    assert "2 spots, the largest of 31 e" in cell.detail


def test_light_tool_and_map(open_window, make_frame, make_restored, make_status, settle, clock):
    status = make_status(trust={"": verdict()})
    window, feed, again = shown(open_window, make_frame, make_restored, settle, clock, status)
    assert window.restored_pane._header.light.text() == "\u25cf refuted"
    assert "spots that are not in the data" in window.trust.tool.detail.text()

    window.trust.tool.maps.setCurrentText("Where data and image differ")
    assert feed.commands()[-1] == SetTrustMap(kind="evidence")
    before = window.restored_pane.image.grab().toImage()
    grid = np.zeros((8, 12), "<f2")
    grid[4, 6] = -9
    sent = TrustMap(kind="evidence", channel="", shape=(64, 96), cell_px=8, values=grid.tobytes())
    again(make_status(trust={"": verdict()}, trust_map=sent))
    assert window.restored_pane.image.trust is not None
    assert window.raw_pane.image.trust is None
    assert window.restored_pane.image.grab().toImage() != before

    other = TrustMap(
        kind="evidence", channel="", shape=(32, 96), cell_px=8, values=grid[:4].tobytes()
    )
    again(make_status(trust={"": verdict()}, trust_map=other))
    assert window.restored_pane.image.trust is None, "a map of frames of another size"
    window.trust.tool.maps.setCurrentText("No map")
    assert feed.commands()[-1] == SetTrustMap(kind=None)


def test_what_could_be_refuted_leaves_no_black_holes():
    """Where the data could refute most, the image is tinted too, and the border is drawn."""
    photons_e = np.full((4, 6), 30.0, "<f2")
    photons_e[1:3, 2:4] = 6.0
    sent = TrustMap(
        kind="detectable", channel="", shape=(32, 48), cell_px=8, values=photons_e.tobytes()
    )
    colours = [[QColor.fromRgba(pixel) for pixel in row] for row in pixels_of(sent)]
    assert all(colour.alpha() > 0 for row in colours for colour in row)
    assert colours[1][2].green() > colours[1][2].red()
    assert colours[0][0].red() > colours[0][0].green()
    layer = TrustLayer(sent)
    assert layer._lines.elementCount() == 2 * 8, "eight sides of cells around two by two"
    assert layer._lines.boundingRect().getRect() == (2.0, 1.0, 2.0, 2.0)


def test_no_number_of_before_stands_beside_a_foreign_frame(make_status):
    foreign = Verdict(level="red", reason="another objective: 20x")
    told = trust_cell(make_status(trust={"": foreign})).detail
    assert told.startswith("another objective: 20x")
    assert "photoelectrons" not in told
    assert "pooled" not in told
    why = Verdict(level="unjudged", reason="not judged: a tilted or curved surface")
    cell = trust_cell(make_status(trust={"": why}))
    assert cell.value == "\u25cf not judged"
    assert cell.tone.value == "muted"


def test_a_second_engine_is_said_not_to_be_judged(
    open_window, make_frame, make_restored, make_status, settle, clock
):
    from liverestore.view.feed import ShownPair

    status = make_status(trust={"": verdict("green", "agrees with the data")})
    window, feed, again = shown(open_window, make_frame, make_restored, settle, clock, status)
    assert window.raw_pane._header.light.isHidden()
    frame = make_frame(number=1)
    made = dataclasses.replace(make_restored(frame), rival=make_restored(frame))
    feed.offer(ShownPair(frame, made))
    again(make_status(trust=status.trust, rival="mean5"))
    assert window.raw_pane._header.light.text() == "\u25cf not judged"
    assert "Use B" in window.raw_pane._header.light.toolTip()
    assert "second engine is not judged" in window.trust.tool.detail.text()
    assert window.restored_pane._header.light.text() == "\u25cf agrees"


@pytest.mark.parametrize("side", [128, 512])
def test_noise_alone_tints_next_to_nothing_and_a_planted_spot_does(side):
    rng = np.random.default_rng(1)
    tinted = 0
    for n in range(6):
        z = gaussian_filter(rng.standard_normal((side, side)), 0.99)
        z /= z.std()
        if n == 5:
            z[40, 40] = -7.0
        cells = np.abs(z).reshape(side // 8, 8, side // 8, 8).max((1, 3)).astype("<f2")
        cells[5, 5] *= np.sign(z[40, 40])
        sent = TrustMap(
            kind="evidence", channel="", shape=(side, side), cell_px=8, values=cells.tobytes()
        )
        alpha = np.array([[QColor.fromRgba(p).alpha() for p in row] for row in pixels_of(sent)])
        tinted += np.count_nonzero(alpha) if n < 5 else 0
    assert tinted <= 5
    assert alpha[5, 5] == alpha.max() > 100


def pixels_of(sent):
    image = TrustLayer(sent)._image
    return [[image.pixel(x, y) for x in range(image.width())] for y in range(image.height())]


def test_the_newest_reference_shot_is_told_with_its_date(
    open_window, make_frame, make_restored, make_status, settle, clock
):
    facts = {"number": 77, "taken_utc": "2026-03-04T10:00:00+00:00", "engine": "denoise-live"}
    scored = ReferenceReport(
        error_e=0.8,
        raw_error_e=2.6,
        psnr_db=33.7,
        ssim=0.85,
        frc_px=3.9,
        exposure_ms=400.0,
        **facts,
    )
    green = {"": verdict("green", "agrees with the data")}
    status = make_status(trust=green, reference=scored)
    window, _, again = shown(open_window, make_frame, make_restored, settle, clock, status)
    window.drawer.toggle("Trust")
    again()
    label = window.trust.tool.reference
    assert label.isVisible()
    assert "4 Mar" in label.text().replace("04 Mar", "4 Mar")
    assert "(400 ms): pictures of denoise-live are 10.2 dB nearer to the sample" in label.text()
    moved = ReferenceReport(not_scored="the sample moved", exposure_ms=400.0, **facts)
    again(make_status(trust=green, reference=moved))
    assert label.text().endswith("the sample moved, not scored")
    again(make_status(trust=green))
    assert label.isHidden()
